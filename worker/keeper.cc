#include "worker/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

namespace worker {
namespace {

constexpr std::size_t kScratch = 256u << 10;  // what a pipe that carries much is widened to
constexpr unsigned kMostTries = 6;
constexpr base::Duration kFirstRetry{20'000};  // doubled with each try

// What an event of the poll is about: one of the keeper's own descriptors, or a stream of the job with that serial number. The seat would not do: a pipe we
// have closed stays open, and in the poll, while a new child has not closed its copy yet (the kernel lets us go on a little earlier), and its
// last event would be taken for one of the seat's next job.
constexpr std::uint64_t kSocketEvent = std::uint64_t{1} << 62;
constexpr std::uint64_t kSignalEvent = kSocketEvent + 1;
constexpr std::size_t kStdin = 2;  // beside the numbers of the two streams
constexpr std::uint64_t stream_event(std::uint32_t serial, std::uint32_t seat, std::size_t stream) {
  static_assert(kSeats <= 1u << 16);
  return std::uint64_t{serial} << 18 | std::uint64_t{seat} << 2 | stream;
}

base::TimePoint monotonic_now() { return std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()); }

base::WallTime wall_now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

std::uint64_t microseconds(const timeval& t) { return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec); }

void add_to_poll(int poll_fd, int fd, std::uint64_t about, std::uint32_t events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = about;
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

Keeper::Keeper(int socket, std::unique_ptr<SharedSeats> seats)
    : channel_(socket), shared_(std::move(seats)), scratch_(std::make_unique_for_overwrite<char[]>(kScratch)) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  signal_fd_ = signalfd(-1, &child_signal, SFD_CLOEXEC | SFD_NONBLOCK);
  poll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  add_to_poll(poll_fd_, socket, kSocketEvent);
  add_to_poll(poll_fd_, signal_fd_, kSignalEvent);
}

Keeper::~Keeper() {
  close(signal_fd_);
  close(poll_fd_);
}

int Keeper::run() {
  if (signal_fd_ < 0 || poll_fd_ < 0) return 1;  // the worker sees its keeper die
  while (!is_peer_gone_ || !jobs_.empty()) {
    take_events(monotonic_now());
    on_deadlines(monotonic_now());
    enforce_run_until(monotonic_now());
    if (endings_ > 0) step_endings(monotonic_now());
    if (is_peer_gone_ && has_only_stuck()) return kKeeperLeftSome;  // the next start finds them by the table
    if (is_peer_gone_) continue;
    if (!channel_.flush()) on_peer_gone();
    else if (awaits_write_ != channel_.has_unsent()) update_socket_interest();
  }
  shared_->remove_file();
  return 0;
}

void Keeper::update_socket_interest() {
  awaits_write_ = channel_.has_unsent();
  epoll_event event{};
  event.events = EPOLLIN | (awaits_write_ ? EPOLLOUT : 0u);
  event.data.u64 = kSocketEvent;
  epoll_ctl(poll_fd_, EPOLL_CTL_MOD, channel_.fd(), &event);
}

int Keeper::poll_timeout(base::TimePoint now) const {
  base::TimePoint first = jobs_.empty() || is_time_up_ ? base::kNever : run_until_;
  for (const auto& [seat, job] : jobs_) first = std::min(first, job->ending ? job->ending->killer.next_step() : job->deadline);
  if (first == base::kNever) return -1;
  if (first <= now) return 0;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(first - now).count();
  return static_cast<int>(std::min<std::int64_t>(wait, INT_MAX));
}

void Keeper::take_events(base::TimePoint now) {
  epoll_event events[64];
  const int count = epoll_wait(poll_fd_, events, 64, poll_timeout(now));
  bool has_children = false, has_messages = false;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t about = events[i].data.u64;
    if (about == kSignalEvent) {
      has_children = true;
    } else if (about == kSocketEvent) {
      has_messages = true;
    } else if (const auto at = jobs_.find(static_cast<std::uint32_t>(about >> 2) & (kSeats - 1)); at != jobs_.end() && at->second->serial == about >> 18) {
      if ((about & 3) == kStdin) on_hungry(*at->second);
      else on_readable(*at->second, about & 3);
    }
  }
  if (has_children) on_children();
  if (has_messages && !is_peer_gone_ && !read_messages()) on_peer_gone();
}

