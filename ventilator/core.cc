#include "ventilator/core.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "wire/limits.h"

namespace ventilator {

namespace {
constexpr JobId kHorizonBlock = 4096;   // one commit for so many dispatches
constexpr std::uint32_t kMostDoublings = 6;  // of a retry delay
constexpr std::size_t kTurnJobs = 4096;  // dispatched in one turn, so that the loop stays responsive
}  // namespace

Core::Core(const CoreConfig& config, const Recovered& recovered)
    : config_(config), epoch_(recovered.epoch), random_(config.seed), clock_(config.policy.heartbeat),
      jobs_(recovered.accepted, recovered.horizon), horizon_(std::min(recovered.horizon, recovered.accepted)),
      cut_(recovered.cut),
      uplink_wait_(std::max(config.policy.heartbeat * 3, config.connect_timeout + config.policy.heartbeat), config.policy.lease),
      is_grace_over_(horizon_ == 0), halts_over_(recovered.halts_over) {
  if (recovered.input_ended) total_ = recovered.accepted;
  was_complete_ = recovered.ended;
}

void Core::on(const Event& event, base::TimePoint now, Effects& effects) {
  now_ = clock_.advance(now);
  if (!has_started_) {
    has_started_ = true;
    heard_at_ = answered_at_ = uplink_at_ = next_heartbeat_ = now_;
    if (was_complete_) complete_at_ = now_;
  }
  if (has_exited_) return;
  effects_ = &effects;
  std::visit([this](const auto& e) { on_event(e); }, event);
}

base::TimePoint Core::next_deadline() const {
  if (!has_started_) return base::TimePoint{};
  return clock_.real(std::min({next_heartbeat_, next_tending_, grace_end_, jobs_.next_due()}));
}

// ---- input

void Core::on_event(const InputAccepted& event) { jobs_.accept(event.through); }

void Core::on_event(const InputEnded& event) {
  total_ = jobs_.accepted();
  cut_ = event.cut;
  next_heartbeat_ = now_;  // an OPEN says so at once: a run that has finished its jobs waits for it
}

// ---- the sink

wire::Stamp Core::stamp() { return {epoch_, sink_epoch_, ++sent_seq_}; }

bool Core::accept(const wire::Stamp& stamp) {
  if (stamp.epoch != epoch_ || stamp.sink_epoch < sink_epoch_) return ++ignored_, false;
  if (stamp.sink_epoch > sink_epoch_) {
    sink_epoch_ = stamp.sink_epoch;
    expected_seq_ = stamp.seq;
    wants_snapshot_ = true;
    has_gap_ = stamp.seq != 1;
    next_heartbeat_ = now_;  // ask at once
  }
  if (stamp.seq < expected_seq_) return ++ignored_, false;
  if (stamp.seq > expected_seq_) wants_snapshot_ = has_gap_ = true;
  expected_seq_ = stamp.seq + 1;
  heard_at_ = now_;
  return true;
}

bool Core::accept_answer(const wire::Stamp& stamp) {
  if (!accept(stamp)) return false;
  answered_at_ = now_;
  uplink_wait_.reset();
  return true;
}

void Core::on_event(const wire::Alive& message) {
  if (accept_answer(message.stamp)) note_halt(message.halt);
}

// Passed on at once, ahead of the echo of any STATE read behind it; what finds no lane is asked for again by sending the output again.
void Core::on_event(const wire::Stored& message) {
  if (!accept(message.stamp)) return;
  for (const wire::StoredOutputs& stored : message.workers) {
    const WorkerEntry* entry = workers_.find(stored.worker);
    if (entry == nullptr || !entry->lane || entry->lane->phase == Lane::Phase::Broken) continue;
    effects_->push_back(SendFree{{entry->id, entry->session, entry->lane->generation, stored.items}});
  }
}

void Core::on_event(const wire::Done& message) {
  if (!accept(message.stamp)) return;
  for (JobId job : message.jobs) become_finished(job);
  for (const wire::Limit& limit : message.limits) {
    if (WorkerEntry* entry = workers_.find(limit.worker)) update_lane(*entry, limit.session, limit.generation, limit.limit);
  }
  for (const wire::Confirms& confirms : message.confirms) {
    WorkerEntry* entry = workers_.find(confirms.worker);
    if (entry == nullptr || entry->confirms.size() > 2 * wire::kMaxUnconfirmed) continue;  // one lost is asked for again
    entry->confirms.insert(entry->confirms.end(), confirms.attempts.begin(), confirms.attempts.end());
    note_news(*entry);
  }
}

void Core::on_event(const wire::Requeue& message) {
  if (!accept(message.stamp)) return;
  for (const wire::Requeued& item : message.items) {
    if (!jobs_.is_accepted(item.attempt.job) || jobs_.is_finished(item.attempt.job)) {
      ++ignored_;
      continue;
    }
    if (item.alone) jobs_.need_alone(item.attempt.job);
    if (const auto was = jobs_.requeue(item.attempt, due_after(item))) release(*was);
  }
}

void Core::on_event(const wire::Snapshot& message) {
  if (!accept_answer(message.stamp)) return;
  if (message.last) note_halt(message.halt);
  jobs_.finish_bitmap(message.first_job, message.finished, [this](JobId, const std::optional<Assignment>& was) {
    if (was) release(*was);
  });
  for (const wire::Requeued& item : message.ended) {
    if (item.alone && jobs_.is_accepted(item.attempt.job) && !jobs_.is_finished(item.attempt.job)) jobs_.need_alone(item.attempt.job);
  }
  for (const wire::Lease& lease : message.leases) {
    adopt(lease.attempt, lease.worker);
  }
  for (const wire::Requeued& item : message.ended) {
    if (const auto due = due_after(item)) jobs_.hold_back(item.attempt.job, *due);
  }
  if (!message.last) return;
  wants_snapshot_ = has_gap_;
  if (config_.policy.at_most_once && !is_grace_over_) return effects_->push_back(RecallDispatches{jobs_.waiting()});
  assign_again();
  if (!is_grace_over_ && grace_sink_epoch_ != sink_epoch_) {
    grace_end_ = now_ + grace();
    grace_sink_epoch_ = sink_epoch_;
  }
}

// At most once: what an earlier ventilator sent out is on disk, and the sink is told of it again. It finds a worker that has it, or it is lost; what is not
// there was never sent out. So nothing needs a grace.
void Core::on_event(const DispatchesRecalled& event) {
  for (const Dispatch& dispatch : event.items) adopt(dispatch.attempt, dispatch.worker);
  is_grace_over_ = true;
  grace_end_ = base::kNever;
  assign_again();
}

// The sink may not have got what we told it: it answers each of these that it will not lease.
void Core::assign_again() {
  std::unordered_map<WorkerId, std::vector<const Assignment*>, base::HashId128> by_worker;
  for (const auto& [job, assignment] : jobs_.assigned()) by_worker[assignment.worker].push_back(&assignment);
  for (auto& [worker, list] : by_worker) {
    std::sort(list.begin(), list.end(), [](const Assignment* a, const Assignment* b) {
      return std::tie(a->session, a->generation, a->attempt.job) < std::tie(b->session, b->generation, b->attempt.job);
    });
    wire::Assign assign;
    for (const Assignment* assignment : list) {
      const bool same = !assign.items.empty() && assign.session == assignment->session && assign.generation == assignment->generation;
      if (!assign.items.empty() && (!same || assign.items.size() >= wire::kBatchItems)) {
        assign.stamp = stamp();
        effects_->push_back(SendToSink{std::exchange(assign, {})});
      }
      assign.worker = worker;
      assign.session = assignment->session;
      assign.generation = assignment->generation;
      assign.items.push_back({assignment->attempt, assignment->alone, {}});
    }
    assign.stamp = stamp();
    effects_->push_back(SendToSink{std::move(assign)});
  }
}

void Core::become_finished(JobId job) {
  if (!jobs_.is_accepted(job) || jobs_.is_finished(job)) {
    ++ignored_;
    return;
  }
  if (const auto was = jobs_.finish(job)) release(*was);
}

// A job that failed is not run again at once: each time it waits twice as long as before.
std::optional<base::TimePoint> Core::due_after(const wire::Requeued& ended) const {
  if (!base::is_failure(ended.outcome) || ended.failures == 0 || config_.retry_delay == base::Duration::zero()) return std::nullopt;
  return now_ + config_.retry_delay * (1 << std::min(ended.failures - 1, kMostDoublings));
}

void Core::release(const Assignment& was) {
  WorkerEntry* entry = workers_.find(was.worker);
  if (entry == nullptr) return;
  if (entry->in_flight > 0) --entry->in_flight;
  if (was.alone) entry->is_reserved = false;
  workers_.refresh(*entry);
}

void Core::adopt(const Attempt& attempt, const WorkerId& worker) {
  const JobTable::Adopted adopted = jobs_.adopt(attempt, worker);
  if (adopted.was) release(*adopted.was);
  WorkerEntry* entry = adopted.taken ? workers_.find(worker) : nullptr;
  if (entry == nullptr) return;
  ++entry->in_flight;
  workers_.refresh(*entry);
}

// ---- workers and lanes

void Core::on_event(const wire::Worker& message) {
  if (!accept(message.stamp)) return;
  WorkerEntry* entry = workers_.find(message.worker);
  if (message.bye) {
    if (entry == nullptr) return;
    if (entry->lane) effects_->push_back(CloseLane{entry->id, entry->lane->generation});
    entry->lane.reset();
    entry->has_left = true;
    workers_.refresh(*entry);
    return;
  }
  if (entry == nullptr) {
    // A new lane waits as long as a connect may take, and one heartbeat for the answer.
    const auto first = std::max(heartbeats(3), config_.connect_timeout + heartbeats(1));
    entry = &workers_.add(message.worker, base::Backoff(first, config_.policy.lease));
    for (const auto& [job, assignment] : jobs_.assigned()) entry->in_flight += assignment.worker == message.worker;
  }
  if (message.session < entry->session || entry->has_left) return void(++ignored_);
  if (message.session > entry->session && entry->lane) {
    effects_->push_back(CloseLane{entry->id, entry->lane->generation});
    entry->lane.reset();
  }
  entry->session = message.session;
  entry->endpoint = message.endpoint;
  entry->key = message.key;
  entry->slots = message.slots;
  entry->takes_inputs = message.input_limit > 0;
  entry->state_seq = std::max(entry->state_seq, message.state_seq);
  entry->heard_at = now_;
  entry->is_silent = false;
  for (const Attempt& attempt : message.leases) {
    adopt(attempt, message.worker);
  }
  workers_.refresh(*entry);
  if (!entry->lane) open_lane(*entry);
  update_lane(*entry, message.session, message.generation, message.limit);
  update_inputs(*entry, message);
}

void Core::open_lane(WorkerEntry& entry) {
  entry.lane = Lane{{epoch_, ++last_g_}, Lane::Phase::Opening, now_};
  effects_->push_back(OpenLane{entry.id, entry.session, entry.lane->generation, entry.endpoint, entry.key});
  send_ctrl(entry);
  workers_.refresh(entry);
}

void Core::update_lane(WorkerEntry& entry, std::uint64_t session, const Generation& generation, std::uint64_t limit) {
  if (!entry.lane || session != entry.session || generation != entry.lane->generation) return;
  Lane& lane = *entry.lane;
  if (lane.phase == Lane::Phase::Opening) {
    lane.phase = Lane::Phase::Open;
    lane.since = now_;
    lane.was_open = true;
    entry.lane_wait.reset();
  }
  if (limit <= lane.limit) return;
  lane.limit = limit;
  workers_.refresh(entry);
  note_news(entry);
}

void Core::note_news(WorkerEntry& entry) {
  if (entry.has_news) return;
  entry.has_news = true;
  has_news_.push_back(entry.id);
}

void Core::on_event(const LaneBroken& event) {
  WorkerEntry* entry = workers_.find(event.worker);
  if (entry == nullptr || !entry->lane || entry->lane->generation != event.generation) return;
  become_broken(*entry);
  next_tending_ = now_;
}

void Core::become_broken(WorkerEntry& entry) {
  if (entry.lane->phase == Lane::Phase::Broken) return;
  effects_->push_back(CloseLane{entry.id, entry.lane->generation});
  effects_->push_back(SendToSink{wire::Gone{stamp(), entry.id, entry.lane->generation}});
  entry.lane->phase = Lane::Phase::Broken;
  workers_.refresh(entry);
}

void Core::tend_lanes() {
  if (now_ < next_tending_) return;
  next_tending_ = now_ + config_.policy.heartbeat / 2;
  std::vector<WorkerId> forgotten;
  for (auto& [id, slot] : workers_) {
    WorkerEntry& entry = slot.entry;
    if (entry.has_left || now_ - entry.heard_at > 2 * config_.policy.lease) {
      if (entry.lane) {
        if (entry.lane->phase != Lane::Phase::Broken) effects_->push_back(CloseLane{id, entry.lane->generation});
        entry.lane.reset();
        workers_.refresh(entry);
      }
      if (entry.in_flight == 0) forgotten.push_back(id);
      continue;
    }
    // Heard less than the sink: what was lost on it is not to go there again. So this must be seen before the sink counts the loss.
    const base::Duration patience = std::min<base::Duration>(heartbeats(6), config_.policy.lease * 3 / 4);
    if (!entry.is_silent && now_ - heard_at_ < heartbeats(3) && now_ - entry.heard_at >= patience) {
      entry.is_silent = true;
      workers_.refresh(entry);
    }
    if (!entry.lane) continue;
    Lane& lane = *entry.lane;
    if (lane.phase == Lane::Phase::Opening && now_ - lane.since >= entry.lane_wait.current()) become_broken(entry);
    // One that had been open is replaced at once; one that never opened, after its own wait.
    if (lane.phase == Lane::Phase::Broken && (lane.was_open || now_ - lane.since >= entry.lane_wait.current()) && now_ - entry.heard_at < heartbeats(6)) {
      if (!lane.was_open) entry.lane_wait.grow(random_);
      open_lane(entry);
    }
  }
  for (const WorkerId& id : forgotten) workers_.erase(id);
}

void Core::send_ctrl(WorkerEntry& entry) {
  wire::Ctrl ctrl;
  ctrl.worker = entry.id;
  ctrl.session = entry.session;
  ctrl.generation = entry.lane->generation;
  ctrl.limit = entry.lane->limit;
  ctrl.state_seq = entry.state_seq;
  ctrl.confirms = std::exchange(entry.confirms, {});
  ctrl.complete = complete_at_.has_value();
  ctrl.heartbeat = config_.policy.heartbeat;
  ctrl.lease = config_.policy.lease;
  ctrl.no_overlap = config_.policy.no_overlap;
  ctrl.halt = halt_.when;
  entry.lane->echoed_limit = entry.lane->limit;
  // More confirms than a frame holds go ahead in frames of their own, which echo nothing yet.
  while (ctrl.confirms.size() > wire::kMaxItems) {
    wire::Ctrl part = ctrl;
    part.confirms.resize(wire::kMaxItems);
    part.state_seq = 0;
    ctrl.confirms.erase(ctrl.confirms.begin(), ctrl.confirms.begin() + wire::kMaxItems);
    effects_->push_back(SendCtrl{std::move(part)});
  }
  effects_->push_back(SendCtrl{std::move(ctrl)});
}

// ---- the turn

void Core::on_event(const Stop&) { is_stopped_ = true; }

void Core::on_event(const Turn&) {
  jobs_.wake(now_);
  tend_grace();
  tend_uplink();
  tend_lanes();
  dispatch();
  const bool beat = now_ >= next_heartbeat_;
  if (beat) {
    next_heartbeat_ = now_ + config_.policy.heartbeat;
    if (now_ - heard_at_ > heartbeats(3)) wants_snapshot_ = true;
    if (now_ - heard_at_ > config_.policy.lease && now_ >= next_look_ && !complete_at_) {
      next_look_ = now_ + config_.policy.lease;
      effects_->push_back(LookForEnd{});
    }
    send_open();
  }
  send_news(beat);
  tend_halt();
  tend_end();
}

// A connection that met a stranger is never made again, and says nothing: only the sink's answers prove it. What was on its way is a gap to the sink, and mended so.
void Core::tend_uplink() {
  if (now_ - std::max(answered_at_, uplink_at_) <= uplink_wait_.current()) return;
  uplink_wait_.grow(random_);
  uplink_at_ = next_heartbeat_ = now_;  // the first frame of the new one is an OPEN
  effects_->push_back(RenewUplink{});
}

// To every worker each heartbeat; in between to those for whom there is news that no JOB frame has carried.
void Core::send_news(bool beat) {
  const auto tell = [this, beat](WorkerEntry& entry) {
    entry.has_news = false;
    if (!entry.lane || entry.lane->phase == Lane::Phase::Broken) return;
    if (beat || !entry.confirms.empty() || entry.lane->limit > entry.lane->echoed_limit) send_ctrl(entry);
  };
  if (beat) {
    for (auto& [id, slot] : workers_) tell(slot.entry);
  } else {
    for (const WorkerId& id : has_news_) {
      if (WorkerEntry* entry = workers_.find(id)) tell(*entry);
    }
  }
  has_news_.clear();
}

base::Duration Core::grace() const {
  const wire::Policy& policy = config_.policy;
  if (config_.has_grace) return policy.lost_after() + policy.lease;
  return policy.no_overlap ? wire::kKillTime : base::Duration::zero();
}

void Core::tend_grace() {
  if (is_grace_over_) return;
  // While the sink is silent nobody tells us of leases: that time does not count.
  if (now_ - heard_at_ > heartbeats(3)) {
    grace_end_ = base::kNever;
    grace_sink_epoch_ = 0;
    wants_snapshot_ = true;  // with which it begins anew: the sink may be back before the next heartbeat
  }
  if (now_ < grace_end_) return;
  is_grace_over_ = true;
  grace_end_ = base::kNever;
}

void Core::send_open() {
  has_gap_ = false;
  effects_->push_back(SendToSink{wire::Open{stamp(), config_.feedback_endpoint, wants_snapshot_, total_, cut_, config_.policy, halts_over_}});
}

void Core::on_event(const wire::End& message) {
  if (!accept_answer(message.stamp)) return;
  if (total_ != message.total) return void(++ignored_);  // the end of an input that goes on
  become_complete(message.total, message.failed, message.cut, message.halt);
}

void Core::on_event(const SinkHasEnded& event) { become_complete(jobs_.accepted(), event.failed, event.cut, event.halt); }

void Core::become_complete(std::uint64_t total, std::uint64_t failed, bool cut, const wire::Halt& halt) {
  if (complete_at_) return;
  complete_at_ = now_;
  next_heartbeat_ = now_;
  const bool is_halt = halt.number > halts_over_;
  if (is_halt) effects_->push_back(CommitHaltsOver{halts_over_ = halt.number});  // a retry is to begin behind it
  effects_->push_back(CommitEnded{total, failed, cut, is_halt ? std::optional(halt.status) : std::nullopt});
}

void Core::tend_end() {
  if (!complete_at_) return;
  // Two heartbeats for those that may still be there; a lease for those that surely are, so that none of them waits for a head that has gone.
  const base::Duration waited = now_ - *complete_at_;
  if (was_complete_ && waited < heartbeats(3)) return;  // until the sink has told us who is there
  for (const auto& [id, slot] : workers_) {
    const WorkerEntry& entry = slot.entry;
    if (entry.has_left || !entry.lane) continue;
    if (waited < (now_ - entry.heard_at < heartbeats(3) ? config_.policy.lease : heartbeats(2))) return;
  }
  effects_->push_back(SendToSink{wire::Close{stamp(), is_halted_}});
  effects_->push_back(Exit{});
  has_exited_ = true;
}

// ---- dispatch

void Core::dispatch() {
  if (is_stopped_ || is_halting() || complete_at_) return;
  dispatch_alone();
  for (std::size_t given = 0; given < kTurnJobs; ++given) {
    WorkerEntry* entry = workers_.best();
    if (entry == nullptr) break;
    const JobId job = jobs_.next(is_grace_over_);
    if (job == 0) break;
    give(*entry, job, false);
  }
  send_given();
}

// A job that may have killed its worker gets a worker emptied for it: the least busy one is reserved, finishes what it has, runs this one, and is free
// again. Half of the workers, at least one, may be reserved at a time.
void Core::dispatch_alone() {
  std::size_t reserved = 0, open = 0;
  WorkerEntry* least = nullptr;
  const JobId first = jobs_.next_alone(is_grace_over_);
  if (first == 0) {
    if (!std::exchange(may_be_reserved_, false)) return;
    for (auto& [id, slot] : workers_) {
      if (!slot.entry.is_reserved) continue;
      if (slot.entry.in_flight > 0) may_be_reserved_ = true;
      else slot.entry.is_reserved = false, workers_.refresh(slot.entry);  // in vain: its job ended elsewhere
    }
    return;
  }
  for (auto& [id, slot] : workers_) {
    WorkerEntry& entry = slot.entry;
    if (!entry.is_open() || entry.is_silent) continue;
    ++open;
    reserved += entry.is_reserved;
    if (entry.is_reserved && entry.in_flight == 0 && entry.free_window() > 0) {
      if (const JobId job = jobs_.next_alone(is_grace_over_)) give(entry, job, true);
    }
    if (!entry.is_reserved && (least == nullptr || entry.in_flight < least->in_flight)) least = &entry;
  }
  if (jobs_.next_alone(is_grace_over_) != 0 && least != nullptr && reserved < std::max<std::size_t>(1, open / 2)) {
    least->is_reserved = may_be_reserved_ = true;
    workers_.refresh(*least);
    if (least->in_flight == 0 && least->free_window() > 0) give(*least, jobs_.next_alone(is_grace_over_), true);
  }
}

void Core::give(WorkerEntry& entry, JobId job, bool alone) {
  if (job > horizon_) {
    horizon_ = job + kHorizonBlock - 1;
    effects_->push_back(RaiseHorizon{horizon_});
  }
  const Attempt attempt{job, epoch_, ++last_n_};
  jobs_.assign({attempt, entry.id, entry.session, entry.lane->generation, alone});
  if (entry.outbox.empty()) given_.push_back(&entry);
  entry.outbox.push_back({attempt, alone, {}});
  ++entry.in_flight;
  ++entry.lane->last_seq;
  workers_.refresh(entry);
}

void Core::commit_given() {
  CommitDispatches commit;
  for (const WorkerEntry* entry : given_) {
    for (const wire::Assigned& item : entry->outbox) commit.items.push_back({item.attempt, entry->id});
  }
  effects_->push_back(std::move(commit));
}

// ASSIGN before JOB, or a crash in between hides the job from the sink: nobody would miss it when worker and ventilator die.
void Core::send_given() {
  if (config_.policy.at_most_once && !given_.empty()) commit_given();
  for (WorkerEntry* entry : given_) {
    for (std::size_t at = 0; at < entry->outbox.size(); at += wire::kBatchItems) {
      const auto from = entry->outbox.begin() + static_cast<std::ptrdiff_t>(at);
      const auto to = entry->outbox.begin() + static_cast<std::ptrdiff_t>(std::min(at + wire::kBatchItems, entry->outbox.size()));
      effects_->push_back(SendToSink{wire::Assign{stamp(), entry->id, entry->session, entry->lane->generation, {from, to}}});
    }
  }
  for (WorkerEntry* entry : given_) {
    const Lane& lane = *entry->lane;
    SendJobs jobs{entry->id, entry->session, lane.generation, lane.limit, lane.last_seq - entry->outbox.size() + 1, {}, entry->takes_inputs};
    jobs.attempts.reserve(entry->outbox.size());
    for (const wire::Assigned& item : entry->outbox) jobs.attempts.push_back(item.attempt);
    entry->outbox.clear();
    entry->lane->echoed_limit = lane.limit;
    effects_->push_back(std::move(jobs));
  }
  given_.clear();
}

void Core::check_invariants() const {
  jobs_.check_invariants();
  workers_.check_invariants();
  CHECK_INVARIANT(sink_epoch_ != 0 || expected_seq_ == 0);
}

}  // namespace ventilator
