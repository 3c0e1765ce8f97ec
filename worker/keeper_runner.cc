#include "worker/keeper_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

extern char** environ;

extern "C" {  // glibc 2.36 forgot that C++ includes this
#include <sys/pidfd.h>
}

namespace worker {
namespace {

constexpr int kAboveFixed = 10;  // our ends stand above the numbers that the keeper is given, so that setting one cannot close the other
constexpr int kLastWaitMs = 10'000;

base::TimePoint monotonic_now() { return std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()); }

base::WallTime wall_now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

CallerSignals CallerSignals::of_this_process() {
  CallerSignals caller;
  sigprocmask(SIG_BLOCK, nullptr, &caller.mask);
  sigemptyset(&caller.ignored);
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    struct sigaction action;
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) sigaddset(&caller.ignored, signal);
  }
  return caller;
}

KeeperRunner::KeeperRunner(Config config) : config_(std::move(config)), timer_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  getrlimit(RLIMIT_NOFILE, &open_files_);
}

KeeperRunner::~KeeperRunner() {
  begin_to_end();
  bool has_left_some = false;
  if (channel_) {
    pollfd ended{pidfd_open(keeper_pid_, 0), POLLIN, 0};
    int status = 0;
    const bool has_ended = ended.fd >= 0 && poll(&ended, 1, kLastWaitMs) == 1 && waitpid(keeper_pid_, &status, 0) == keeper_pid_;
    if (ended.fd >= 0) close(ended.fd);
    if (has_ended) keeper_pid_ = 0;
    if (!has_ended || !WIFEXITED(status)) on_keeper_gone();
    else has_left_some = WEXITSTATUS(status) == kKeeperLeftSome;
  }
  while (is_sweeping_) {
    sweep();
    if (is_sweep_stuck_) break;
    pollfd timer{timer_fd_, POLLIN, 0};
    if (is_sweeping_) poll(&timer, 1, -1);
  }
  if (seats_ && !is_sweeping_ && !has_left_some) seats_->remove_file();  // or the next start is to find them
  close(timer_fd_);
}

void KeeperRunner::begin_to_end() {
  waiting_.clear();
  if (!channel_) return;
  shutdown(channel_->fd(), SHUT_RDWR);  // tells the keeper to end everything
  wake_keeper();
}

int KeeperRunner::fd() const {
  if (channel_) return channel_->fd();
  return is_sweeping_ || !ready_.empty() ? timer_fd_ : -1;
}

short KeeperRunner::events() const { return static_cast<short>(channel_ && channel_->has_unsent() ? POLLIN | POLLOUT : POLLIN); }

void KeeperRunner::arm_timer(base::TimePoint at) {
  const auto us = std::max<std::int64_t>(at.time_since_epoch().count(), 1);  // 0 would disarm it
  const itimerspec when{{0, 0}, {us / 1'000'000, us % 1'000'000 * 1000}};
  timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void KeeperRunner::start(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, base::Duration limit) {
  const Running running{attempt, slot, wall_now(), monotonic_now(), command.term_seq};
  if (is_sweeping_) waiting_.push_back({running, command, limit, {}});
  else hand_over(running, command, limit, {});
}

void KeeperRunner::start_with_streams(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, const StreamPaths& streams) {
  const Running running{attempt, slot, wall_now(), monotonic_now(), command.term_seq};
  if (is_sweeping_) waiting_.push_back({running, command, base::Duration::zero(), streams});
  else hand_over(running, command, base::Duration::zero(), streams);
}

void KeeperRunner::hand_over(const Running& running, const base::Command& command, base::Duration limit, const StreamPaths& streams) {
  std::string why_not;
  if (!has_keeper(why_not)) return add_result(running, base::Outcome::Returned, why_not);
  if (free_seats_.empty()) {
    CHECK_INVARIANT(next_seat_ < kSeats);
    free_seats_.push_back(next_seat_++);
  }
  const std::uint32_t seat = free_seats_.back();
  free_seats_.pop_back();
  running_.emplace(seat, running);
  append_frame(channel_->out(), seat, running.slot, running.attempt, limit, command, streams);
  channel_->flush();  // if the keeper is gone, the next collect() finds out
}

void KeeperRunner::kill(const base::Attempt& attempt) {
  const auto waiting = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return w.running.attempt == attempt; });
  if (waiting != waiting_.end()) {
    const Running running = waiting->running;
    waiting_.erase(waiting);
    return add_result(running, base::Outcome::Cancelled, "cancelled before it was started");
  }
  if (!channel_) return;
  append_frame(channel_->out(), KeeperKill{attempt});
  channel_->flush();
  wake_keeper();
}

void KeeperRunner::run_until(base::TimePoint at) {
  run_until_ = at;
  if (!channel_) return;
  append_frame(channel_->out(), KeeperRunUntil{at});
  channel_->flush();
}

