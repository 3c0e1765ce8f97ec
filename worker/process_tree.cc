#include "worker/process_tree.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

extern "C" {  // glibc 2.36 forgot that C++ includes this
#include <sys/pidfd.h>
}

namespace worker {
namespace {

constexpr base::Duration kFirstWait{1000}, kLongestWait{50'000};
constexpr int kStrikes = 500, kMisses = 3, kDeadChildren = 16;  // in a row, before the caller reaps what they left
constexpr std::size_t kMaxChildren = 4u << 20;  // bytes of the kernel's list

std::vector<Process> read_all() {
  std::vector<Process> all;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc"), closedir);
  if (!directory) return all;
  while (const dirent* entry = readdir(directory.get())) {
    pid_t pid = 0;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, pid).ptr != end) continue;
    if (auto process = read_process(pid)) all.push_back(*process);
  }
  std::sort(all.begin(), all.end(), [](const Process& a, const Process& b) { return a.pid < b.pid; });
  return all;
}

std::size_t index_of(const std::vector<Process>& sorted, pid_t pid) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), pid, [](const Process& p, pid_t value) { return p.pid < value; });
  return at != sorted.end() && at->pid == pid ? static_cast<std::size_t>(at - sorted.begin()) : sorted.size();
}

std::vector<pid_t> numbers_in(const std::string& text) {
  std::vector<pid_t> numbers;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    pid_t number = 0;
    const auto read = std::from_chars(at, end, number);
    if (read.ec == std::errc()) numbers.push_back(number);
    at = read.ptr + 1;
  }
  return numbers;
}

// Adds to `chosen` the descendants of what is chosen. Parents are followed upwards, at most once over each process.
bool add_descendants(const std::vector<Process>& sorted, std::vector<char>& chosen) {
  bool has_grown = false;
  std::vector<std::size_t> path;
  std::vector<char> is_settled(sorted.size(), 0);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    path.clear();
    std::size_t at = i;
    while (at < sorted.size() && !chosen[at] && !is_settled[at]) {
      is_settled[at] = 1;
      path.push_back(at);
      at = index_of(sorted, sorted[at].parent);
    }
    if (at == sorted.size() || !chosen[at]) continue;
    for (std::size_t below : path) chosen[below] = 1, has_grown = true;
  }
  return has_grown;
}

}  // namespace

std::optional<Process> read_process(pid_t pid) {
  const std::string text = read_proc(pid, "stat", 4096);
  const std::size_t name_end = text.rfind(')');  // the name before it may hold anything, blanks and brackets too
  if (name_end == std::string::npos) return std::nullopt;
  Process process;
  char state = 0;
  long threads = 0;
  unsigned long long start = 0;
  const int fields = std::sscanf(text.c_str() + name_end + 1, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu", &state,
                                 &process.parent, &process.group, &process.session, &threads, &start);
  if (fields != 6) return std::nullopt;
  process.pid = pid;
  process.start_ticks = start;
  // A leader thread that has ended shows as a zombie while its other threads run on.
  process.is_dead = (state == 'Z' || state == 'X') && threads <= 1;
  process.is_stopped = state == 'T';
  return process;
}

ProcessTable::ProcessTable(pid_t root) {
  std::vector<Process> all = read_all();
  root_.pid = root;
  if (root == 0) {
    descendants_ = std::move(all);
    marks_.resize(descendants_.size());
    return;
  }
  const std::size_t root_index = index_of(all, root);
  if (root_index == all.size()) return;
  root_ = all[root_index];
  std::vector<char> chosen(all.size(), 0);
  chosen[root_index] = 1;
  add_descendants(all, chosen);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (chosen[i] && i != root_index) descendants_.push_back(all[i]);
  marks_.resize(descendants_.size());
}

const Marks& ProcessTable::marks(std::size_t index) const {
  std::optional<Marks>& marks = marks_[index];
  if (!marks) marks = read_marks(descendants_[index].pid);
  return *marks;
}

TreeKiller::TreeKiller(Tree tree, const base::TermSeq& sequence, base::TimePoint now)
    : tree_(tree), sequence_(sequence.empty() ? base::kDefaultTermSeq : sequence), next_step_(now), step_ends_(now) {
  if (sequence_[sequence_.size() - 2] != SIGKILL) sequence_.insert(sequence_.end(), {SIGKILL, 0});
}

void TreeKiller::hurry(base::TimePoint now) {
  at_ = sequence_.size() - 2;
  has_begun_ = true;
  step_ends_ = base::kNever;
  next_step_ = now;
}

bool TreeKiller::is_seed(const ProcessTable& table, std::size_t index) const {
  const Process& p = table.descendants()[index];
  if (tree_.group != 0 && (p.pid == tree_.group || p.group == tree_.group)) return true;
  if (known_.contains({p.pid, p.start_ticks})) return true;
  return tree_.mark != 0 && table.marks(index).hold(tree_.mark);  // a zombie still has its limits
}

