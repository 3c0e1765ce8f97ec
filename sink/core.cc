#include "sink/core.h"

#include <algorithm>
#include <utility>

#include "wire/limits.h"

namespace sink {

namespace {
constexpr std::size_t kCommitRows = 1024;      // a batch closes at so many rows even while more arrive
constexpr std::size_t kConfirmCount = 64;      // confirms are lazy: so many,
constexpr base::Duration kConfirmWait{50'000};  // or after so long
constexpr base::Duration kConnectTimeout{3'000'000};
constexpr base::Duration kLeastHeartbeat{1'000};  // whatever a ventilator says
constexpr JobId kGreatestJob = JobId{1} << 48;    // far above any run, and an integer to any database

// At most once: what may have begun, and did not end by itself, is lost for good. Only what was never started may go out again.
void forbid_again(wire::Result& result) {
  if (result.outcome != Outcome::Cancelled && (result.outcome != Outcome::Returned || result.slot == 0)) return;
  if (result.reason.empty()) result.reason = base::name(result.outcome);
  result.reason += "; not run again";
  result.outcome = Outcome::Lost;
}
}  // namespace

Core::Core(const CoreRecovery& recovered)
    : sink_epoch_(recovered.sink_epoch), policy_(recovered.policy.value_or(wire::Policy{})), has_policy_(recovered.policy.has_value()),
      clock_(policy_.heartbeat), halt_(recovered.halt.value_or(LogHalt{})), in_job_order_(recovered.in_job_order), emitted_(recovered.emitted), moved_(recovered.moved), logged_emitted_(recovered.emitted) {
  if (!recovered.ended) return;
  total_ = recovered.ended->total;
  cut_ = recovered.ended->cut;
  is_end_logged_ = true;
}

void Core::recover_finished(JobId job, bool failed) { progress_.become_finished(job, failed); }

void Core::recover_ended(const EndedAttempt& ended) {
  JobRecord& record = progress_.get(ended.attempt.job);
  record.add_ended(ended);
  record.current = std::max(record.current, ended.attempt);
}

void Core::recover_retried(JobId job, std::uint64_t least_epoch) {
  JobRecord& record = progress_.get(job);
  record.least_epoch = std::max(record.least_epoch, least_epoch);
}

void Core::on(Event&& event, base::TimePoint now, Effects& effects) {
  now_ = clock_.advance(now);
  const bool is_first = !has_started_;
  if (is_first) {
    has_started_ = true;
    started_ = next_judging_ = next_heartbeat_ = now_;
    halt_.finished = std::min(halt_.finished, progress_.finished());  // a retry may have taken some away
    halt_.failed = std::min(halt_.failed, progress_.failed());
  }
  if (has_exited_) return;
  effects_ = &effects;
  if (is_first) judge_halt();  // it was killed before it could
  std::visit([this](auto&& e) { on_event(std::move(e)); }, std::move(event));
}

base::TimePoint Core::next_deadline() const {
  if (!has_started_) return base::TimePoint{};
  return clock_.real(std::min({next_judging_, next_heartbeat_, confirms_due_}));
}

// ---- the ventilator

bool Core::accept(const wire::Stamp& stamp) {
  if (stamp.epoch < ventilator_epoch_) return ++ignored_, false;
  if (stamp.epoch > ventilator_epoch_) {
    ventilator_epoch_ = stamp.epoch;
    expected_seq_ = stamp.seq;
    needs_snapshot_ = true;
    for (auto& [id, worker] : workers_) note_news(id, worker);
    if (confirms_held_ > 0) confirms_due_ = now_;
  }
  if (stamp.seq < expected_seq_) return ++ignored_, false;
  if (stamp.seq > expected_seq_) needs_snapshot_ = true;
  expected_seq_ = stamp.seq + 1;
  return true;
}

void Core::on_event(wire::Open&& message) {
  if (!accept(message.stamp)) return;
  if (!has_policy_ || message.policy != policy_) {
    policy_ = message.policy;
    policy_.heartbeat = std::max(policy_.heartbeat, kLeastHeartbeat);
    policy_.lease = std::max(policy_.lease, policy_.heartbeat);
    has_policy_ = true;
    clock_.set_step(policy_.heartbeat);
    log(LogPolicy{policy_});
  }
  end_halt(message.halts_over);
  judge_input(message);
  judge_halt();  // a share of all counts once all are known
  opened_at_ = now_;
  judge_feedback(message);
  if (message.endpoint != feedback_endpoint_ || is_feedback_broken_) {
    feedback_endpoint_ = message.endpoint;
    is_feedback_broken_ = false;
    unheard_since_.reset();
    effects_->push_back(OpenFeedback{feedback_endpoint_});
    needs_snapshot_ = true;
  }
  const bool wanted = message.want_snapshot || needs_snapshot_ || message.stamp.sink_epoch != sink_epoch_;
  if (wanted && (!has_sent_snapshot_ || needs_snapshot_ || now_ - snapshot_at_ >= policy_.heartbeat / 2)) snapshot_due_ = true;
  else alive_due_ = true;
}

// What OPEN says of the input is absolute. One that had been cut may go on under a new ventilator, also when the run has ended with it.
void Core::judge_input(const wire::Open& message) {
  if (is_end_logged_ && !cut_) return;
  if (is_end_logged_ && (message.total != total_ || !message.cut)) {
    is_end_logged_ = false;
    ended_at_.reset();
    log(TakeBackEnd{});
  }
  if (is_end_logged_) return;
  total_ = message.total;
  cut_ = message.cut;
}

// A ventilator that asks again and again does not hear us: the connection to it never came about, or met a stranger, and will not be made again by itself.
void Core::judge_feedback(const wire::Open& message) {
  if (!message.want_snapshot && message.stamp.sink_epoch == sink_epoch_) return unheard_since_.reset();
  if (!unheard_since_) unheard_since_ = now_;
  if (now_ - *unheard_since_ > std::max(heartbeats(3), kConnectTimeout + heartbeats(1))) is_feedback_broken_ = true;
}

void Core::on_event(wire::Assign&& message) {
  if (!accept(message.stamp)) return;
  const auto worker = workers_.find(message.worker);
  for (wire::Assigned& item : message.items) {
    const Attempt& attempt = item.attempt;
    if (!is_plausible(attempt)) continue;
    if (progress_.is_finished(attempt.job)) {
      done_.push_back(attempt.job);
      continue;
    }
    JobRecord& record = progress_.get(attempt.job);
    const EndedAttempt* ended = record.find_ended(attempt);
    if (ended != nullptr || record.is_void(attempt)) {
      requeued_.push_back({attempt, ended != nullptr ? ended->outcome : Outcome::Returned, record.must_run_alone(), record.failures()});
      continue;
    }
    if (record.find_live(attempt) == nullptr) lease(record, attempt, message.worker);
    LiveAttempt* live = record.find_live(attempt);
    live->alone = item.alone;
    live->command = std::move(item.command);
    live->label = std::move(item.label);
    if (message.session != 0) {
      live->worker = message.worker;
      live->session = message.session;
      live->generation = message.generation;
      if (worker != workers_.end() && is_returned(*live, worker->second)) end_returned(attempt.job, attempt);
    }
  }
}

void Core::on_event(wire::Gone&& message) {
  if (!accept(message.stamp)) return;
  const auto worker = workers_.find(message.worker);
  if (worker == workers_.end() || worker->second.generation > message.generation) return;
  if (!worker->second.gone_at) worker->second.gone_at = now_;
}

void Core::on_event(wire::Close&& message) {
  if (!accept(message.stamp)) return;
  if (message.is_halted) return void(is_closing_ = true);
  if (!ended_at_) return void(++ignored_);
  flush();
  effects_->push_back(Exit{});
  has_exited_ = true;
}

void Core::on_event(FeedbackBroken&&) { is_feedback_broken_ = true; }

// It may take long to compare its input, behind which the run may go on.
void Core::on_event(VentilatorComes&&) {
  if (ended_at_) ended_at_ = now_;
}

// ---- workers

void Core::on_event(wire::State&& message) {
  WorkerRecord& worker = workers_[message.worker];
  if (std::pair(message.session, message.state_seq) < std::pair(worker.session, worker.state_seq)) return void(++ignored_);
  const bool is_newer = std::pair(message.session, message.generation) > std::pair(worker.session, worker.generation);
  worker.session = message.session;
  worker.state_seq = message.state_seq;
  worker.endpoint = std::move(message.endpoint);
  worker.key = std::move(message.key);
  worker.host = std::move(message.host);
  worker.slots = message.slots;
  worker.generation = message.generation;
  worker.limit = message.limit;
  worker.input_limit = message.input_limit;
  worker.heard_at = now_;
  worker.gone_at.reset();
  worker.held.clear();
  for (const wire::Held& held : message.held) {
    if (!is_plausible(held.attempt) || progress_.is_finished(held.attempt.job)) continue;
    JobRecord& record = progress_.get(held.attempt.job);
    if (record.is_void(held.attempt)) continue;
    if (const EndedAttempt* ended = record.find_ended(held.attempt)) {
      // One whose result is on its way needs nothing here: the result says how it ended.
      if (ended->outcome != Outcome::Lost || !ended->counted || held.phase == wire::Held::Phase::Unconfirmed) continue;
      take_back(record, *ended);
    }
    if (record.find_ended(held.attempt) == nullptr) lease(record, held.attempt, message.worker);
    if (LiveAttempt* live = record.find_live(held.attempt)) live->is_running = held.phase != wire::Held::Phase::Queued;
    worker.held.push_back(held.attempt);
  }
  std::sort(worker.held.begin(), worker.held.end());
  if (is_newer) judge_returned(message.worker, worker);
  note_news(message.worker, worker);
}

std::size_t Core::heard_workers() const {
  return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), [this](const auto& item) { return now_ - item.second.heard_at <= 2 * policy_.lease; }));
}

