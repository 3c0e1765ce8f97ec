#include "ventilator/job_table.h"

#include <algorithm>

#include "base/check.h"

namespace ventilator {

JobTable::JobTable(JobId accepted, JobId horizon)
    : accepted_(accepted), horizon_(std::min(horizon, accepted)), fresh_from_(horizon_ + 1) {}

void JobTable::accept(JobId through) {
  CHECK_INVARIANT(through >= accepted_);
  accepted_ = through;
}

const Assignment* JobTable::find_assigned(JobId job) const {
  const auto it = assigned_.find(job);
  return it == assigned_.end() ? nullptr : &it->second;
}

JobId JobTable::next(bool grace_over) {
  for (JobId job : requeued_) {
    if (!alone_.contains(job)) return job;
  }
  while (grace_over && waiting_from_ <= horizon_ && (waiting_from_ = finished_.next_absent(waiting_from_)) <= horizon_) {
    const JobId job = waiting_from_;
    if (!assigned_.contains(job) && !requeued_.contains(job)) {
      if (!alone_.contains(job)) return job;
      requeued_.insert(job);  // next_alone() finds it there
    }
    ++waiting_from_;
  }
  fresh_from_ = finished_.next_absent(fresh_from_);
  return fresh_from_ <= accepted_ ? fresh_from_ : 0;
}

JobId JobTable::next_alone(bool grace_over) {
  for (JobId job : alone_) {
    if (requeued_.contains(job) || (grace_over && is_waiting(job) && !assigned_.contains(job))) return job;
  }
  return 0;
}

void JobTable::assign(const Assignment& assignment) {
  const JobId job = assignment.attempt.job;
  CHECK_INVARIANT(is_accepted(job) && !finished_.contains(job));
  if (requeued_.erase(job) == 0 && job > horizon_) {
    CHECK_INVARIANT(job == fresh_from_);
    ++fresh_from_;
  }
  const bool inserted = assigned_.emplace(job, assignment).second;
  CHECK_INVARIANT(inserted);
}

std::optional<Assignment> JobTable::finish(JobId job) {
  CHECK_INVARIANT(is_accepted(job));
  std::optional<Assignment> was;
  if (const auto it = assigned_.find(job); it != assigned_.end()) {
    was = it->second;
    assigned_.erase(it);
  }
  finished_.insert(job);
  if (!requeued_.empty()) requeued_.erase(job);
  if (!alone_.empty()) alone_.erase(job);
  if (!last_.empty()) last_.erase(job);
  return was;
}

std::optional<Assignment> JobTable::requeue(const Attempt& attempt) {
  const JobId job = attempt.job;
  if (!is_accepted(job) || finished_.contains(job)) return std::nullopt;
  Attempt& last = last_[job];
  last = std::max(last, attempt);
  const auto it = assigned_.find(job);
  if (it != assigned_.end()) {
    if (it->second.attempt > attempt) return std::nullopt;  // superseded: a later one is out
    const Assignment was = it->second;
    assigned_.erase(it);
    requeued_.insert(job);
    return was;
  }
  if (is_waiting(job)) requeued_.insert(job);  // its attempt has ended: nothing to wait for
  return std::nullopt;
}

JobTable::Adopted JobTable::adopt(const Attempt& attempt, const WorkerId& worker) {
  const JobId job = attempt.job;
  if (!is_accepted(job) || finished_.contains(job) || job >= fresh_from_) return {};  // a fresh job has no lease
  const auto last = last_.find(job);
  if (last != last_.end() && attempt < last->second) return {};
  Adopted adopted{true, std::nullopt};
  if (const auto it = assigned_.find(job); it != assigned_.end()) {
    if (attempt <= it->second.attempt) return {};
    adopted.was = it->second;
    assigned_.erase(it);
    assigned_.emplace(job, Assignment{attempt, worker, 0, {}, false});
    return adopted;
  }
  assign(Assignment{attempt, worker, 0, {}, false});
  return adopted;
}

void JobTable::check_invariants() const {
  for (const auto& [job, assignment] : assigned_) {
    CHECK_INVARIANT(assignment.attempt.job == job);
    CHECK_INVARIANT(is_accepted(job) && !finished_.contains(job) && !requeued_.contains(job) && job < fresh_from_);
  }
  for (JobId job : requeued_) CHECK_INVARIANT(is_accepted(job) && !finished_.contains(job) && job < fresh_from_);
  if (accepted_ > 1000) return;  // the scans below are for tests and small runs
  // Every job that went out is finished, assigned or pending; nothing falls between.
  for (JobId job = horizon_ + 1; job < fresh_from_; ++job) CHECK_INVARIANT(finished_.contains(job) || assigned_.contains(job) || requeued_.contains(job));
  for (JobId job = 1; job < waiting_from_; ++job) CHECK_INVARIANT(finished_.contains(job) || assigned_.contains(job) || requeued_.contains(job));
  CHECK_INVARIANT(finished_.size() <= accepted_);
}

}  // namespace ventilator