bool Keeper::read_messages() {
  const bool is_there = channel_.fill();
  while (const auto frame = channel_.next()) {
    auto message = parse_to_keeper(*frame);
    if (!message || !on_message(std::move(*message))) return false;
  }
  return is_there;
}

bool Keeper::on_message(ToKeeper message) {
  if (const auto* hello = std::get_if<KeeperHello>(&message)) {
    if (launcher_ || hello->version != kKeeperVersion) return false;
    hello_ = *hello;
    launcher_.emplace(hello_);
    oom_.emplace(hello_.oom_counter);
    return true;
  }
  if (!launcher_) return false;
  if (auto* start = std::get_if<KeeperStart>(&message)) {
    if (jobs_.contains(start->seat)) return false;
    on_start(std::move(*start));
  } else if (const auto* until = std::get_if<KeeperRunUntil>(&message)) {
    on_run_until(until->at);
  } else if (const auto* grant = std::get_if<KeeperGrant>(&message)) {
    on_grant(*grant);
  } else {
    on_kill(std::get<KeeperKill>(message).attempt);
  }
  return true;
}

void Keeper::on_start(KeeperStart start) {
  auto job = std::make_unique<Job>();
  const std::uint32_t seat = start.seat;
  job->start = std::move(start);
  job->serial = ++last_serial_;
  shared_->at(seat) = {0, job->serial};
  Job& placed = *(jobs_[seat] = std::move(job));
  launch(placed);
}

// May end the job and with it `job`.
void Keeper::launch(Job& job) {
  if (monotonic_now() >= run_until_) return report_unstarted(job, base::Outcome::Cancelled, -1, "its time was up before it could be started");
  job.started_at = wall_now();
  job.started = monotonic_now();
  job.deadline = base::kNever;
  job.ooms_seen = oom_->seen(job.started);
  Launch launch = launcher_->launch(job.start, *shared_);
  if (const auto* cannot = std::get_if<CannotLaunch>(&launch)) return report_unstarted(job, base::Outcome::Failed, cannot->exit_code, cannot->reason);
  if (const auto* later = std::get_if<LaunchLater>(&launch)) {
    if (++job.tries == kMostTries) return report_unstarted(job, base::Outcome::Failed, kCannotExecute, later->reason);
    job.deadline = job.started + kFirstRetry * (1 << (job.tries - 1));
    return;
  }
  auto& launched = std::get<Launched>(launch);
  job.pid = launched.pid;
  job.streams[0].fd = launched.out;
  job.streams[1].fd = launched.err;
  job.feed = std::move(launched.feed);
  for (Stream& stream : job.streams) stream.granted = hello_.output_window;
  base::Command& command = job.start.command;
  base::Command rest;  // what is needed at its end; the others are the command's now
  rest.term_seq = std::move(command.term_seq);
  rest.kill_leftovers = command.kill_leftovers;
  rest.live = command.live;
  command = std::move(rest);
  if (job.start.streams.is_given() && !is_peer_gone_) append_frame(channel_.out(), KeeperLaunched{job.start.seat});
  if (job.start.limit.count() > 0) job.deadline = job.started + job.start.limit;
  seats_[job.pid] = job.start.seat;
  watch(job);
}

void Keeper::watch(Job& job) {
  if (job.start.streams.is_given()) return;  // they are the worker's
  for (std::size_t i = 0; i < job.streams.size(); ++i) add_to_poll(poll_fd_, job.streams[i].fd, stream_event(job.serial, job.start.seat, i));
  if (job.feed) add_to_poll(poll_fd_, job.feed->fd(), stream_event(job.serial, job.start.seat, kStdin), EPOLLOUT);
}

