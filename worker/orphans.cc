#include "worker/orphans.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>
#include <vector>

#include "worker/keeper_seats.h"
#include "worker/process_tree.h"

namespace worker {
namespace {

constexpr base::Duration kPatience{10'000'000};  // with processes that do not go, and with another process that has the lock

base::TimePoint now() { return std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()); }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

bool lock(int fd, base::Duration patience) {
  for (const auto until = now() + patience; flock(fd, LOCK_EX | LOCK_NB) != 0;) {
    if (now() >= until) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

// The tables of keepers that are gone with their workers; they are ours as long as they are held here.
std::vector<std::unique_ptr<SharedSeats>> tables_of_the_dead(const std::string& directory) {
  std::vector<std::unique_ptr<SharedSeats>> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
    if (!std::string_view(entry->d_name).starts_with(SharedSeats::kPrefix)) continue;
    Descriptor file(openat(dirfd(entries.get()), entry->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (fstat(file.get(), &info) != 0 || info.st_uid != geteuid()) continue;
    auto seats = SharedSeats::open(file.release());
    if (!seats || !seats->has_our_processes()) continue;
    // A keeper whose worker has gone is ending what it runs, or is ending itself.
    if (lock(seats->fd(), base::Duration::zero()) || (seats->is_worker_gone() && lock(seats->fd(), kPatience))) found.push_back(std::move(seats));
  }
  return found;
}

}  // namespace

Orphans end_orphans(const std::string& directory) {
  const Descriptor turn(open((directory + "/orphans.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (turn.get() < 0 || !lock(turn.get(), kPatience)) return {};
  const auto tables = tables_of_the_dead(directory);
  std::vector<TreeKiller> killers;
  for (const auto& seats : tables) {
    for (std::uint32_t seat = 0; seat < kSeats; ++seat)
      if (seats->at(seat).serial != 0) killers.emplace_back(Tree{0, seats->mark(seat)}, base::TermSeq{SIGKILL, 0}, now());
  }
  bool is_all_gone = killers.empty(), is_moving = !is_all_gone;
  for (const auto until = now() + kPatience; is_moving && now() < until;) {
    const ProcessTable table(0);
    is_all_gone = true;
    is_moving = false;
    base::TimePoint next = until;
    for (TreeKiller& killer : killers) {
      if (killer.step(table, now(), false)) continue;
      is_all_gone = false;
      is_moving |= killer.stuck() == 0;
      next = std::min(next, killer.next_step());
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - now()).count();
    if (is_moving) poll(nullptr, 0, static_cast<int>(std::max<std::int64_t>(wait, 0)));
  }
  Orphans orphans;
  for (const TreeKiller& killer : killers) {
    if (killer.stuck() == 0) orphans.ended += killer.found();
    else orphans.stuck = killer.stuck();
  }
  for (const auto& seats : tables)
    if (is_all_gone) seats->remove_file();
  return orphans;
}

}  // namespace worker