void KeeperRunner::grant(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t length) {
  if (!channel_) return;
  append_frame(channel_->out(), KeeperGrant{attempt, stream, length});
  channel_->flush();
}

// A command can stop its parent, and then nothing of it would ever end.
void KeeperRunner::wake_keeper() const {
  if (keeper_pid_ > 0) ::kill(keeper_pid_, SIGCONT);
}

// A result of our own making. It waits for collect(), which the timer calls for when no keeper's socket will.
void KeeperRunner::add_result(const Running& running, base::Outcome outcome, std::string reason) {
  wire::Result result;
  result.attempt = running.attempt;
  result.slot = running.slot;
  result.outcome = outcome;
  result.exit_code = -1;
  result.started_at = running.started_at;
  result.runtime_us = static_cast<std::uint64_t>((monotonic_now() - running.started).count());
  result.finished_at = running.started_at + static_cast<std::int64_t>(result.runtime_us);
  result.reason = std::move(reason);
  ready_.push_back(std::move(result));
  arm_timer(monotonic_now());
}

bool KeeperRunner::has_keeper(std::string& why_not) {
  if (channel_) return true;
  int pair[2];
  seats_ = SharedSeats::create(config_.tables);
  if (!seats_ || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    why_not = std::string("cannot make the keeper's socket: ") + std::strerror(errno);
    return false;
  }
  const bool is_spawned = spawn_keeper(pair[1], why_not);
  close(pair[1]);
  if (!is_spawned) {
    close(pair[0]);
    return false;
  }
  channel_ = std::make_unique<FrameChannel>(pair[0]);
  KeeperHello hello;
  hello.worker_pid = getpid();
  hello.caller_mask = signal_bits(config_.caller.mask);
  hello.caller_ignored = signal_bits(config_.caller.ignored);
  hello.inline_output = config_.inline_output;
  hello.output_window = config_.output_window;
  hello.oom_counter = config_.oom_counter;
  append_frame(channel_->out(), hello);
  if (run_until_ != base::kNever) append_frame(channel_->out(), KeeperRunUntil{run_until_});
  return true;
}

bool KeeperRunner::spawn_keeper(int socket, std::string& why_not) {
  if (config_.keeper.empty()) return why_not = "the keeper program is missing: it belongs beside this one", false;
  const int high_socket = fcntl(socket, F_DUPFD_CLOEXEC, kAboveFixed), high_seats = fcntl(seats_->fd(), F_DUPFD_CLOEXEC, kAboveFixed);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);  // our reader must not wait for the keeper's end as well
  posix_spawn_file_actions_adddup2(&files, high_socket, kKeeperSocket);
  posix_spawn_file_actions_adddup2(&files, high_seats, kKeeperSeats);

  // Every signal blocked, and a group of its own: the terminal's ^C and a scheduler's TERM are the worker's to judge. Ignored stays ignored where the
  // caller had it so, since commands inherit that from the keeper.
  sigset_t all, to_default;
  sigfillset(&all);
  sigfillset(&to_default);
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    if (sigismember(&config_.caller.ignored, signal) == 1 && signal != SIGCHLD) sigdelset(&to_default, signal);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &all);
  posix_spawnattr_setsigdefault(&attributes, &to_default);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

  char* const argv[] = {const_cast<char*>("keeper"), nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, config_.keeper.c_str(), &files, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  close(high_socket);
  close(high_seats);
  if (error != 0) {
    why_not = "cannot start the keeper " + config_.keeper + ": " + std::strerror(error);
    return false;
  }
  keeper_pid_ = pid;
  prlimit(pid, RLIMIT_NOFILE, &open_files_, nullptr);  // before its hello, when it looks what commands get
  return true;
}

void KeeperRunner::collect(std::vector<OutputRead>& outputs, std::vector<wire::Result>& results) {
  if (!adopted_.empty()) reap_adopted();
  if (is_sweeping_) sweep();
  if (channel_) {
    const bool is_there = channel_->flush() && channel_->fill();
    while (const auto frame = channel_->next()) {
      if (auto message = parse_from_keeper(*frame)) on_frame(std::move(*message), outputs, results);
    }
    if (!is_there) on_keeper_gone();
  }
  std::move(ready_.begin(), ready_.end(), std::back_inserter(results));
  ready_.clear();
}

