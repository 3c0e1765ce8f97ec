#include "worker/coprocess_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "io/clock.h"
#include "io/open_files.h"
#include "worker/framing.h"
#include "worker/keeper_launch.h"

namespace worker {

using base::Outcome;

namespace {

constexpr std::size_t kScratch = 64u << 10;
constexpr std::size_t kLargeInput = 1u << 20;    // is not kept room for
constexpr base::Duration kBatch{4000};          // of giving and taking before the caller has its turn
constexpr base::Duration kTakesLeave{1'000'000};  // between a child's last word and its end
constexpr unsigned kMostTries = 6;              // to make a child's streams,
constexpr base::Duration kFirstRetry{20'000};   // after a wait that doubles each time
constexpr std::size_t kFilesOfSlot = 6, kOthersFiles = 256;
constexpr std::uint64_t kKeeperEvent = ~std::uint64_t{0};
constexpr std::uint64_t kTimerEvent = kKeeperEvent - 1;

// Of a child's stream; the child's number tells late events of an earlier one.
constexpr std::uint64_t stream_event(std::uint64_t child, std::uint32_t slot, std::uint64_t stream) { return child << 18 | std::uint64_t{slot} << 2 | stream; }
static_assert(wire::kMaxWindow < 1u << 16);

std::size_t bytes_in(int pipe) {
  int bytes = 0;
  return pipe >= 0 && ioctl(pipe, FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::string path_of(const io::UniqueFd& fd) { return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd.get()); }

}  // namespace

base::Result<std::unique_ptr<CoprocessRunner>> CoprocessRunner::create(Config config, std::uint32_t slots) {
  io::UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC)), timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kTimerEvent;
  if (!epoll || !timer || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event) != 0)
    return base::Error{base::Error::Kind::Io, std::string("cannot wait for coprocesses: ") + std::strerror(errno)};
  return std::unique_ptr<CoprocessRunner>(new CoprocessRunner(std::move(config), std::move(epoll), std::move(timer), slots));
}

CoprocessRunner::CoprocessRunner(Config config, io::UniqueFd epoll, io::UniqueFd timer, std::uint32_t slots)
    : config_(std::move(config)), keeper_(config_.keeper), epoll_(std::move(epoll)), timer_(std::move(timer)), slots_(slots),
      scratch_(std::make_unique_for_overwrite<char[]>(kScratch)), events_(std::min<std::size_t>(3 * slots + 2, 256)) {
  const std::uint64_t files = io::allow_open_files(kOthersFiles + kFilesOfSlot * slots);  // after the keeper has noted what commands are to have
  if (files < kOthersFiles + kFilesOfSlot * slots) {
    slots_.resize(files < kOthersFiles + kFilesOfSlot ? 1 : (files - kOthersFiles) / kFilesOfSlot);
    remarks_.push_back("the hard limit of " + std::to_string(files) + " open files allows " + std::to_string(slots_.size()) + " coprocesses, not " + std::to_string(slots) +
                       "; raise it (ulimit -Hn) or lower --jobs");
  }
  for (std::uint32_t i = 0; i < slots_.size(); ++i) slots_[i].number = i + 1;
}

CoprocessRunner::~CoprocessRunner() {
  for (Slot& slot : slots_) {
    waiting_ -= slot.queue.size();
    slot.queue.clear();
    if ((slot.phase == Phase::Starting || slot.phase == Phase::Up) && !slot.has_record) become_leaving(slot, config_.leave);
  }
  const base::TimePoint until = io::now() + config_.leave;
  const auto is_leaving = [](const Slot& slot) { return slot.phase == Phase::Leaving && !slot.has_record; };
  while (std::any_of(slots_.begin(), slots_.end(), is_leaving)) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - io::now()).count();
    if (left <= 0) return;  // the keeper's end is theirs
    take_events(static_cast<int>(left));
  }
}

// ---- for the shell