void Core::note_news(const WorkerId& id, WorkerRecord& worker) {
  if (!worker.has_news) news_.push_back(id);
  worker.has_news = true;
}

// Makes or renews a lease. Only the job's greatest attempt has one.
void Core::lease(JobRecord& record, const Attempt& attempt, const WorkerId& worker) {
  record.note(attempt);
  LiveAttempt* live = record.find_live(attempt);
  if (live == nullptr) {
    record.live.push_back({});
    live = &record.live.back();
    live->attempt = attempt;
    live->worker = worker;
    live->since = now_;
  }
  live->leased = attempt == record.current;
  live->renewed = now_;
}

// A worker that was given up lists the attempt again: the loss was none. It lives on if nothing came after it.
void Core::take_back(JobRecord& record, const EndedAttempt& ended) {
  const Attempt attempt = ended.attempt;
  const bool revived = attempt == record.current;
  log(UncountLoss{attempt, revived});
  if (revived) std::erase_if(requeued_, [&](const wire::Requeued& r) { return r.attempt == attempt; });
  if (revived) std::erase_if(record.ended, [&](const EndedAttempt& e) { return e.attempt == attempt; });
  else record.find_ended(attempt)->counted = false;
}

bool Core::is_returned(const LiveAttempt& live, const WorkerRecord& worker) const {
  return live.session != 0 && (worker.session > live.session || worker.generation > live.generation) &&
         !std::binary_search(worker.held.begin(), worker.held.end(), live.attempt);
}