void Keeper::on_kill(const base::Attempt& attempt) {
  for (auto& [seat, job] : jobs_) {
    if (job->start.attempt != attempt) continue;
    if (job->pid == 0) report_unstarted(*job, base::Outcome::Cancelled, -1, "cancelled before it could be started");
    else become_ending(*job, base::Outcome::Cancelled);
    return;
  }
}

void Keeper::on_peer_gone() {
  is_peer_gone_ = true;
  epoll_ctl(poll_fd_, EPOLL_CTL_DEL, channel_.fd(), nullptr);
  std::erase_if(jobs_, [](const auto& entry) { return entry.second->pid == 0; });
  for (auto& [seat, job] : jobs_) {
    become_ending(*job, base::Outcome::Cancelled);
    job->ending->killer.hurry(monotonic_now());  // whoever continues the run may start the same jobs at any moment
  }
}

void Keeper::close_stream(Stream& stream) {
  if (stream.fd < 0) return;
  // A child that has not executed yet still holds a copy: epoll would go on reporting it.
  epoll_ctl(poll_fd_, EPOLL_CTL_DEL, stream.fd, nullptr);
  close(stream.fd);
  stream.fd = -1;
}

// Reads as much as is in the pipe now and no more: after the leader's end a survivor could go on writing for ever.
void Keeper::read_what_is_there(Job& job, std::size_t index, std::uint64_t most) {
  const Stream& stream = job.streams[index];
  int there = 0;
  if (stream.fd < 0 || ioctl(stream.fd, FIONREAD, &there) != 0) return;
  for (std::uint64_t left = std::min<std::uint64_t>(most, static_cast<std::uint64_t>(there)); left > 0;) {
    const ssize_t n = read(stream.fd, scratch_.get(), std::min<std::uint64_t>(kScratch, left));
    if (n <= 0) return;
    left -= static_cast<std::uint64_t>(n);
    take(job, index, {scratch_.get(), static_cast<std::size_t>(n)});
  }
}

// The leader has ended: what its pipes hold is the rest, whatever was granted.
void Keeper::read_to_end(Job& job) {
  for (std::size_t i = 0; i < job.streams.size(); ++i) read_what_is_there(job, i, UINT64_MAX);
}

void Keeper::take(Job& job, std::size_t index, std::string_view bytes) {
  Stream& stream = job.streams[index];
  stream.length += bytes.size();
  const bool is_small = stream.length <= hello_.inline_output;
  if (!stream.is_streamed && is_small && !job.start.command.live) return void(stream.bytes += bytes);
  const auto give = [&](std::string_view part) {
    if (!part.empty() && !is_peer_gone_) append_frame(channel_.out(), job.start.seat, static_cast<wire::OutputStream>(index), part);
  };
  if (!is_small && stream.length - bytes.size() <= hello_.inline_output)
    fcntl(stream.fd, F_SETPIPE_SZ, static_cast<int>(kScratch));  // fewer, larger parts; a user at the limit keeps what there is
  if (!stream.is_streamed) {
    stream.is_streamed = true;
    give(std::exchange(stream.bytes, {}));
  }
  give(bytes);
}

void Keeper::on_grant(const KeeperGrant& grant) {
  for (auto& [seat, job] : jobs_) {
    if (job->start.attempt != grant.attempt) continue;
    const auto index = static_cast<std::size_t>(grant.stream);
    Stream& stream = job->streams[index];
    stream.granted = std::max(stream.granted, grant.length);
    if (stream.is_paused && stream.fd >= 0 && stream.granted > stream.length) {
      stream.is_paused = false;
      add_to_poll(poll_fd_, stream.fd, stream_event(job->serial, seat, index));
    }
    return;
  }
}