void CoprocessRunner::start(const base::Attempt& attempt, std::uint32_t number, base::Record&& record, base::Duration limit) {
  if (!last_program_ || last_program_->framing != record.framing || last_program_->command != record.program)
    last_program_ = std::make_shared<const Program>(Program{std::move(record.program), record.framing});
  Slot& slot = child_of(number);
  slot.queue.push_back({attempt, last_program_, std::move(record.input), limit});
  ++waiting_;
  if (!slot.has_record) advance(slot);
  keeper_watch_.renew(epoll_.get(), keeper_, kKeeperEvent);
}

void CoprocessRunner::run_until(base::TimePoint at) {
  keeper_.run_until(at);
  keeper_watch_.renew(epoll_.get(), keeper_, kKeeperEvent);
}

void CoprocessRunner::kill(const base::Attempt& attempt) {
  for (Slot& slot : slots_) {
    if (slot.has_record && slot.record.attempt == attempt) return end_with(slot, Outcome::Cancelled, {}), keeper_watch_.renew(epoll_.get(), keeper_, kKeeperEvent);
    const auto at = std::find_if(slot.queue.begin(), slot.queue.end(), [&](const Item& item) { return item.attempt == attempt; });
    if (at == slot.queue.end()) continue;
    refuse(*at, slot, Outcome::Cancelled, "cancelled before it was started");
    slot.queue.erase(at);
    --waiting_;
    return;
  }
}

void CoprocessRunner::collect(std::vector<wire::Result>& results, std::vector<std::string>& remarks) {
  const base::TimePoint until = io::now() + kBatch;
  has_idled_ = false;
  take_events(0);
  while (is_batch_going() && io::now() < until) take_events(1);
  std::move(ready_.begin(), ready_.end(), std::back_inserter(results));
  ready_.clear();
  std::move(remarks_.begin(), remarks_.end(), std::back_inserter(remarks));
  remarks_.clear();
}

// ---- events

void CoprocessRunner::take_events(int timeout_ms) {
  const int count = epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout_ms);
  bool has_keeper_news = false, has_timer = false;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    const std::uint64_t about = event.data.u64;
    has_keeper_news |= about == kKeeperEvent;
    has_timer |= about == kTimerEvent;
    if (about == kKeeperEvent || about == kTimerEvent) continue;
    Slot& slot = slots_[about >> 2 & 0xffff];
    if (slot.phase == Phase::None || slot.phase == Phase::Ending || slot.child != about >> 18) continue;
    if ((about & 3) == kErr) on_errors(slot);
    else if ((about & 3) == kIn) (event.events & EPOLLERR) != 0 ? on_input_closed(slot) : write_what_fits(slot);
    else on_output(slot);
  }
  if (has_keeper_news) take_keeper();
  if (has_timer) on_deadlines();
  keeper_watch_.renew(epoll_.get(), keeper_, kKeeperEvent);
}

void CoprocessRunner::take_keeper() {
  ended_.clear();
  keeper_.collect(none_, ended_);
  keeper_watch_.renew(epoll_.get(), keeper_, kKeeperEvent);  // before a closed descriptor's number can be another's
  for (const base::Attempt& child : keeper_.take_launched()) on_launched(child);
  for (const StuckAttempt& child : keeper_.take_stuck()) {
    const Slot& slot = slots_[child.attempt.job - 1];
    if (slot.child == child.attempt.n && slot.has_record) stuck_.push_back({slot.record.attempt, child.process});
  }
  for (wire::Result& ended : ended_) on_child_end(std::move(ended));
}

void CoprocessRunner::watch(Slot& slot, Stream stream, std::uint32_t events, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = stream_event(slot.child, slot.number - 1, stream);
  const io::UniqueFd& fd = stream == kIn ? slot.in : stream == kOut ? slot.out : slot.err;
  epoll_ctl(epoll_.get(), operation, fd.get(), &event);
}

void CoprocessRunner::unwatch(const io::UniqueFd& fd) {
  if (fd) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
}