// A worker in a new session or generation lists all it holds: what was sent to it before and is not there never arrived.
void Core::judge_returned(const WorkerId& id, const WorkerRecord& worker) {
  std::vector<Attempt> returned;
  for (const auto& [job, record] : progress_.records()) {
    for (const LiveAttempt& live : record.live) {
      if (live.worker == id && is_returned(live, worker)) returned.push_back(live.attempt);
    }
  }
  for (const Attempt& attempt : returned) end_returned(attempt.job, attempt);
}

void Core::end_returned(JobId job, const Attempt& attempt) {
  JobRecord& record = *progress_.find(job);
  const LiveAttempt live = *record.find_live(attempt);
  wire::Result result;
  result.attempt = attempt;
  result.outcome = Outcome::Returned;
  result.command = live.command;
  result.label = live.label;
  result.reason = "it never reached the worker";
  end_attempt(record, std::move(result), live.worker, {});
}

void Core::on_event(wire::Bye&& message) {
  const auto worker = workers_.find(message.worker);
  if (worker == workers_.end() || message.session < worker->second.session) return void(++ignored_);
  worker->second.bye = true;
  note_news(message.worker, worker->second);
  confirms_.erase(message.worker);
  limits_.erase(message.worker);
}

void Core::on_event(wire::Results&& message) {
  wire::Limit& limit = limits_[message.worker];
  if (std::tie(message.session, message.generation, message.limit) >= std::tie(limit.session, limit.generation, limit.limit)) {
    limit = {message.worker, message.session, message.generation, message.limit};
  }
  for (wire::Result& result : message.items) take_result(std::move(result), message.worker, message.host);
  if (open_rows_ >= kCommitRows) flush();
}