std::vector<std::size_t> TreeKiller::members(const ProcessTable& table) const {
  const auto& all = table.descendants();
  std::vector<char> chosen(all.size(), 0);
  for (std::size_t i = 0; i < all.size(); ++i) chosen[i] = is_seed(table, i) ? 1 : 0;
  // Below a root, who shares a group or session that is not the root's own with a member is a member: for one that has neither mark.
  for (bool grows = true; grows;) {
    grows = add_descendants(all, chosen);
    if (table.root() == 0) break;
    std::vector<pid_t> groups, sessions;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!chosen[i]) continue;
      if (all[i].group != table.root_process().group) groups.push_back(all[i].group);
      if (all[i].session != table.root_process().session) sessions.push_back(all[i].session);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (chosen[i]) continue;
      if (std::find(groups.begin(), groups.end(), all[i].group) == groups.end() &&
          std::find(sessions.begin(), sessions.end(), all[i].session) == sessions.end())
        continue;
      chosen[i] = 1;
      grows = true;
    }
  }
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (chosen[i]) found.push_back(i);
  return found;
}

void TreeKiller::send(const Process& process, int signal) {
  const int fd = pidfd_open(process.pid, 0);
  if (fd < 0) return;  // gone
  last_signal_ = signal;
  // The descriptor holds whoever has the number now; only if that is still the one we read may it be signalled.
  const auto now = read_process(process.pid);
  if (now && now->start_ticks == process.start_ticks) {
    const bool is_foreign = pidfd_send_signal(fd, signal, nullptr, 0) != 0 && errno == EPERM;
    if (is_foreign) foreign_.push_back({process.pid, process.start_ticks});
    else if (now->is_stopped && signal != SIGKILL) pidfd_send_signal(fd, SIGCONT, nullptr, 0);
  }
  close(fd);
}

// Kills the root's children as they appear. Whose parent leaves at once becomes one of them, the last of the list; a signal must follow sooner here than a
// whole reading allows, so that what follows many dead ones is not looked at.
void TreeKiller::strike_children(pid_t root) {
  if (root == 0 || tree_.mark == 0) return;
  const std::string list = "task/" + std::to_string(root) + "/children";
  for (int strike = 0, misses = 0; strike < kStrikes && misses < kMisses; ++strike) {
    ++misses;
    const std::vector<pid_t> children = numbers_in(read_proc(root, list.c_str(), kMaxChildren));
    int dead = 0;
    for (auto child = children.rbegin(); child != children.rend() && dead < kDeadChildren; ++child) {
      const auto process = read_process(*child);
      dead += !process || process->is_dead;
      if (!process || process->is_dead || known_.contains({*child, process->start_ticks}) || !read_marks(*child).hold(tree_.mark)) continue;
      known_.insert({*child, process->start_ticks});
      ++found_;
      misses = 0;
      send(*process, SIGKILL);
    }
  }
}

bool TreeKiller::step(const ProcessTable& table, base::TimePoint now, bool is_group_pinned) {
  const bool is_new_step = now >= step_ends_;
  if (is_new_step) {
    if (std::exchange(has_begun_, true)) at_ += 2;
    const bool is_last = at_ + 2 == sequence_.size();
    step_ends_ = is_last ? base::kNever : now + std::chrono::milliseconds(sequence_[at_ + 1]);
    wait_ = kFirstWait;
  }
  const int signal = static_cast<int>(sequence_[at_]);
  const bool goes_to_all = is_new_step || step_ends_ == base::kNever;
  // A group takes the signal as one: what forks at this moment cannot slip through, as it can between a reading and a signal.
  if (signal == SIGKILL && is_group_pinned) ::kill(-tree_.group, SIGKILL);
  dead_children_.clear();
  bool is_empty = true, has_new = false, is_moving = false;
  stuck_ = 0;
  for (std::size_t index : members(table)) {
    const Process& process = table.descendants()[index];
    const Name name{process.pid, process.start_ticks};
    const bool is_new = known_.insert(name).second;
    has_new |= is_new;
    if (process.is_dead) {
      if (process.parent == table.root()) dead_children_.push_back(process.pid);
      continue;
    }
    if (std::find(foreign_.begin(), foreign_.end(), name) != foreign_.end()) continue;
    is_empty = false;
    found_ += is_new;
    if (is_new || goes_to_all) send(process, signal);
    if (signal != SIGKILL || now - killed_.try_emplace(name, now).first->second < kStuckAfter) is_moving = true;
    else stuck_ = process.pid;
  }
  if (is_moving) stuck_ = 0;
  // A dead one that was not there before may have forked as it went: a tree in which each does, faster than /proc is read, shows no living process.
  empty_readings_ = is_empty && !has_new ? empty_readings_ + 1 : 0;
  if (has_new && signal == SIGKILL) {
    strike_children(table.root());
    wait_ = kFirstWait;
  }
  // Short waits first, since most trees end at once.
  next_step_ = std::min(now + wait_, step_ends_);
  wait_ = std::min(2 * wait_, kLongestWait);
  return empty_readings_ >= 2;
}

}  // namespace worker
