// What goes wrong in the simulation, and what the user does: kills, breaks, pauses; an input that is cut and offered again, and jobs that are retried.
#include <algorithm>
#include <utility>

#include "tests/support/cluster.h"

namespace support {

using base::Attempt;
using base::JobId;
using base::Outcome;
using base::WorkerId;

const std::vector<Faults>& fault_classes() {
  static const std::vector<Faults> classes = {
      {.name = "calm", .is_calm = true},
      {.name = "head", .ventilator = 10, .sink = 10, .feedback = 10, .ventilator_uplink = 10, .lane = 20, .jobs_fail = false, .runs_once = true},
      {.name = "head-long", .ventilator = 6, .sink = 6, .feedback = 10, .ventilator_uplink = 10, .lane = 10, .jobs_fail = false, .runs_once = true, .downtime = 1500},
      {.name = "gaps", .ventilator_uplink = 100, .lane = 150},
      {.name = "links", .feedback = 30, .ventilator_uplink = 30, .lane = 50, .worker_uplink = 20},
      {.name = "partitions", .lane = 5, .worker_uplink = 12, .outage = 300},
      {.name = "pauses", .lane = 5, .pause = 8, .suspend = 2, .overload = 4},
      {.name = "all", .ventilator = 8, .sink = 8, .worker = 6, .feedback = 10, .ventilator_uplink = 10, .lane = 20, .worker_uplink = 10, .pause = 2, .delay = 15},
      {.name = "restarts", .ventilator = 12, .sink = 12, .at_end = 300, .downtime = 3, .delay = 15},
      {.name = "strangers", .sink = 4, .feedback = 5, .ventilator_uplink = 5, .dead = 15},
      {.name = "storm", .ventilator = 30, .sink = 30, .worker = 20, .feedback = 50, .ventilator_uplink = 50, .lane = 80, .worker_uplink = 50},
      {.name = "once", .ventilator = 8, .sink = 8, .worker = 6, .feedback = 10, .ventilator_uplink = 10, .lane = 20, .worker_uplink = 10, .pause = 4, .at_most_once = true},
      {.name = "again", .ventilator = 4, .sink = 4, .worker = 3, .feedback = 5, .ventilator_uplink = 5, .lane = 10, .worker_uplink = 12, .pause = 3, .at_end = 100,
       .retry = 8, .cut = 60, .outage = 300},
      {.name = "halt", .ventilator = 6, .sink = 6, .worker = 4, .feedback = 8, .ventilator_uplink = 8, .lane = 15, .worker_uplink = 8, .pause = 2, .halts = true},
      {.name = "apart", .ventilator = 2, .sink = 2, .worker = 2, .feedback = 5, .lane = 20, .worker_uplink = 15, .pause = 15, .outage = 300, .no_overlap = true},
  };
  return classes;
}

// ---- faults

void Cluster::crash_ventilator() {
  if (!ventilator_) return;
  ++counters_.crashes;
  close_endpoint(ventilator_->endpoint);
  cut(ventilator_->up.stream);
  for (auto& [id, lane] : ventilator_->lanes) cut(lane.second);
  ventilator_.reset();
  ventilator_at_ = tick_ + between(1, chance(500) ? std::min<std::uint64_t>(15, faults_.downtime) : faults_.downtime);
}

void Cluster::crash_sink() {
  if (!sink_) return;
  ++counters_.crashes;
  if (chance(500)) commit();  // killed right behind the commit
  close_endpoint("sink");
  cut(sink_->feedback);
  sink_.reset();
  owed_.clear();
  for (auto& [id, worker] : workers_) {
    worker->up.retry_at = tick_ + between(1, 2 * kHeartbeat);
    worker->disturbed_at = std::max(worker->disturbed_at, worker->up.retry_at);
  }
  sink_at_ = tick_ + between(1, chance(500) ? std::min<std::uint64_t>(15, faults_.downtime) : faults_.downtime);
}

void Cluster::crash_worker() {
  if (workers_.empty()) return;
  ++counters_.crashes;
  auto it = std::next(workers_.begin(), static_cast<std::ptrdiff_t>(random_.below(workers_.size())));
  close_endpoint(it->second->endpoint);
  cut(it->second->up.stream);
  workers_.erase(it);
  workers_at_.push_back(tick_ + between(1, 150));
}

void Cluster::inject_faults() {
  if (chance(faults_.ventilator)) crash_ventilator();
  if (chance(faults_.sink)) crash_sink();
  if (chance(faults_.worker)) crash_worker();
  if (sink_ && chance(faults_.feedback)) cut(sink_->feedback);
  if (ventilator_ && chance(faults_.ventilator_uplink)) break_uplink(ventilator_->up);
  if (ventilator_ && !ventilator_->lanes.empty() && chance(faults_.lane)) {
    cut(std::next(ventilator_->lanes.begin(), static_cast<std::ptrdiff_t>(random_.below(ventilator_->lanes.size())))->second.second);
  }
  if (!workers_.empty() && chance(faults_.worker_uplink)) {
    WorkerNode& worker = *std::next(workers_.begin(), static_cast<std::ptrdiff_t>(random_.below(workers_.size())))->second;
    break_uplink(worker.up);
    worker.disturbed_at = std::max(worker.disturbed_at, worker.up.retry_at);
  }
  if (faults_.dead != 0 && chance(faults_.dead)) {
    const std::uint64_t which = random_.below(3);
    if (which == 0 && sink_ && sink_->feedback) sink_->feedback->is_dead = true;
    if (which == 1 && ventilator_) ventilator_->up.is_dead = true;
    if (which == 2 && !workers_.empty()) {
      WorkerNode& worker = *std::next(workers_.begin(), static_cast<std::ptrdiff_t>(random_.below(workers_.size())))->second;
      worker.up.is_dead = true;
    }
  }
  if (faults_.suspend != 0 && chance(faults_.suspend)) {
    suspended_until_ = tick_ + between(10, 2 * kLease);
    if (ventilator_) ventilator_->paused_until = std::max(ventilator_->paused_until, suspended_until_);
    if (sink_) sink_->paused_until = std::max(sink_->paused_until, suspended_until_);
    for (auto& [id, worker] : workers_) {
      const std::uint64_t until = std::max(worker->paused_until, suspended_until_);
      if (tick_ < worker->paused_until) worker->disturbed_at = until;  // silent for longer than the others
      worker->paused_until = until;
    }
  }
  if (faults_.overload != 0 && sink_ && chance(faults_.overload)) sink_->slow_until = tick_ + between(10, 2 * kLease);
  if (tick_ >= suspended_until_ && chance(faults_.pause)) {
    const std::uint64_t until = tick_ + between(10, (faults_.no_overlap ? 4 : 2) * kLease), who = faults_.no_overlap ? 2 : random_.below(3);
    if (who == 0 && ventilator_) ventilator_->paused_until = until;
    if (who == 1 && sink_) sink_->paused_until = until;
    if (who == 2 && !workers_.empty()) {
      WorkerNode& worker = *std::next(workers_.begin(), static_cast<std::ptrdiff_t>(random_.below(workers_.size())))->second;
      worker.paused_until = until;
      worker.disturbed_at = std::max(worker.disturbed_at, until);
    }
  }
}

// ---- the user

bool Cluster::is_over() const { return ventilator_left_ && sink_left_; }

bool Cluster::has_user_more_to_do() const { return retries_left_ > 0 || ventilator_disk_.cut || !ventilator_disk_.ended; }

// Whether the sink's mark of the end is that of the jobs accepted now: not one behind which the input has gone on.
bool Cluster::is_end_of_now() const {
  const auto& ended = sink_disk_.ended;
  return ended && ended->total == ventilator_disk_.accepted && ended->cut == ventilator_disk_.cut;
}

void Cluster::read_input() {
  VentilatorDisk& disk = ventilator_disk_;
  if (disk.input_ended) return;
  const bool is_whole = disk.accepted == total_;
  const bool is_cut = faults_.cut > 0 && tick_ < faults_end_ && chance(is_whole ? 300 : faults_.cut);
  if (!is_whole && !is_cut) {
    if (chance(300)) feed(ventilator::InputAccepted{++disk.accepted});
    return;
  }
  disk.input_ended = true;
  disk.cut = is_cut;
  feed(ventilator::InputEnded{is_cut});
}

// With it a run that had ended goes on: in one transaction with the record that follows the cut, or with the end that does.
void Cluster::offer_input_again() {
  VentilatorDisk& disk = ventilator_disk_;
  has_been_over_ |= disk.ended;
  disk.cut = disk.ended = false;
  disk.input_ended = disk.accepted == total_;
  if (!disk.input_ended) ++disk.accepted;
  ++counters_.offered_again;
}

// What is to be done once no role runs, and starting again a sink that has left a run that goes on.
void Cluster::act_as_user() {
  if (ventilator_left_ && !ventilator_disk_.ended && ventilator_disk_.halts_over > 0 && chance(50)) start_again();  // as resume does
  else if (faults_.halts && sink_left_ && ventilator_ && !ventilator_disk_.ended) start_again();
  if (faults_.retry == 0 && faults_.cut == 0) return;
  const bool is_retry_time = is_over() ? chance(20) : tick_ < faults_end_ && chance(faults_.retry);
  if (retries_left_ > 0 && is_retry_time && !sink_disk_.results.empty()) {
    crash_ventilator();
    crash_sink();
    retry();
  } else if (is_over() && ventilator_disk_.cut && chance(20)) {
    offer_input_again();
    start_again();
  } else if (sink_left_ && ventilator_ && !ventilator_disk_.ended) {
    sink_left_ = false;
    sink_at_ = tick_ + between(1, 60);
  }
}

void Cluster::start_again() {
  if (std::exchange(ventilator_left_, false)) ventilator_at_ = tick_ + between(1, 60);
  if (std::exchange(sink_left_, false)) sink_at_ = tick_ + between(1, 60);
}

// As `pushmill retry` does it: the ventilator's mark first, then all of the sink's in one transaction.
void Cluster::retry() {
  --retries_left_;
  has_been_over_ |= ventilator_disk_.ended;
  start_again();
  ventilator_disk_.ended = false;
  if (chance(100)) return;  // killed between the two
  std::vector<JobId> chosen;
  for (const auto& [job, result] : sink_disk_.results) {
    if (chance(result.outcome == Outcome::Ok ? 300 : 900)) chosen.push_back(job);
  }
  if (chosen.empty()) chosen.push_back(sink_disk_.results.begin()->first);
  for (const JobId job : chosen) {
    sink_disk_.retry(job, ventilator_disk_.epoch + 1);
    least_epoch_[job] = ventilator_disk_.epoch + 1;
    counted_.erase(job);
    failed_.erase(job);
    ++counters_.retried;
  }
}

}  // namespace support