// Whether the ventilator can have issued it, as far as we know.
bool Core::is_plausible(const Attempt& attempt) const {
  return attempt.job >= 1 && attempt.job <= total_.value_or(kGreatestJob) && (ventilator_epoch_ == 0 || attempt.epoch <= ventilator_epoch_);
}

// The first durable success of a job wins, whichever attempt it is; a failure counts if its attempt is the current one and has not ended.
void Core::take_result(wire::Result&& result, const WorkerId& worker, const std::string& host) {
  const Attempt attempt = result.attempt;
  if (!is_plausible(attempt) || result.outcome == Outcome::Superseded) return void(++ignored_);
  if (progress_.is_void(attempt)) return confirm(worker, attempt), void(++ignored_);  // whatever it says, the job runs again
  if (!result.has_outcome_of_its_own()) {  // nobody wants its outputs
    result.out_bytes = result.out.size();
    result.err_bytes = result.err.size();
  }
  if (!progress_.is_finished(attempt.job) && !is_whole(result)) {
    if (wants_output(attempt) && !is_hopeless(result)) return void(++ignored_);  // it comes again, behind the rest of its outputs
    confirm(worker, attempt);
    if (!wants_output(attempt)) return void(++ignored_);  // it had ended, and they were dropped
    JobRecord& record = progress_.get(attempt.job);
    if (record.find_ended(attempt) != nullptr) return void(++ignored_);
    result.outcome = Outcome::Returned;
    result.out_bytes = result.err_bytes = 0;
    result.out.clear();
    result.err.clear();
    result.reason = "part of its output is gone";
    return end_attempt(record, std::move(result), worker, host);
  }
  confirm(worker, attempt);
  if (progress_.is_finished(attempt.job)) {
    ++superseded_;
    result.outcome = Outcome::Superseded;
    log(LogAttempt{std::move(result), worker, host, 0, false, false});
    return;
  }
  JobRecord& record = progress_.get(attempt.job);
  const EndedAttempt* ended = record.find_ended(attempt);
  if (result.outcome == Outcome::Ok) {
    if (ended != nullptr) log(UncountLoss{attempt, true});
    const std::uint64_t ordinal = 1 + record.ended_count() - (ended != nullptr);
    drop_losing_outputs(result);
    last_status_[1] = last_status_[2] = 0;
    log(LogResult{std::move(result), worker, host, ordinal});
    become_finished(attempt.job, false);
    return;
  }
  if (ended != nullptr) {
    if (ended->outcome != Outcome::Lost || result.outcome == Outcome::Lost) return;  // said twice
    log(UncountLoss{attempt, true});  // it was not lost after all: this is how it ended
    std::erase_if(record.ended, [&](const EndedAttempt& e) { return e.attempt == attempt; });
  }
  end_attempt(record, std::move(result), worker, host);
}

