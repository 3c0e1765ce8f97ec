// The observer: what it notes of what the roles do, and the invariants it holds them to (docs/INVARIANTS.md).
#include "tests/support/cluster.h"

#include <algorithm>
#include <utility>

namespace support {

using base::Attempt;
using base::JobId;
using base::Outcome;
using base::WorkerId;

// The disk: all rows or none.
void Cluster::commit() {
  for (const sink::Effect& effect : sink_->rows) {
    if (const auto* row = std::get_if<sink::LogResult>(&effect)) {
      const Attempt attempt = row->result.attempt;
      if (!issued_.contains(attempt) && !ventilator_disk_.has_dispatched(attempt)) throw Violation(where("5: a row of an attempt that was never issued " + attempt.text()));
      if (row->result.outcome == Outcome::Ok && !ended_ok_.contains(attempt)) throw Violation(where("5: a row says ok of an attempt that did not end so " + attempt.text()));
      if (is_void(attempt)) throw Violation(where("1: a row of an attempt from before its job was retried " + attempt.text()));
      if (!sink_disk_.results.emplace(attempt.job, row->result).second) throw Violation(where("1: two terminal rows, job " + std::to_string(attempt.job)));
      if (sink_disk_.attempts.contains(attempt)) throw Violation(where("11: a terminal row for an attempt that has ended " + attempt.text()));
      check_output(row->result, wire::OutputStream::Out);
      check_output(row->result, wire::OutputStream::Err);
      sink_disk_.failed += row->result.outcome != Outcome::Ok;
      const bool is_retried = policy_.retry_on.contains(base::cause_of(row->result.outcome, row->result.exit_code, row->result.signal));
      if (row->result.outcome == Outcome::Failed && is_retried && counted_[attempt.job] + 1 < policy_.retries) throw Violation(where("11: failed for good too early"));
      ++counters_.results;
      counters_.lost += row->result.outcome == Outcome::Lost;
    } else if (const auto* row = std::get_if<sink::LogAttempt>(&effect)) {
      const Attempt attempt = row->result.attempt;
      if (sink_disk_.is_result(attempt)) continue;
      const bool is_new = sink_disk_.attempts.emplace(attempt, sink::EndedAttempt{attempt, row->result.outcome, row->counted, row->alone}).second;
      if (!is_new && row->result.outcome != Outcome::Superseded) throw Violation(where("11: an attempt ends twice " + attempt.text()));
      if (row->counted && row->result.outcome == Outcome::Lost && policy_.at_most_once) throw Violation(where("18: a loss is not the end of its job " + attempt.text()));
      if (row->counted && row->result.outcome == Outcome::Failed) {
        if (!were_lost_.contains(attempt)) failed_[attempt.job] = {attempt, tick_};
        if (!policy_.retry_on.contains(static_cast<base::Cause>(row->result.exit_code))) throw Violation(where("11: a failure that is not retried goes out again " + attempt.text()));
        if (++counted_[attempt.job] >= policy_.retries) throw Violation(where("11: more failures than retries allow"));
      }
      counters_.returned += row->result.outcome == Outcome::Returned;
      counters_.unreached += row->result.outcome == Outcome::Returned && row->result.reason.starts_with("it never");
      counters_.lost += row->result.outcome == Outcome::Lost;
      counters_.superseded += row->result.outcome == Outcome::Superseded;
    } else if (const auto* back = std::get_if<sink::UncountLoss>(&effect)) {
      ++counters_.taken_back;
      were_lost_.insert(back->attempt);
      sink_disk_.take_back(*back);
    } else {
      sink_disk_.note_mark(effect);
    }
  }
  sink_->rows.clear();
  check_halt();
}

// ---- halts

bool Cluster::is_halt_due() const {
  using Of = wire::HaltRule::Of;
  const std::uint64_t done = sink_disk_.results.size() - halt_finished_, failed = sink_disk_.failed - halt_failed_;
  return policy_.halt.when != wire::HaltRule::When::Never &&
         (policy_.halt.of == Of::Done ? done : policy_.halt.of == Of::Failed ? failed : done - failed) >= policy_.halt.count;
}

// With the commit of the job that is one too many, and no other.
void Cluster::check_halt() {
  const auto& halt = sink_disk_.halt;
  if (halt && halt->is_over && (halt->finished != halt_finished_ || halt->failed != halt_failed_)) {
    halt_finished_ = halt->finished;
    halt_failed_ = halt->failed;
  }
  const bool is_halting = halt && !halt->is_over;
  if (is_halting && !is_halt_due()) throw Violation(where("20: a halt too early"));
}

// With what is finished by then, and waits for the commit.
void Cluster::observe_new_count(const sink::LogHalt& halt) {
  std::uint64_t finished = sink_disk_.results.size(), failed = sink_disk_.failed;
  for (const sink::Effect& effect : sink_->rows) {
    const auto* row = std::get_if<sink::LogResult>(&effect);
    finished += row != nullptr;
    failed += row != nullptr && row->result.outcome != Outcome::Ok;
  }
  if (halt.finished != finished || halt.failed != failed) throw Violation(where("20: a new count begins with another number of jobs"));
}

void Cluster::observe_halted(std::uint64_t number) {
  if (!sink_disk_.halt || sink_disk_.halt->halt.number != number) throw Violation(where("20: the run stops without a halt"));
  if (!ventilator_disk_.ended && !ventilator_->core.jobs().assigned().empty()) throw Violation(where("20: the run stops while jobs are out"));
  ++counters_.halts;
}

// The bytes that an output has from `offset`: every attempt and stream has its own.
std::string Cluster::output_of(const Attempt& attempt, wire::OutputStream stream, std::uint64_t offset, std::uint64_t length) {
  std::string bytes;
  for (std::uint64_t i = offset; i < offset + length; ++i) {
    bytes += static_cast<char>('a' + (attempt.job * 7 + attempt.epoch * 5 + attempt.n * 3 + static_cast<std::uint64_t>(stream) * 11 + i) % 26);
  }
  return bytes;
}

// A file grows at its end, and a kill may leave half of what was to be written.
void Cluster::write_output(const sink::WriteOutput& effect) {
  std::string& file = sink_disk_.outputs[{effect.attempt, effect.stream}];
  if (effect.offset != file.size()) throw Violation(where("5: an output is not written at the end of its file " + effect.attempt.text()));
  ++counters_.outputs;
  if (tick_ < faults_end_ && faults_.sink > 0 && chance(faults_.sink)) {
    file += effect.bytes.substr(0, effect.bytes.size() / 2);
    throw Crash{"sink"};
  }
  file += effect.bytes;
}

// What a row says of an output is there, whole and right, when the row is.
void Cluster::check_output(const wire::Result& result, wire::OutputStream stream) const {
  const bool is_out = stream == wire::OutputStream::Out;
  const std::uint64_t length = is_out ? result.out_bytes : result.err_bytes;
  if ((is_out ? result.out : result.err).size() == length) return;
  const auto file = sink_disk_.outputs.find({result.attempt, stream});
  if (file == sink_disk_.outputs.end() || file->second != output_of(result.attempt, stream, 0, length)) {
    throw Violation(where("5: a row without the whole of its output " + result.attempt.text()));
  }
}

// Nothing that leaves the sink may rest on rows that are not on disk.
void Cluster::observe(const wire::ToVentilator& message) {
  if (const auto* done = std::get_if<wire::Done>(&message)) {
    for (JobId job : done->jobs) {
      if (!sink_disk_.results.contains(job)) throw Violation(where("2: DONE before the commit, job " + std::to_string(job)));
    }
    for (const wire::Confirms& confirms : done->confirms) {
      for (const Attempt& attempt : confirms.attempts) {
        owed_.erase({confirms.worker, attempt});
        if (!is_logged(attempt)) throw Violation(where("2: confirm before the commit " + attempt.text()));
      }
    }
  } else if (const auto* requeue = std::get_if<wire::Requeue>(&message)) {
    for (const wire::Requeued& item : requeue->items) {
      if (!is_logged(item.attempt)) throw Violation(where("2: REQUEUE before the commit " + item.attempt.text()));
    }
  } else if (const auto* stored = std::get_if<wire::Stored>(&message)) {
    for (const wire::StoredOutputs& outputs : stored->workers) {
      for (const wire::StoredOutput& item : outputs.items) {
        const auto file = sink_disk_.outputs.find({item.attempt, item.stream});
        const bool is_there = file != sink_disk_.outputs.end() && file->second.size() >= item.length;
        if (!is_there && !is_logged(item.attempt) && !sink_disk_.results.contains(item.attempt.job)) {
          throw Violation(where("2: STORED before the output is " + item.attempt.text()));
        }
      }
    }
  } else if (const auto* end = std::get_if<wire::End>(&message)) {
    const bool is_whole = ventilator_disk_.accepted == total_ && ventilator_disk_.input_ended && end->total == total_;
    if (sink_disk_.results.size() != end->total || (!end->cut && !is_whole) || !sink_disk_.ended || sink_disk_.ended->cut != end->cut) throw Violation(where("15: END before the end"));
  }
}

// A lease may end only when the worker is gone or was cut off.
void Cluster::observe_lost(const wire::Result& result, const WorkerId& id) {
  if (result.outcome != Outcome::Lost && result.outcome != Outcome::Returned) return;
  if (faults_.is_calm && result.slot == 0 && !result.reason.starts_with("all slots")) throw Violation(where("10: given up without a fault"));
  const auto worker = workers_.find(id);
  const Attempt attempt = result.attempt;
  if (result.outcome == Outcome::Returned && result.slot == 0 && result.reason.starts_with("it never") && reached_.contains(attempt)) {
    throw Violation(where("3: returned although it was received " + attempt.text()));
  }
  // What a worker that nothing disturbed for a while says is in the sink's inbox, even when the sink was paused or away.
  const bool lives = worker != workers_.end() && tick_ > worker->second->disturbed_at + 2 * kHeartbeat + 2 * faults_.delay && worker->second->core.holds(attempt);
  if (result.outcome == Outcome::Lost && lives) {
    throw Violation(where("10: a lease ended although its worker lives and is heard " + attempt.text()));
  }
}

// What goes down a lane.
void Cluster::observe_dispatch(const Attempt& attempt) {
  if (policy_.at_most_once && !ventilator_disk_.has_dispatched(attempt)) throw Violation(where("2: dispatch before its commit " + attempt.text()));
  if (ventilator_->knows_of_halt) throw Violation(where("20: a job goes out in a run that is to stop " + attempt.text()));
  const auto failure = failed_.find(attempt.job);
  if (failure == failed_.end() || failure->second.attempt != last_attempt_[attempt.job] || failure->second.attempt.epoch != attempt.epoch) return;
  const auto delay = static_cast<std::uint64_t>(retry_delay_ / kTick) << (counted_[attempt.job] - 1);
  if (tick_ < failure->second.tick + delay) throw Violation(where("17: a failed job goes out again before its delay " + attempt.text()));
}

void Cluster::observe_start(const WorkerId& id, const Attempt& attempt) {
  std::vector<Attempt>& before = started_[attempt.job];
  for (const Attempt& earlier : before) {
    const auto ended = sink_disk_.attempts.find(earlier);
    const bool has_failed = ended != sink_disk_.attempts.end() && ended->second.outcome == Outcome::Failed;
    if (policy_.at_most_once && !has_failed) throw Violation(where("18: started again as " + attempt.text() + " though nobody saw it fail"));
  }
  before.push_back(attempt);
  if (!policy_.no_overlap) return;
  for (const auto& [other, worker] : workers_) {
    for (const auto& [running, end] : worker->running) {
      const bool is_another = running.job == attempt.job && (other != id || running != attempt);
      if (is_another && !worker->killed.contains(running)) throw Violation(where("19: " + attempt.text() + " is started while " + running.text() + " runs"));
    }
  }
}

// The keeper of a worker that may be stopped.
void Cluster::end_at_deadline(WorkerNode& worker) {
  if (now() < worker.run_until) return;
  for (auto& [attempt, end] : worker.running) {
    worker.killed.insert(attempt);
    end = std::min(end, tick_);
  }
}

void Cluster::check() {
  check_workers();
  check_confirms();
  if (!ventilator_) return;
  const ventilator::JobTable& jobs = ventilator_->core.jobs();
  if (jobs.accepted() != ventilator_disk_.accepted) throw Violation(where("3: accepted jobs forgotten"));
  for (JobId job = 1; job <= jobs.accepted(); ++job) {
    if (jobs.is_finished(job) && !sink_disk_.results.contains(job)) throw Violation(where("2: finished before the commit, job " + std::to_string(job)));
  }
}

// A failure or a loss counts only while the sink knows of no later attempt.
void Cluster::observe_count(const wire::Result& result) {
  if (result.attempt < sink_->seen[result.attempt.job]) throw Violation(where("11: a late failure counted " + result.attempt.text()));
}

// What ASSIGN names is known before the frame is handled; RESULTS are taken one by one, so theirs only behind it.
void Cluster::note_seen(const wire::ToSink& message, bool is_handled) {
  const auto note = [this](const Attempt& attempt) {
    Attempt& seen = sink_->seen[attempt.job];
    seen = std::max(seen, attempt);
  };
  if (const auto* results = std::get_if<wire::Results>(&message); results && is_handled) {
    for (const wire::Result& result : results->items) note(result.attempt);
  } else if (const auto* assign = std::get_if<wire::Assign>(&message); assign && !is_handled) {
    for (const wire::Assigned& item : assign->items) note(item.attempt);
  }
}

// What a worker has started it holds until the row is on disk or the run is over; and it never asks for more than its window.
void Cluster::check_workers() {
  for (const auto& [id, worker] : workers_) {
    std::erase_if(worker->held, [this](const Attempt& attempt) { return is_logged(attempt) || ventilator_disk_.ended || ventilator_disk_.halts_over > 0; });
    for (const Attempt& attempt : worker->held) {
      if (!worker->core.holds(attempt)) throw Violation(where("13: a worker dropped what nobody has logged " + attempt.text()));
    }
    for (const auto& [attempt, bytes] : worker->inputs) {
      const bool is_over = ventilator_disk_.ended || ventilator_disk_.halts_over > 0;  // then it leaves
      if (!is_over && !worker->core.holds(attempt)) throw Violation(where("21: the input of an attempt that is not held is kept " + attempt.text()));
    }
    const std::uint64_t has = worker->core.queued() + worker->core.running() + worker->core.limit() - worker->core.received();
    if (has > worker->widest) throw Violation(where("12: a worker holds and asks for more than its window"));
  }
}

// Each copy of a result is confirmed soon, once there is a ventilator to pass it on.
void Cluster::check_confirms() {
  if (!sink_) return;
  const bool is_busy = tick_ < sink_->paused_until || tick_ < sink_->slow_until || !sink_->core.has_heard_ventilator();
  for (auto& [result, since] : owed_) {
    if (is_busy) since = tick_;
    if (tick_ - since > 4 * kHeartbeat) throw Violation(where("9: no confirm for a copy of " + result.second.text()));
  }
}

// ---- what arrives: of another epoch, session or generation it must change nothing

bool Cluster::observe_arrival(const wire::ToSink& message) {
  if (const auto* state = std::get_if<wire::State>(&message)) {
    auto& newest = sink_->states[state->worker];
    const std::pair number(state->session, state->state_seq);
    const bool is_stale = number < newest;
    newest = std::max(newest, number);
    return is_stale;
  }
  if (const auto* bye = std::get_if<wire::Bye>(&message)) {
    sink_->states.erase(bye->worker);
    std::erase_if(owed_, [&](const auto& item) { return item.first.first == bye->worker; });
    return false;
  }
  if (const auto* results = std::get_if<wire::Results>(&message)) {
    for (const wire::Result& result : results->items) {
      // One whose output is not whole comes again, behind the rest of it.
      if (result.out.size() == result.out_bytes && result.err.size() == result.err_bytes) owed_[{results->worker, result.attempt}] = tick_;
    }
    return false;
  }
  if (std::holds_alternative<wire::Output>(message)) return false;
  const wire::Stamp stamp = std::visit([](const auto& m) {
    if constexpr (requires { m.stamp; }) return m.stamp;
    else return wire::Stamp{};
  }, message);
  const bool is_stale = stamp.epoch < sink_->ventilator_epoch;
  sink_->ventilator_epoch = std::max(sink_->ventilator_epoch, stamp.epoch);
  return is_stale;
}

Cluster::Arrival Cluster::observe_arrival(const wire::ToVentilator& message) {
  const wire::Stamp stamp = std::visit([](const auto& m) { return m.stamp; }, message);
  Arrival arrival;
  arrival.ignored = ventilator_->core.ignored();
  arrival.is_stale = stamp.epoch != ventilator_disk_.epoch || stamp.sink_epoch < ventilator_->sink_epoch;
  if (!arrival.is_stale) ventilator_->sink_epoch = stamp.sink_epoch;
  if (const auto* requeue = std::get_if<wire::Requeue>(&message)) {
    for (const wire::Requeued& item : requeue->items) {
      const auto* out = ventilator_->core.jobs().find_assigned(item.attempt.job);
      if (out != nullptr && out->attempt > item.attempt) arrival.must_stay[item.attempt.job] = out->attempt;
    }
    for (const wire::Requeued& item : requeue->items) {  // unless the same frame names that one as well
      const auto it = arrival.must_stay.find(item.attempt.job);
      if (it != arrival.must_stay.end() && it->second <= item.attempt) arrival.must_stay.erase(it);
    }
  }
  return arrival;
}

void Cluster::check_arrival(const Arrival& arrival) {
  if (arrival.is_stale && ventilator_->core.ignored() == arrival.ignored) throw Violation(where("6: the ventilator obeyed a stale frame"));
  for (const auto& [job, attempt] : arrival.must_stay) {
    const auto* out = ventilator_->core.jobs().find_assigned(job);
    if (out == nullptr || out->attempt != attempt) throw Violation(where("8: the requeue of a superseded attempt took back " + attempt.text()));
  }
}

Cluster::ToWorkerArrival Cluster::observe_arrival(WorkerNode& worker, const wire::ToWorker& message) {
  ToWorkerArrival arrival;
  arrival.ignored = worker.core.ignored();
  if (const auto* ctrl = std::get_if<wire::Ctrl>(&message)) {
    arrival.is_stale = ctrl->session != worker.core.session() || ctrl->generation < worker.core.generation();
    worker.is_known |= ctrl->state_seq != 0;
  }
  if (const auto* input = std::get_if<wire::Input>(&message)) {
    arrival.is_stale = input->session != worker.core.session() || input->generation < worker.core.generation();
    if (input->generation == worker.core.generation() && input->sent + input->bytes.size() > worker.core.input_limit()) throw Violation(where("7: more of inputs than the limit"));
    ++counters_.inputs;
  }
  const auto* job = std::get_if<wire::Job>(&message);
  if (job == nullptr) return arrival;
  arrival.is_stale = job->worker != worker.id || job->session != worker.core.session() || job->generation < worker.core.generation();
  if (arrival.is_stale) return arrival;
  for (const wire::JobItem& item : job->items) {
    reached_.insert(item.attempt);
    worker.held.insert(item.attempt);
    if (!ventilator_disk_.ended && ventilator_disk_.halts_over == 0) arrival.wanted.push_back(item.attempt);
  }
  const std::uint64_t last = job->first_seq + job->items.size() - 1;
  if (job->generation == worker.core.generation() && last > worker.core.limit()) throw Violation(where("7: more jobs than the limit"));
  return arrival;
}

void Cluster::check_arrival(WorkerNode& worker, const ToWorkerArrival& arrival) {
  if (arrival.is_stale && worker.core.ignored() == arrival.ignored) throw Violation(where("6: a worker obeyed a frame of an older generation"));
  for (const Attempt& attempt : arrival.wanted) {
    if (!worker.core.holds(attempt)) throw Violation(where("7: a worker refused what it had asked for " + attempt.text()));
  }
}

void Cluster::check_end() {
  if (sink_disk_.results.size() != total_) {
    std::string missing;
    for (JobId job = 1; job <= total_; ++job) {
      if (!sink_disk_.results.contains(job)) missing += " " + std::to_string(job);
    }
    throw Violation(where("14: jobs never end:" + missing));
  }
  if (!ventilator_left_ || !sink_left_) throw Violation(where(std::string("14: a role does not end: ") + (ventilator_left_ ? "sink" : "ventilator")));
  if (!workers_.empty()) throw Violation(where("14: a worker does not end"));
  for (const auto& [job, result] : sink_disk_.results) {
    check_output(result, wire::OutputStream::Out);
    check_output(result, wire::OutputStream::Err);
  }
}

}  // namespace support