// The timer rings at the first of the deadlines asked for, or earlier: one that is no more costs a look, not a system call for each record.
void CoprocessRunner::arm(base::TimePoint at) {
  if (at >= armed_) return;
  armed_ = at;
  const auto us = std::max<std::int64_t>(at.time_since_epoch().count(), 1);
  const itimerspec when{{0, 0}, {us / 1'000'000, us % 1'000'000 * 1000}};
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void CoprocessRunner::on_deadlines() {
  std::uint64_t rung = 0;
  (void)!read(timer_.get(), &rung, sizeof rung);
  armed_ = base::kNever;
  const base::TimePoint now = io::now();
  base::TimePoint next = base::kNever;
  for (Slot& slot : slots_) {
    if (slot.deadline <= now) {
      if (slot.phase == Phase::Leaving && !slot.has_record) become_ending(slot);
      else if (slot.phase == Phase::Leaving)
        end_with(slot, Outcome::Failed, std::string("the coprocess closed its ") + (slot.out ? "input before it had the record" : "output before it answered"));
      else end_with(slot, Outcome::Timeout, {});
    }
    if (slot.retry_at <= now) {
      slot.retry_at = base::kNever;
      advance(slot);
    }
    next = std::min({next, slot.deadline, slot.retry_at});
  }
  if (next != base::kNever) arm(next);
}

// ---- a child's life

// Gives the next record, if there is one and the child is ready for it.
void CoprocessRunner::advance(Slot& slot) {
  while (!slot.has_record && !slot.queue.empty()) {
    if (slot.phase == Phase::Leaving || slot.phase == Phase::Ending) return;  // until the keeper has told its end
    if (slot.retry_at != base::kNever) return;
    Item& next = slot.queue.front();
    if (slot.phase != Phase::None && slot.program != next.program && *slot.program != *next.program) return become_leaving(slot, config_.leave);
    if (slot.phase != Phase::None && slot.is_deaf) return become_leaving(slot, config_.leave);
    if (slot.phase != Phase::None && has_surplus(slot)) return;
    Item item = std::move(next);
    slot.queue.pop_front();
    --waiting_;
    give(slot, std::move(item));
  }
  has_idled_ |= !slot.has_record;
}

void CoprocessRunner::give(Slot& slot, Item&& item) {
  if (slot.sent == slot.unsent.size()) {
    slot.unsent.clear();
    slot.sent = 0;
    if (slot.unsent.capacity() > kLargeInput) slot.unsent.shrink_to_fit();
  }
  slot.record_at = slot.unsent.size();
  if (auto why_not = write_record(item.program->framing, item.attempt.job, item.input, slot.unsent)) return refuse(item, slot, Outcome::Failed, std::move(*why_not));
  slot.record = std::move(item);
  slot.has_record = true;
  slot.started_at = io::wall_now();
  slot.started = io::now();
  slot.deadline = slot.record.limit.count() > 0 ? slot.started + slot.record.limit : base::kNever;
  if (slot.deadline != base::kNever) arm(slot.deadline);
  if (slot.phase == Phase::None && !become_starting(slot)) return;
  write_what_fits(slot);
}

// False: its pipes cannot be made; the record waits, or has failed.
bool CoprocessRunner::become_starting(Slot& slot) {
  slot.program = slot.record.program;
  io::UniqueFd* const ours[] = {&slot.in, &slot.out, &slot.err};
  for (int i = 0; i < 3; ++i) {
    int ends[2];
    // The child opens its ends anew, so that it does not see that ours never block.
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
      const int error = errno;
      if (++slot.failed_starts < kMostTries) {  // others may give back what is missing
        take_back_record(slot);
        slot.retry_at = io::now() + kFirstRetry * (1 << (slot.failed_starts - 1));
        become_none(slot);
        arm(slot.retry_at);
        return false;
      }
      wire::Result result = result_of(slot, Outcome::Failed, std::string("cannot make the coprocess's streams: ") + std::strerror(error));
      result.exit_code = kCannotExecute;
      slot.failed_starts = 0;
      become_none(slot);
      finish(slot, std::move(result));
      return false;
    }
    ours[i]->reset(ends[i == 0 ? 1 : 0]);
    slot.child_ends[i].reset(ends[i == 0 ? 0 : 1]);
  }
  slot.phase = Phase::Starting;
  slot.failed_starts = 0;
  slot.child = ++children_;
  slot.answered = 0;
  slot.awaits_room = slot.is_deaf = false;
  watch(slot, kIn, 0, EPOLL_CTL_ADD);  // tells also when nobody can read it any more
  watch(slot, kOut, EPOLLIN, EPOLL_CTL_ADD);
  watch(slot, kErr, EPOLLIN, EPOLL_CTL_ADD);
  // No attempt of a run has epoch 0: the keeper sees that this is not one job's.
  keeper_.start_with_streams({slot.number, 0, slot.child}, slot.number, slot.program->command,
                             {path_of(slot.child_ends[0]), path_of(slot.child_ends[1]), path_of(slot.child_ends[2])});
  return true;
}

