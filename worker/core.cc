#include "worker/core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wire/limits.h"

namespace worker {

using base::Attempt;
using base::Generation;
using base::Outcome;

namespace {
constexpr std::size_t kCompany = 256;  // results that wait for no more
constexpr const char* kOverdue = "its lease was over before it could start";
constexpr base::Duration kConfirmPatience{5'000'000};  // of a worker that was told to stop: a container is killed 10 s after that

// One line, and no longer than it may be: a handler or a coprocess may have more to say.
void become_line(std::string& reason) {
  if (reason.size() > wire::kMaxReason) reason.resize(wire::kMaxReason);
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  std::replace(reason.begin(), reason.end(), '\n', ' ');
}
}  // namespace

Core::Core(const CoreConfig& config)
    : config_(config), heartbeat_(config.heartbeat), lease_(config.lease), random_(config.seed), clock_(config.heartbeat), slots_(config.slots + 1),
      wanted_slots_(config.slots), free_slots_(config.slots), usable_slots_(config.slots), gate_(config.starts), inputs_(config.input_window), window_(config.slots),
      session_wait_(std::max(config.heartbeat * 3, config.connect_timeout + config.heartbeat), config.lease) {}

void Core::on(Event&& event, base::TimePoint now, Effects& effects) {
  now_ = clock_.advance(now);
  clock_now_ = now;
  effects_ = &effects;
  if (!has_started_) {
    has_started_ = true;
    echoed_at_ = idle_since_ = next_heartbeat_ = now_;
    open_session();
  }
  if (has_exited_) return;
  if (now >= permits_.soonest()) end_overdue();  // first: an echo that was read too late renews nothing
  std::visit([this](auto&& e) { on_event(std::move(e)); }, std::move(event));
}

base::TimePoint Core::next_deadline() const {
  if (!has_started_) return base::TimePoint{};
  base::TimePoint at = std::min({next_heartbeat_, held_until_, reopen_at_});
  if (!queue_.empty() && free_slots_ == 0) {
    at = std::min(at, std::max(queue_.front().since, now_ - shortest_busy()) + window_.patience() + base::Duration(1));
  }
  if (!queue_.empty() && free_slots_ > 0 && overdue_.empty() && to_judge_.empty() && !is_full()) at = std::min(at, std::max(now_, gate_.opens_at(now_)));
  if (room_at_ > now_) at = std::min(at, room_at_);
  if (running_.size() > 1 && gate_.rules().free_memory > 0) at = std::min(at, gate_.measure_at());
  return std::min(clock_.real(at), permits_.soonest());
}

bool Core::holds(const Attempt& attempt) const {
  return running_.contains(attempt) || unconfirmed_.contains(attempt) ||
         std::any_of(queue_.begin(), queue_.end(), [&](const Queued& q) { return q.attempt == attempt; }) ||
         std::any_of(unfed_.begin(), unfed_.end(), [&](const Unfed& u) { return u.job.attempt == attempt; });
}

// ---- sessions

void Core::open_session() {
  ++session_;
  is_open_ = false;
  generation_ = {};
  received_ = limit_ = announced_limit_ = measured_limit_ = 0;
  restart_inputs();
  session_at_ = now_;
  reopen_at_ = base::kNever;
  effects_->push_back(OpenSession{session_});
}

void Core::on_event(SessionOpened&& event) {
  endpoint_ = std::move(event.endpoint);
  key_ = std::move(event.key);
  is_open_ = true;
  state_due_ = true;
}

void Core::send_state() {
  wire::State state;
  state.worker = config_.id;
  state.session = session_;
  state.state_seq = ++state_seq_;
  state.endpoint = endpoint_;
  state.key = key_;
  state.host = config_.host;
  state.slots = usable_slots_;
  state.generation = generation_;
  state.limit = limit_;
  state.input_limit = announced_input_limit_ = inputs_.limit();
  state.held.reserve(queued() + running_.size() + unconfirmed_.size());
  for (const Queued& queued : queue_) state.held.push_back({queued.attempt, wire::Held::Phase::Queued});
  for (const Unfed& unfed : unfed_) state.held.push_back({unfed.job.attempt, wire::Held::Phase::Queued});
  for (const auto& [attempt, slot] : running_) state.held.push_back({attempt, wire::Held::Phase::Running});
  for (const auto& [attempt, unconfirmed] : unconfirmed_) state.held.push_back({attempt, wire::Held::Phase::Unconfirmed});
  announced_limit_ = limit_;
  state_due_ = false;
  next_heartbeat_ = now_ + heartbeat_;
  permits_.note_sent(state_seq_, clock_now_, lease_);
  effects_->push_back(SendState{std::move(state)});
}

// A worker hears only frames that name it, its session and the newest generation. The first frame of a higher generation ends the older ones.
bool Core::accept(const base::WorkerId& worker, std::uint64_t session, const Generation& generation, std::uint64_t limit_echo) {
  if (worker != config_.id || session != session_ || !is_open_ || generation < generation_) return ++ignored_, false;
  if (generation > generation_) {
    generation_ = generation;
    received_ = limit_ = announced_limit_ = measured_limit_ = 0;
    restart_inputs();
    raise_limit();
    state_due_ = true;
  } else if (measured_limit_ != 0 && limit_echo >= measured_limit_) {
    window_.note_refill(now_ - measured_since_);
    measured_limit_ = 0;
  }
  return true;
}

void Core::on_event(wire::Refused&& message) {
  if (message.worker != config_.id || !is_open_) return void(++ignored_);
  if (!holds_nothing()) return;  // what is held belongs to the old run, and its head may come back
  session_wait_.grow(random_);   // ask again, less often
  open_session();                // as a worker that knows no run
}

// The connection is needed for others: it is closed until the next try.
void Core::on_event(NoRoom&&) {
  if (!is_open_ || !holds_nothing()) return void(++ignored_);
  is_open_ = false;
  idle_since_ = now_;
  reopen_at_ = now_ + session_wait_.current();
  session_wait_.grow(random_);
  effects_->push_back(CloseSession{});
}

// ---- jobs

void Core::on_event(wire::Job&& message) {
  if (!accept(message.worker, message.session, message.generation, message.limit)) return;
  for (std::size_t i = 0; i < message.items.size(); ++i) {
    const std::uint64_t number = message.first_seq + i;
    if (number <= received_ || number > limit_ || is_complete_) {  // repeated, or never asked for
      ++ignored_;
      continue;
    }
    received_ = number;
    wire::JobItem& item = message.items[i];
    if (running_.contains(item.attempt) || unconfirmed_.contains(item.attempt)) continue;
    if (no_overlap_) permits_.add(item.attempt, lease_);
    window_.note_size(item.spec.size() + item.input);
    if (item.input > 0 && config_.input_window > 0) unfed_.push_back({{item.attempt, std::move(item.spec), now_}, item.input});
    else queue_.push_back({item.attempt, std::move(item.spec), now_});
  }
  if (is_stopped_) return_all("the worker is stopping");
  else if (halt_ != wire::HaltRule::When::Never) return_all("the run stops");
}

void Core::on_event(Ended&& event) {
  const auto it = running_.find(event.result.attempt);
  if (it == running_.end()) return void(++ignored_);
  const std::uint32_t number = it->second;
  Slot& slot = slots_[number];
  event.result.slot = event.result.outcome == Outcome::Returned ? 0 : number;  // what is returned was never started
  running_.erase(it);
  stuck_.erase(event.result.attempt);
  permits_.erase(event.result.attempt);
  if (overdue_.erase(event.result.attempt) > 0) note_overdue(event.result);
  if (evicted_.erase(event.result.attempt) > 0 && event.result.outcome == Outcome::Cancelled) event.result.reason = "ended for want of memory";
  --slot.running;
  if (event.slot_is_lost && !slot.is_lost) {
    slot.is_lost = true;
    ++lost_slots_;
    count_slots();
  } else if (slot.running == 0 && !slot.is_lost) {
    free_slots_ += number <= wanted_slots_;
    if (!event.lacks_room) window_.note_slot(now_ - slot.since, slot.batch);
  }
  await_room(event.lacks_room);
  if (is_complete_) return;
  if (event.slot_is_lost && no_overlap_) return exit(Exit::Why::SlotLost);  // it still runs: with this process it ends
  if (is_stopped_ && event.result.outcome == Outcome::Lost) event.result.outcome = Outcome::Cancelled;
  if (is_to_judge(event.result.outcome)) to_judge_.insert(event.result.attempt);
  hold_outputs(event.result);
  hold_result(std::move(event.result));
}

void Core::on_event(Stuck&& event) {
  if (running_.contains(event.attempt)) stuck_.insert(event.attempt);
  else ++ignored_;
}

// A stream that is too large for RESULT goes ahead of it, and the result only says how long it is. Nobody wants the outputs of an attempt that is to run again.
void Core::hold_outputs(wire::Result& result) {
  const bool wanted = result.has_outcome_of_its_own();
  if (!wanted) outputs_.erase(result.attempt);
  const auto hold = [&](wire::OutputStream stream, std::string& bytes, std::uint64_t& length) {
    if (wanted && (bytes.size() > wire::kInlineOutput || outputs_.length(result.attempt, stream) > 0)) outputs_.append(result.attempt, stream, std::exchange(bytes, {}));
    const std::uint64_t held = outputs_.length(result.attempt, stream);
    length = held > 0 ? held : bytes.size();
  };
  hold(wire::OutputStream::Out, result.out, result.out_bytes);
  hold(wire::OutputStream::Err, result.err, result.err_bytes);
}

void Core::on_event(OutputRead&& event) {
  if (is_complete_ || !running_.contains(event.attempt)) return void(++ignored_);
  outputs_.append(event.attempt, event.stream, std::move(event.bytes));
}

void Core::on_event(wire::Free&& message) {
  if (!accept(message.worker, message.session, message.generation, 0)) return;
  for (const wire::StoredOutput& item : message.items) {
    if (!outputs_.note_stored(item.attempt, item.stream, item.length) || !running_.contains(item.attempt)) continue;
    effects_->push_back(Grant{item.attempt, item.stream, std::min(item.length, outputs_.length(item.attempt, item.stream)) + config_.output_window});
  }
}

void Core::send_outputs() {
  parts_.clear();
  outputs_.take_unsent(state_seq_ + 1, config_.output_window, parts_);
  for (const OutputStore::Part& part : parts_) effects_->push_back(SendOutput{part.attempt, part.stream, part.offset});
}

// What nobody has taken yet is as much as is to be held: nothing is started or asked for on top of it.
bool Core::is_full() const {
  const std::size_t bound = wire::kMaxUnconfirmedBytes + wire::kOutputStreams * (slots_.size() - 1) * config_.output_window;
  return unconfirmed_bytes_ >= wire::kMaxUnconfirmedBytes || unconfirmed_bytes_ + outputs_.held_bytes() >= bound;
}

void Core::hold_result(wire::Result&& result) {
  const Attempt attempt = result.attempt;
  become_line(result.reason);
  unconfirmed_bytes_ += result.text_bytes();
  unconfirmed_.emplace(attempt, Unconfirmed{std::move(result), 0});
  if (to_send_.empty()) held_since_ = now_;
  to_send_.push_back(attempt);
}

// Gives back what has not started, but for the first `keep`.
void Core::return_queued(std::size_t keep, const char* reason) {
  while (queue_.size() > keep) {
    give_back(queue_.back(), reason);
    queue_.pop_back();
  }
}

void Core::give_back(const Queued& job, const char* reason) {
  wire::Result result;
  result.attempt = job.attempt;
  result.outcome = Outcome::Returned;
  result.reason = reason;
  permits_.erase(job.attempt);
  if (config_.input_window > 0) effects_->push_back(DropInput{job.attempt});
  hold_result(std::move(result));
}

void Core::return_all(const char* reason) {
  return_queued(0, reason);
  return_unfed(reason);
}

base::Duration Core::shortest_busy() const {
  if (free_slots_ > 0) return base::Duration::zero();
  base::Duration shortest = base::Duration::max();
  for (std::size_t i = 1; i <= wanted_slots_; ++i) {
    if (!slots_[i].is_lost) shortest = std::min(shortest, now_ - slots_[i].since);
  }
  return shortest;
}

void Core::raise_limit() {
  if (generation_ == Generation{} || is_stopped_ || is_complete_ || halt_ != wire::HaltRule::When::Never) return;
  if (unconfirmed_.size() >= wire::kMaxUnconfirmed || is_full() || now_ < room_at_) return;
  const std::uint64_t window = this->window(), held = queued() + running_.size();
  if (held >= window) return;
  const std::uint64_t limit = received_ + window - held;
  if (limit <= limit_) return;
  limit_ = limit;
  if (measured_limit_ == 0) {
    measured_limit_ = limit;
    measured_since_ = now_;
  }
}

// ---- attempts that must not overlap

void Core::forbid_overlap() {
  no_overlap_ = true;
  for (const Queued& queued : queue_) permits_.add(queued.attempt, lease_);
  for (const Unfed& unfed : unfed_) permits_.add(unfed.job.attempt, lease_);
  for (const auto& [attempt, slot] : running_) permits_.add(attempt, lease_);
}

// The sink may soon give them up, and others may then begin them.
void Core::end_overdue() {
  for (const Attempt& attempt : permits_.take_overdue(clock_now_)) {
    if (running_.contains(attempt)) {
      overdue_.insert(attempt);
      effects_->push_back(Kill{attempt});
      continue;
    }
    const auto queued = std::find_if(queue_.begin(), queue_.end(), [&](const Queued& q) { return q.attempt == attempt; });
    if (queued == queue_.end()) {
      return_unfed(attempt, kOverdue);
      continue;
    }
    std::swap(*queued, queue_.back());
    return_queued(queue_.size() - 1, kOverdue);
  }
}

// What the keeper ended when its time was up may look like a failure of its own.
void Core::note_overdue(wire::Result& result) {
  constexpr int kKilled = 9;
  if (result.outcome == Outcome::Failed && result.signal == kKilled) result.outcome = Outcome::Cancelled;
  if (result.outcome == Outcome::Cancelled) result.reason = "ended with its lease: nothing had been heard of the sink";
}

// For what runs already; what is started next tells its own. While some are being ended the keeper is to go on ending what runs.
void Core::renew_until() {
  if (!no_overlap_ || !overdue_.empty()) return;
  base::TimePoint until = base::kNever;
  for (const auto& [attempt, slot] : running_) until = std::min(until, permits_.until(attempt));
  if (running_.empty() && !queue_.empty()) told_until_ = base::kNever;
  else tell_until(until);
}

void Core::tell_until(base::TimePoint at) {
  if (at == told_until_) return;
  told_until_ = at;
  effects_->push_back(RunUntil{at});
}

// ---- confirms and the end

void Core::on_event(wire::Ctrl&& message) {
  if (!accept(message.worker, message.session, message.generation, message.limit)) return;
  heartbeat_ = std::max(message.heartbeat, base::Duration(1000));
  lease_ = std::max(message.lease, heartbeat_);
  clock_.set_step(heartbeat_);
  if (message.no_overlap && !no_overlap_) forbid_overlap();
  obey_halt(message.halt);
  for (const Attempt& attempt : message.confirms) {
    const auto it = unconfirmed_.find(attempt);
    if (it == unconfirmed_.end()) continue;
    unconfirmed_bytes_ -= it->second.result.text_bytes();
    unconfirmed_.erase(it);
    outputs_.erase(attempt);
    to_judge_.erase(attempt);
  }
  if (message.state_seq <= state_seq_ && message.state_seq > echoed_) {
    echoed_ = message.state_seq;
    echoed_at_ = now_;
    permits_.note_echo(echoed_, lease_);
    session_wait_ = base::Backoff(std::max(heartbeats(3), config_.connect_timeout + heartbeat_), lease_);
    for (auto& [attempt, unconfirmed] : unconfirmed_) {
      if (unconfirmed.next_state == 0 || unconfirmed.next_state > echoed_) continue;
      unconfirmed.next_state = 0;
      to_send_.push_back(attempt);
    }
    outputs_.note_echo(echoed_);
  }
  if (message.complete && !is_complete_) {
    is_complete_ = true;
    queue_.clear();
    unfed_.clear();
    unconfirmed_.clear();
    to_send_.clear();
    outputs_.clear();
    for (const auto& [attempt, slot] : running_) effects_->push_back(Kill{attempt});
  }
}

void Core::on_event(Stop&&) { stop("the worker is stopping"); }

void Core::stop(const char* reason) {
  if (is_stopped_) return;
  is_stopped_ = true;
  stopped_at_ = now_;
  return_all(reason);
  for (const auto& [attempt, slot] : running_) effects_->push_back(Kill{attempt});
}

void Core::exit(Exit::Why why) {
  const bool is_all_over = stuck_.empty() && why != Exit::Why::SlotLost;  // or others must not begin it before its lease is over
  if (is_open_ && is_all_over) effects_->push_back(SendBye{{config_.id, session_}});
  effects_->push_back(Exit{why});
  has_exited_ = true;
}

bool Core::tend_exit() {
  if (is_complete_) {
    if (!is_waiting_for_jobs()) exit(Exit::Why::RunComplete);
    return has_exited_;
  }
  if (is_stopped_) {
    if (is_waiting_for_jobs()) stopped_at_ = now_;
    else if (unconfirmed_.empty() || now_ - stopped_at_ > std::min(lease_, kConfirmPatience)) exit(is_head_lost_ ? Exit::Why::HeadNotFound : Exit::Why::Stopped);
    return has_exited_;
  }
  if (config_.stops_without_head && !holds_nothing() && now_ - echoed_at_ > config_.head_timeout) {
    is_head_lost_ = true;
    stop("the worker has lost its head");
    return false;
  }
  // A head that is away costs nothing while there is work; with results that nobody takes, or with nothing at all, the patience is limited.
  if (!running_.empty() || queued() > 0) {
    idle_since_ = now_;
    return false;
  }
  const base::Duration silence = now_ - std::max(echoed_at_, idle_since_);
  if (silence > (unconfirmed_.empty() ? config_.head_timeout : config_.hold_timeout)) exit(Exit::Why::HeadNotFound);
  return has_exited_;
}

// Results of short jobs wait a little for others while every slot has more to do; the window covers that time.
bool Core::may_wait() const {
  return !to_send_.empty() && to_send_.size() < kCompany && free_slots_ == 0 && !queue_.empty() && now_ - held_since_ < kResultsWait && !is_full();
}

void Core::on_event(Turn&&) {
  if (tend_exit()) return;
  if (now_ >= reopen_at_) open_session();
  if (is_open_ && now_ - std::max(echoed_at_, session_at_) > session_wait_.current()) {
    session_wait_.grow(random_);
    open_session();
  }
  renew_until();
  look_at_machine();
  start_jobs();
  if (free_slots_ == 0 && !queue_.empty() && now_ - queue_.front().since > window_.patience() && shortest_busy() > window_.patience()) {
    return_queued(0, "all slots stayed busy");
  }
  const bool is_waiting = may_wait();
  held_until_ = is_waiting ? held_since_ + kResultsWait : base::kNever;
  if (!is_waiting) raise_limit();
  if (!is_open_) {
    next_heartbeat_ = now_ + heartbeat_;
    return;
  }
  send_outputs();  // ahead of the results that rest on them
  if (!to_send_.empty() && !is_waiting) {
    std::erase_if(to_send_, [this](const Attempt& attempt) { return !unconfirmed_.contains(attempt); });
    std::vector<Attempt> waiting;  // for the rest of their outputs to go ahead
    if (outputs_.held_bytes() > 0) {
      const auto waits = std::stable_partition(to_send_.begin(), to_send_.end(), [this](const Attempt& attempt) { return !outputs_.has_unsent(attempt); });
      waiting.assign(waits, to_send_.end());
      to_send_.erase(waits, to_send_.end());
    }
    if (!to_send_.empty()) {
      for (const Attempt& attempt : to_send_) unconfirmed_.at(attempt).next_state = state_seq_ + 1;
      announced_limit_ = limit_;
      effects_->push_back(SendResults{session_, generation_, limit_, std::exchange(to_send_, {})});
    }
    to_send_ = std::move(waiting);
  }
  if (state_due_ || limit_ > announced_limit_ || inputs_.limit() > announced_input_limit_ || now_ >= next_heartbeat_) send_state();
}

void Core::check_invariants() const {
  std::uint32_t running = 0, free = 0;
  for (std::size_t i = 1; i < slots_.size(); ++i) {
    running += slots_[i].running;
    free += i <= wanted_slots_ && slots_[i].running == 0 && !slots_[i].is_lost;
  }
  CHECK_INVARIANT(running == running_.size());
  CHECK_INVARIANT(free == free_slots_);
  CHECK_INVARIANT(received_ <= limit_);
  std::size_t bytes = 0;
  for (const auto& [attempt, unconfirmed] : unconfirmed_) {
    CHECK_INVARIANT(!running_.contains(attempt));
    bytes += unconfirmed.result.text_bytes();
  }
  CHECK_INVARIANT(bytes == unconfirmed_bytes_ || is_complete_);
  for (const Attempt& attempt : stuck_) CHECK_INVARIANT(running_.contains(attempt));
  outputs_.check_invariants();
  for (const Unfed& unfed : unfed_) CHECK_INVARIANT(unfed.kept < unfed.length);
  CHECK_INVARIANT(queued() + running_.size() <= std::max<std::size_t>(wire::kMaxWindow, slots_.size()) || generation_.g > 1);
}

}  // namespace worker