// REQUIRES: the job is not finished and the attempt has not ended.
void Core::end_attempt(JobRecord& record, wire::Result&& result, const WorkerId& worker, const std::string& host) {
  const Attempt attempt = result.attempt;
  const LiveAttempt* live = record.find_live(attempt);
  const std::uint64_t ordinal = 1 + record.ended_count();
  const bool is_late = attempt < record.current;
  if (policy_.at_most_once && !is_late) forbid_again(result);
  EndedAttempt ended{attempt, result.outcome, false, live != nullptr && live->alone};
  record.note(attempt);
  if (live != nullptr && result.command.empty()) result.command = live->command;
  ended.counted = !is_late && (base::is_failure(result.outcome) || result.outcome == Outcome::Lost);
  record.erase_live(attempt);
  record.add_ended(ended);
  const bool is_retried = !base::is_failure(result.outcome) || policy_.retry_on.contains(base::cause_of(result.outcome, result.exit_code, result.signal));
  if (ended.counted && is_last(record, ended, is_retried)) {
    if (!is_retried && policy_.retries != 1 && result.reason.empty()) result.reason = "not run again: a failure of a kind that is not retried";
    drop_losing_outputs(result);
    note_failure(result);
    log(LogResult{std::move(result), worker, host, ordinal});
    become_finished(attempt.job, true);
    return;
  }
  log(LogAttempt{std::move(result), worker, host, ordinal, ended.counted, ended.alone});
  if (ended.outcome != Outcome::Lost) drop_outputs(attempt);
  if (!is_late) requeued_.push_back({attempt, ended.outcome, record.must_run_alone(), record.failures()});
}

// Whether the job ends with this attempt, which counts.
bool Core::is_last(const JobRecord& record, const EndedAttempt& ended, bool is_retried) const {
  if (ended.outcome == Outcome::Lost) return policy_.at_most_once || (ended.alone && record.losses_alone() >= policy_.crash_limit);
  return !is_retried || (policy_.retries != 0 && record.failures() >= policy_.retries);
}

// ---- leases

void Core::lose(const LiveAttempt& live, const char* reason) {
  wire::Result result;
  result.attempt = live.attempt;
  result.outcome = Outcome::Lost;
  result.exit_code = -1;
  result.command = live.command;
  result.label = live.label;
  result.reason = reason;
  const WorkerId worker = live.worker;
  const auto known = workers_.find(worker);
  end_attempt(*progress_.find(live.attempt.job), std::move(result), worker, known == workers_.end() ? std::string() : known->second.host);
}

// Judged only when nothing is waiting to be read, and on a clock that stands still while this process does.
void Core::judge_leases() {
  next_judging_ = now_ + policy_.heartbeat / 2;
  std::vector<LiveAttempt> silent, gone;
  for (const auto& [job, record] : progress_.records()) {
    for (const LiveAttempt& live : record.live) {
      if (!live.leased) continue;
      const auto worker = workers_.find(live.worker);
      const bool is_gone = worker != workers_.end() && worker->second.gone_at && !policy_.no_overlap && now_ - *worker->second.gone_at > heartbeats(3) &&
                           now_ - started_ > policy_.lease;
      if (now_ - live.renewed > policy_.lost_after()) silent.push_back(live);
      else if (is_gone) gone.push_back(live);
    }
  }
  for (const LiveAttempt& live : silent) lose(live, "its worker was not heard of for a lease");
  for (const LiveAttempt& live : gone) lose(live, "its worker's connection broke, and it was not heard of again");
  std::erase_if(workers_, [this](const auto& item) { return !item.second.has_news && now_ - item.second.heard_at > 10 * policy_.lease; });
}

// ---- the turn

void Core::log(Effect&& row) {
  effects_->push_back(std::move(row));
  ++open_rows_;
}

void Core::confirm(const WorkerId& worker, const Attempt& attempt) {
  confirms_[worker].push_back(attempt);
  ++confirms_held_;
  confirms_due_ = std::min(confirms_due_, now_ + kConfirmWait);
}

void Core::on_event(OutputsEmitted&& event) { emitted_ = std::max(emitted_, event.jobs); }