void CoprocessRunner::on_launched(const base::Attempt& child) {
  Slot& slot = slots_[child.job - 1];
  if (slot.child != child.n || slot.phase == Phase::None) return;
  for (io::UniqueFd& end : slot.child_ends) end.reset();
  if (slot.phase == Phase::Starting) slot.phase = Phase::Up;
}

// It has `patience` to go by itself.
void CoprocessRunner::become_leaving(Slot& slot, base::Duration patience) {
  slot.phase = Phase::Leaving;
  if (!slot.has_record) close_input(slot);
  slot.deadline = std::min(slot.deadline, io::now() + patience);
  arm(slot.deadline);
}

void CoprocessRunner::close_input(Slot& slot) {
  unwatch(slot.in);
  slot.in.reset();
}

void CoprocessRunner::become_ending(Slot& slot) {
  if (slot.phase == Phase::Ending) return;
  slot.phase = Phase::Ending;
  slot.deadline = base::kNever;
  close_input(slot);
  unwatch(slot.out);
  unwatch(slot.err);
  keeper_.kill({slot.number, 0, slot.child});
}

void CoprocessRunner::become_none(Slot& slot) {
  slot.phase = Phase::None;
  slot.deadline = base::kNever;
  close_input(slot);
  unwatch(slot.out);
  unwatch(slot.err);
  for (io::UniqueFd* fd : {&slot.out, &slot.err, &slot.child_ends[0], &slot.child_ends[1], &slot.child_ends[2]}) fd->reset();
  slot.said.clear();
  slot.err_text.clear();
  slot.searched = 0;
  slot.unsent.clear();  // nothing of it is for the next child
  slot.sent = 0;
}

// Ends the child for what it did, or did not do, with its record; the result waits until its processes are gone.
void CoprocessRunner::end_with(Slot& slot, Outcome outcome, std::string reason) {
  if (!slot.has_verdict) {
    slot.has_verdict = true;
    slot.verdict = result_of(slot, outcome, std::move(reason));
  }
  become_ending(slot);
}