void KeeperRunner::on_frame(FromKeeper frame, std::vector<OutputRead>& outputs, std::vector<wire::Result>& results) {
  if (auto* output = std::get_if<KeeperOutput>(&frame)) {
    if (const auto at = running_.find(output->seat); at != running_.end()) outputs.push_back({at->second.attempt, output->stream, std::move(output->bytes)});
    return;
  }
  if (const auto* launched = std::get_if<KeeperLaunched>(&frame)) {
    if (const auto at = running_.find(launched->seat); at != running_.end()) launched_.push_back(at->second.attempt);
    return;
  }
  if (const auto* stuck = std::get_if<KeeperStuck>(&frame)) {
    if (const auto at = running_.find(stuck->seat); at != running_.end()) stuck_.push_back({at->second.attempt, static_cast<pid_t>(stuck->process)});
    return;
  }
  auto& ended = std::get<KeeperEnded>(frame);
  if (running_.erase(ended.seat) == 0) return;
  free_seats_.push_back(ended.seat);
  results.push_back(std::move(ended.result));
}

void KeeperRunner::on_keeper_gone() {
  channel_.reset();
  if (keeper_pid_ > 0) ::kill(keeper_pid_, SIGKILL);  // our child and not reaped, so still itself: it must not go on if only the socket broke
  for (const auto& [seat, running] : running_)
    leftovers_.push_back({running, TreeKiller({seats_->at(seat).group, seats_->mark(seat)}, running.term_seq, monotonic_now())});
  running_.clear();
  free_seats_.clear();
  next_seat_ = 0;
  is_sweeping_ = true;
  keeper_killed_at_ = monotonic_now();
  arm_timer(monotonic_now());
}

// One step of ending what the dead keeper's attempts left. All are reported when all are gone.
void KeeperRunner::sweep() {
  if (keeper_pid_ > 0 && waitpid(keeper_pid_, nullptr, WNOHANG) != 0) keeper_pid_ = 0;
  const base::TimePoint now = monotonic_now();
  const ProcessTable table(getpid());
  base::TimePoint next = now + base::Duration(1000);
  bool is_all_gone = keeper_pid_ == 0;
  for (Leftover& leftover : leftovers_) {
    TreeKiller& killer = leftover.killer;
    if (!leftover.is_gone && killer.next_step() <= now) {
      // Not before the keeper is gone: what died as its child comes to us only then, to be reaped.
      leftover.is_gone = killer.step(table, now, false) && keeper_pid_ == 0;
      for (pid_t dead : killer.dead_children()) waitpid(dead, nullptr, WNOHANG);
    }
    if (leftover.is_gone) continue;
    next = is_all_gone ? killer.next_step() : std::min(next, killer.next_step());
    is_all_gone = false;
  }
  look_for_stuck(now);
  if (!is_all_gone) return arm_timer(next);
  adopt_survivors(table);
  finish_sweep();
}

void KeeperRunner::look_for_stuck(base::TimePoint now) {
  is_sweep_stuck_ = keeper_pid_ == 0 || now - keeper_killed_at_ >= kStuckAfter;
  for (Leftover& leftover : leftovers_) {
    if (leftover.is_gone) continue;
    const pid_t process = keeper_pid_ == 0 ? leftover.killer.stuck() : is_sweep_stuck_ ? keeper_pid_ : 0;  // nothing counts as gone before the keeper
    if (process == 0) is_sweep_stuck_ = false;
    else if (!std::exchange(leftover.is_told_stuck, true)) stuck_.push_back({leftover.running.attempt, process});
  }
}

// Processes that attempts left on purpose, ended well before the keeper died: they live on, as our children now, and will want to be reaped.
void KeeperRunner::adopt_survivors(const ProcessTable& table) {
  for (std::size_t i = 0; i < table.descendants().size(); ++i) {
    const Process& process = table.descendants()[i];
    if (process.parent == table.root() && table.marks(i).are_of_keeper(seats_->keeper())) adopted_.push_back(process.pid);
  }
}

void KeeperRunner::reap_adopted() {
  std::erase_if(adopted_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
}

void KeeperRunner::finish_sweep() {
  is_sweeping_ = false;
  seats_->remove_file();
  for (const Leftover& leftover : leftovers_) add_result(leftover.running, base::Outcome::Lost, "the keeper died");
  leftovers_.clear();
  while (!waiting_.empty()) {
    const Waiting waiting = std::move(waiting_.front());
    waiting_.pop_front();
    hand_over(waiting.running, waiting.command, waiting.limit, waiting.streams);
  }
}

void KeeperWatch::renew(int epoll, const KeeperRunner& runner, std::uint64_t about) {
  const int fd = runner.fd();
  const short events = runner.events();
  if (fd == fd_ && events == events_) return;
  if (fd_ >= 0) epoll_ctl(epoll, EPOLL_CTL_DEL, fd_, nullptr);  // does nothing if it has been closed
  fd_ = fd;
  events_ = events;
  epoll_event event{};
  event.events = EPOLLIN | ((events & POLLOUT) != 0 ? EPOLLOUT : 0u);
  event.data.u64 = about;
  if (fd >= 0) epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace worker