void Keeper::on_readable(Job& job, std::size_t index) {
  Stream& stream = job.streams[index];
  if (stream.fd < 0) return;
  int there = 0;
  if (ioctl(stream.fd, FIONREAD, &there) != 0 || there == 0) return close_stream(stream);  // its last writer has closed it
  read_what_is_there(job, index, stream.granted - stream.length);
  if (stream.length < stream.granted) return;
  stream.is_paused = true;
  epoll_ctl(poll_fd_, EPOLL_CTL_DEL, stream.fd, nullptr);
}

void Keeper::on_hungry(Job& job) {
  if (!job.feed) return;
  const Feed::State state = job.feed->step();
  if (state == Feed::State::Waiting) return;
  if (state == Feed::State::Cut && !job.ending) {  // the command must not take the rest for the whole
    become_ending(job, base::Outcome::Failed);
    job.ending->reason = "its input " + job.feed->input().path + " has become shorter while it was read";
  }
  epoll_ctl(poll_fd_, EPOLL_CTL_DEL, job.feed->fd(), nullptr);
  job.feed.reset();
}

bool Keeper::try_reap(Job& job) {
  if (!job.is_reaped && wait4(job.pid, &job.status, WNOHANG, &job.usage) == job.pid) {
    job.is_reaped = true;
    seats_.erase(job.pid);
  }
  return job.is_reaped;
}

void Keeper::on_children() {
  signalfd_siginfo ignored[8];
  while (read(signal_fd_, ignored, sizeof ignored) == static_cast<ssize_t>(sizeof ignored)) continue;
  if (endings_ == 0) {
    int status = 0;
    rusage usage;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
      const auto at = seats_.find(pid);
      if (at == seats_.end()) continue;  // a survivor of an earlier attempt, adopted
      Job& job = *jobs_.at(at->second);
      seats_.erase(at);
      job.is_reaped = true;
      job.status = status;
      job.usage = usage;
      on_leader_end(job);
    }
    return;
  }
  // The leader of a tree that is being ended is not reaped before all of it is gone: as long as it is a zombie its group's number stays its own.
  std::vector<Job*> ended;
  for (auto& [seat, job] : jobs_)
    if (job->pid != 0 && !job->ending && try_reap(*job)) ended.push_back(job.get());
  for (Job* job : ended) on_leader_end(*job);
}

void Keeper::on_leader_end(Job& job) {
  if (job.start.command.kill_leftovers) return become_ending(job, std::nullopt);
  read_to_end(job);
  report(job, result_of_leader(job));
}

// REQUIRES: it is reaped.
wire::Result Keeper::result_of_leader(const Job& job) {
  wire::Result result;
  result.outcome = base::Outcome::Ok;
  if (WIFSIGNALED(job.status)) result.signal = WTERMSIG(job.status);
  else result.exit_code = WEXITSTATUS(job.status);
  if (job.status != 0) result.outcome = base::Outcome::Failed;
  // The kernel takes the largest process, which under a shell is its child: then the shell says so with its status.
  const bool is_killed = result.signal == SIGKILL || result.exit_code == 128 + SIGKILL;
  if (is_killed && oom_->take(job.ooms_seen)) {
    result.outcome = base::Outcome::Oom;
    result.reason = "out of memory: the kernel ended it, or a process of it";
  }
  return result;
}

wire::Result Keeper::result_of_ending(const Job& job) const {
  const int last_signal = job.ending->killer.last_signal();
  wire::Result result;
  result.outcome = *job.ending->outcome;
  result.reason = job.ending->reason;
  result.exit_code = -1;
  result.signal = job.is_reaped && WIFSIGNALED(job.status) ? WTERMSIG(job.status) : last_signal != 0 ? last_signal : SIGTERM;
  return result;
}