void CoprocessRunner::on_child_end(wire::Result&& ended) {
  Slot& slot = slots_[ended.attempt.job - 1];
  if (slot.child != ended.attempt.n || slot.phase == Phase::None) return;
  const bool was_launched = !slot.child_ends[0];
  const Phase was = std::exchange(slot.phase, Phase::Ending);
  on_errors(slot);
  if (was != Phase::Ending) on_output(slot);  // its last words may be an answer
  const bool was_untouched = slot.has_record && !slot.has_verdict && slot.answered > 0 && slot.said.empty() && !has_read_of_record(slot);
  std::string err = std::move(slot.err_text);
  const bool is_lost = ended.outcome == Outcome::Lost || ended.outcome == Outcome::Returned;
  const bool is_of_keeper = ended.outcome == Outcome::Oom || ended.outcome == Outcome::Cancelled;  // not the child's own doing, and nobody here asked for it
  if (was_untouched && !is_lost) {
    // It had gone between two records, and nobody has seen this one.
    take_back_record(slot);
  } else if (slot.has_record) {
    wire::Result result;
    if (slot.has_verdict) {
      result = std::move(slot.verdict);
      if (result.outcome != Outcome::Failed) result.signal = ended.signal;
    } else if (is_lost || is_of_keeper || (!was_launched && !ended.reason.empty())) {
      result = result_of(slot, ended.outcome, ended.reason);
      result.exit_code = ended.exit_code;
      result.signal = ended.signal;
    } else {
      const std::string how = ended.signal != 0 ? "was ended by signal " + std::to_string(ended.signal) : "ended with status " + std::to_string(ended.exit_code);
      result = result_of(slot, Outcome::Failed, "the coprocess " + how + " before it answered");
      result.signal = ended.signal;
      result.exit_code = ended.signal == 0 && ended.exit_code == 0 ? 1 : ended.exit_code;  // 0 would say that all is well
    }
    result.err = std::move(err);
    become_none(slot);
    finish(slot, std::move(result));
  }
  become_none(slot);
  advance(slot);
}

void CoprocessRunner::take_back_record(Slot& slot) {
  slot.has_record = false;
  slot.queue.push_front(std::move(slot.record));
  ++waiting_;
}

// Whether the child has read any byte of its record.
bool CoprocessRunner::has_read_of_record(const Slot& slot) const {
  return slot.sent > slot.record_at && bytes_in(slot.in.get()) < slot.sent - slot.record_at;
}

// ---- its streams

void CoprocessRunner::write_what_fits(Slot& slot) {
  while (slot.in && !slot.is_deaf && slot.sent < slot.unsent.size()) {
    const ssize_t n = write(slot.in.get(), slot.unsent.data() + slot.sent, slot.unsent.size() - slot.sent);
    if (n > 0) slot.sent += static_cast<std::size_t>(n);
    else if (errno == EAGAIN) break;
    else if (errno != EINTR) return on_input_closed(slot);
  }
  const bool awaits_room = slot.in && !slot.is_deaf && slot.sent < slot.unsent.size();
  if (awaits_room == slot.awaits_room) return;
  slot.awaits_room = awaits_room;
  watch(slot, kIn, awaits_room ? std::uint32_t{EPOLLOUT} : 0, EPOLL_CTL_MOD);
}

// Nobody can read what is written to the child.
void CoprocessRunner::on_input_closed(Slot& slot) {
  unwatch(slot.in);
  slot.is_deaf = true;
  const bool has_all = slot.has_record && slot.sent == slot.unsent.size() && bytes_in(slot.in.get()) == 0;
  // It may still answer what it has read. Otherwise it is most likely ending, and the keeper will tell how.
  if (!has_all && (slot.phase == Phase::Starting || slot.phase == Phase::Up)) become_leaving(slot, kTakesLeave);
}

void CoprocessRunner::on_errors(Slot& slot) {
  const ssize_t n = slot.err ? read(slot.err.get(), scratch_.get(), kScratch) : -1;
  if (n == 0) {
    unwatch(slot.err);
    slot.err.reset();
  } else if (n > 0) {
    slot.err_text.append(scratch_.get(), std::min(static_cast<std::size_t>(n), config_.answer - slot.err_text.size()));
  }
}

void CoprocessRunner::on_output(Slot& slot) {
  const ssize_t n = slot.out ? read(slot.out.get(), scratch_.get(), kScratch) : -1;
  if (n < 0) return;
  if (n == 0) return on_output_closed(slot);
  slot.said.append(scratch_.get(), static_cast<std::size_t>(n));
  if (slot.has_record && !slot.has_verdict) on_answer(slot);
  else if (slot.phase == Phase::Leaving && !slot.has_record) slot.said.clear();  // parting words
  else if (!slot.has_record) has_surplus(slot);
}

