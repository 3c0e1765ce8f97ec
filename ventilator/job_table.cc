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
    if (const auto held = held_back_.find(job); held != held_back_.end()) {
      if (!assigned_.contains(job) && !is_back(job)) become_back(job, held->second);
      held_back_.erase(job);
    }
    if (!assigned_.contains(job) && !is_back(job)) {
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
    if (requeued_.contains(job) || (grace_over && is_waiting(job) && !assigned_.contains(job) && !due_.contains(job) && !held_back_.contains(job))) return job;
  }
  return 0;
}

void JobTable::assign(const Assignment& assignment) {
  const JobId job = assignment.attempt.job;
  CHECK_INVARIANT(is_accepted(job) && !finished_.contains(job));
  const bool was_delayed = due_.contains(job);
  forget_delay(job);
  if (requeued_.erase(job) == 0 && !was_delayed && job > horizon_) {
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
  forget_delay(job);
  if (!alone_.empty()) alone_.erase(job);
  if (!last_.empty()) last_.erase(job);
  return was;
}

void JobTable::become_back(JobId job, std::optional<base::TimePoint> due) {
  if (!due) return void(requeued_.insert(job));
  delayed_.emplace(*due, job);
  due_.emplace(job, *due);
}

void JobTable::forget_delay(JobId job) {
  if (!held_back_.empty()) held_back_.erase(job);
  if (due_.empty()) return;
  const auto it = due_.find(job);
  if (it == due_.end()) return;
  delayed_.erase({it->second, job});
  due_.erase(it);
}

void JobTable::hold_back(JobId job, base::TimePoint due) {
  if (is_accepted(job) && is_waiting(job) && !finished_.contains(job) && !assigned_.contains(job) && !is_back(job)) held_back_.emplace(job, due);
}

void JobTable::wake(base::TimePoint now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const JobId job = delayed_.begin()->second;
    forget_delay(job);
    requeued_.insert(job);
  }
}

std::optional<Assignment> JobTable::requeue(const Attempt& attempt, std::optional<base::TimePoint> due) {
  const JobId job = attempt.job;
  if (!is_accepted(job) || finished_.contains(job)) return std::nullopt;
  Attempt& last = last_[job];
  last = std::max(last, attempt);
  const auto it = assigned_.find(job);
  if (it != assigned_.end()) {
    if (it->second.attempt > attempt) return std::nullopt;  // superseded: a later one is out
    const Assignment was = it->second;
    assigned_.erase(it);
    become_back(job, due);
    return was;
  }
  if (due && attempt == last && requeued_.erase(job) > 0) become_back(job, due);  // it had been called lost
  if (!is_waiting(job) || is_back(job)) return std::nullopt;
  forget_delay(job);
  become_back(job, due);  // its attempt has ended: nothing to wait for
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

std::vector<JobId> JobTable::waiting() const {
  std::vector<JobId> jobs;
  for (JobId job = finished_.next_absent(waiting_from_); job <= horizon_; job = finished_.next_absent(job + 1)) {
    if (!assigned_.contains(job) && !is_back(job)) jobs.push_back(job);
  }
  return jobs;
}

void JobTable::check_invariants() const {
  for (const auto& [job, assignment] : assigned_) {
    CHECK_INVARIANT(assignment.attempt.job == job);
    CHECK_INVARIANT(is_accepted(job) && !finished_.contains(job) && !is_back(job) && job < fresh_from_);
  }
  for (JobId job : requeued_) CHECK_INVARIANT(is_accepted(job) && !finished_.contains(job) && !due_.contains(job) && job < fresh_from_);
  CHECK_INVARIANT(delayed_.size() == due_.size());
  for (const auto& [job, due] : due_) CHECK_INVARIANT(is_accepted(job) && !finished_.contains(job) && delayed_.contains({due, job}) && job < fresh_from_);
  for (const auto& [job, due] : held_back_) CHECK_INVARIANT(!assigned_.contains(job) && !finished_.contains(job) && !is_back(job));
  if (accepted_ > 1000) return;  // the scans below are for tests and small runs
  // Every job that went out is finished, assigned or pending; nothing falls between.
  for (JobId job = horizon_ + 1; job < fresh_from_; ++job) CHECK_INVARIANT(finished_.contains(job) || assigned_.contains(job) || is_back(job));
  for (JobId job = 1; job < waiting_from_; ++job) CHECK_INVARIANT(finished_.contains(job) || assigned_.contains(job) || is_back(job));
  CHECK_INVARIANT(finished_.size() <= accepted_);
}

}  // namespace ventilator