void Keeper::on_deadlines(base::TimePoint now) {
  std::vector<Job*> due;
  for (auto& [seat, job] : jobs_)
    if (!job->ending && job->deadline <= now) due.push_back(job.get());
  for (Job* job : due) {
    if (job->pid == 0) launch(*job);
    else become_ending(*job, base::Outcome::Timeout);
  }
}

void Keeper::become_ending(Job& job, std::optional<base::Outcome> outcome) {
  if (job.ending) return;
  // The number of a reaped leader may be another's by now.
  const Tree tree{job.is_reaped ? 0 : job.pid, shared_->mark(job.start.seat)};
  job.ending.emplace(Ending{outcome, TreeKiller(tree, job.start.command.term_seq, monotonic_now())});
  ++endings_;
}

bool Keeper::is_ended(Job& job, const ProcessTable& table, base::TimePoint now) {
  TreeKiller& killer = job.ending->killer;
  if (killer.next_step() > now) return false;
  const bool is_gone = killer.step(table, now, !job.is_reaped);
  for (const pid_t dead : killer.dead_children())
    if (dead != job.pid) waitpid(dead, nullptr, 0);
  if (!is_gone) return false;
  return try_reap(job) || killer.has_left_some();
}

void Keeper::step_endings(base::TimePoint now) {
  std::vector<Job*> due;
  for (auto& [seat, job] : jobs_)
    if (job->ending && job->ending->killer.next_step() <= now) due.push_back(job.get());
  if (due.empty()) return;
  const ProcessTable table(getpid());
  for (Job* job : due) {
    if (!is_ended(*job, table, now)) {
      tell_if_stuck(*job);
      continue;
    }
    wire::Result result = job->ending->outcome ? result_of_ending(*job) : result_of_leader(*job);
    if (job->ending->killer.has_left_some()) result.reason += (result.reason.empty() ? "" : "; ") + std::string("processes of another user could not be ended");
    read_to_end(*job);
    --endings_;
    report(*job, std::move(result));
  }
  if (endings_ == 0) on_children();  // what was not looked at meanwhile
}

void Keeper::tell_if_stuck(Job& job) {
  const pid_t process = job.ending->killer.stuck();
  if (process == 0 || is_peer_gone_ || std::exchange(job.ending->is_told_stuck, true)) return;
  append_frame(channel_.out(), KeeperStuck{job.start.seat, process});
}

bool Keeper::has_only_stuck() const {
  return !jobs_.empty() && std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) { return entry.second->ending && entry.second->ending->killer.stuck() != 0; });
}

void Keeper::report_unstarted(Job& job, base::Outcome outcome, int exit_code, std::string reason) {
  wire::Result result;
  result.outcome = outcome;
  result.exit_code = exit_code;
  result.reason = std::move(reason);
  report(job, std::move(result));
}

// Ends the job: `job` is gone afterwards.
void Keeper::report(Job& job, wire::Result result) {
  for (Stream& stream : job.streams) close_stream(stream);
  const std::uint32_t seat = job.start.seat;
  shared_->at(seat) = {};
  if (!job.is_reaped) seats_.erase(job.pid);
  result.attempt = job.start.attempt;
  result.slot = job.start.slot;
  result.started_at = job.started_at;
  result.runtime_us = static_cast<std::uint64_t>((monotonic_now() - job.started).count());
  result.finished_at = job.started_at + static_cast<std::int64_t>(result.runtime_us);
  result.user_us = microseconds(job.usage.ru_utime);
  result.system_us = microseconds(job.usage.ru_stime);
  result.max_rss_kb = static_cast<std::uint64_t>(job.usage.ru_maxrss);
  result.out = std::move(job.streams[0].bytes);
  result.err = std::move(job.streams[1].bytes);
  result.out_bytes = job.streams[0].length;
  result.err_bytes = job.streams[1].length;
  if (!is_peer_gone_) append_frame(channel_.out(), seat, result);
  jobs_.erase(seat);
}

}  // namespace worker