void CoprocessRunner::on_output_closed(Slot& slot) {
  unwatch(slot.out);
  slot.out.reset();
  // Most likely it is ending, and the keeper will tell how.
  if (slot.phase == Phase::Starting || slot.phase == Phase::Up) become_leaving(slot, kTakesLeave);
}

// Looks for an answer in what was said; REQUIRES: there is a record that waits for it.
void CoprocessRunner::on_answer(Slot& slot) {
  const base::Framing framing = slot.program->framing;
  const FoundAnswer found = find_answer(framing, slot.said, slot.searched, config_.answer);
  slot.searched = slot.said.size();
  if (found.state == FoundAnswer::State::NotWhole) return;
  if (found.state == FoundAnswer::State::TooLong)
    return end_with(slot, Outcome::Failed, "the coprocess's answer is over " + std::to_string(config_.answer) + " bytes");
  if (found.end < slot.said.size())
    return end_with(slot, Outcome::Failed, "the coprocess answered more than it was asked for: " + std::to_string(slot.said.size() - found.end) + " bytes behind its answer");
  auto fault = fault_of_answer(framing, slot.record.attempt.job, std::string_view(slot.said).substr(found.begin, found.size));
  if (bytes_in(slot.err.get()) > 0) on_errors(slot);  // said before the answer, so it belongs to it
  wire::Result result = result_of(slot, fault ? Outcome::Failed : Outcome::Ok, fault ? std::move(fault->reason) : std::string());
  if (!fault || fault->is_answer) result.out.assign(slot.said, found.begin, found.size);
  result.err = std::exchange(slot.err_text, {});
  slot.said.clear();
  slot.searched = 0;
  ++slot.answered;
  finish(slot, std::move(result));
  if (slot.phase == Phase::Leaving) become_leaving(slot, config_.leave);
  advance(slot);
}

// A child that has written something nobody asked for is ended: its next answer could not be told from that.
bool CoprocessRunner::has_surplus(Slot& slot) {
  const std::size_t bytes = slot.said.size() + bytes_in(slot.out.get());
  if (bytes == 0) return false;
  if (slot.phase != Phase::Ending)
    remarks_.push_back("the coprocess in slot " + std::to_string(slot.number) + " wrote " + std::to_string(bytes) + " bytes that it was not asked for; it is replaced");
  become_ending(slot);
  return true;
}

// ---- results

wire::Result CoprocessRunner::result_of(const Slot& slot, Outcome outcome, std::string reason) const {
  wire::Result result;
  result.attempt = slot.record.attempt;
  result.slot = slot.number;
  result.outcome = outcome;
  result.exit_code = outcome == Outcome::Ok ? 0 : outcome == Outcome::Failed ? 1 : -1;
  result.started_at = slot.started_at;
  result.runtime_us = static_cast<std::uint64_t>((io::now() - slot.started).count());
  result.finished_at = result.started_at + static_cast<base::WallTime>(result.runtime_us);
  result.reason = std::move(reason);
  return result;
}

void CoprocessRunner::finish(Slot& slot, wire::Result&& result) {
  result.out_bytes = result.out.size();
  result.err_bytes = result.err.size();
  ready_.push_back(std::move(result));
  slot.has_record = slot.has_verdict = false;
  slot.deadline = base::kNever;
  if (slot.phase == Phase::None) arm(io::now());  // no event may follow
}

// The result of a record that no child is given.
void CoprocessRunner::refuse(const Item& item, const Slot& slot, Outcome outcome, std::string reason) {
  wire::Result result;
  result.attempt = item.attempt;
  result.slot = slot.number;
  result.outcome = outcome;
  result.exit_code = outcome == Outcome::Failed ? 1 : -1;
  result.started_at = result.finished_at = io::wall_now();
  result.reason = std::move(reason);
  ready_.push_back(std::move(result));
  arm(io::now());
}

}  // namespace worker