void Core::log_emitted() {
  if (emitted_ <= logged_emitted_) return;
  logged_emitted_ = emitted_;
  log(LogEmitted{emitted_});
}

void Core::on_event(Stop&&) {
  log_emitted();
  confirms_now_ = true;
  flush();
}

void Core::on_event(Turn&& event) {
  if (event.drained && now_ >= next_judging_) judge_leases();
  const bool beat = now_ >= next_heartbeat_;
  if (beat) {
    next_heartbeat_ = now_ + policy_.heartbeat;
    // To a ventilator that is not heard it proves nothing, and would hide that its link is dead.
    if (ended_at_ || now_ - opened_at_ <= heartbeats(3)) alive_due_ = true;
  }
  // How far the outputs are rides on the commits of rows; alone only each heartbeat, and when they are what the end waits for.
  const bool is_last = total_ && progress_.finished() >= *total_;
  if (event.drained && (open_rows_ > 0 || beat || is_last)) log_emitted();
  tend_end();
  if (event.drained || open_rows_ >= kCommitRows) flush();
  if (is_closing_ && event.drained && is_all_emitted() && !has_exited_) {
    effects_->push_back(Exit{});
    has_exited_ = true;
  }
}

// The end is said only when the end of input is durable, all its jobs are finished and their outputs written.
void Core::tend_end() {
  if (!total_ || progress_.finished() < *total_ || emitted_ < progress_.finished() + moved_) return;
  if (progress_.finished_jobs().next_absent(1) <= *total_) return;  // counted right, but not these
  if (!ended_at_) {
    ended_at_ = now_;
    if (!is_end_logged_) log(LogEnded{*total_, progress_.failed(), cut_, is_halting() ? std::optional(halt_.halt.status) : std::nullopt});
    is_end_logged_ = alive_due_ = true;
  }
  if (now_ - *ended_at_ > policy_.lease) {
    flush();
    effects_->push_back(Exit{});
    has_exited_ = true;
  }
}

void Core::send(wire::ToVentilator&& message) {
  std::visit([this](auto& m) { m.stamp = {ventilator_epoch_, sink_epoch_, ++sent_seq_}; }, message);
  effects_->push_back(SendToVentilator{std::move(message)});
}

// Everything that was decided since the last flush leaves here, behind the commit of what it rests on. The confirms of all results read go before the
// WORKER that echoes a later STATE.
void Core::flush() {
  if (open_rows_ > 0 || has_written_) effects_->push_back(Commit{});
  open_rows_ = 0;
  has_written_ = false;
  for (const DropOutput& drop : dropped_) effects_->push_back(drop);
  dropped_.clear();
  if (ventilator_epoch_ == 0) {  // nobody to tell yet: its first OPEN gets a SNAPSHOT, and the confirms
    done_.clear();
    requeued_.clear();
    confirms_due_ = base::kNever;
    stored_.clear();
    return;
  }
  send_stored();
  if (policy_.halt.when != wire::HaltRule::When::Never) {
    confirms_now_ = true;  // workers wait for them
    if (is_halting() && alive_due_ && !ended_at_) send(wire::Alive{{}, halt_.halt});  // ahead of the confirm of what made it due
  }
  if (!news_.empty() || confirms_held_ >= kConfirmCount || now_ >= confirms_due_) confirms_now_ = true;
  send_done();
  for (std::size_t at = 0; at < requeued_.size(); at += wire::kBatchItems) {
    const auto end = std::min(at + wire::kBatchItems, requeued_.size());
    send(wire::Requeue{{}, {requeued_.begin() + static_cast<std::ptrdiff_t>(at), requeued_.begin() + static_cast<std::ptrdiff_t>(end)}});
  }
  requeued_.clear();
  if (snapshot_due_) send_snapshot();
  send_workers();
  if (alive_due_ && ended_at_) send(wire::End{{}, *total_, progress_.failed(), cut_, halt_.halt});
  else if (alive_due_) send(wire::Alive{{}, halt_.halt});
  alive_due_ = false;
}

}  // namespace sink
