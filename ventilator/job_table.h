// Which jobs wait, run or are finished, in the ventilator's view: bits for the many, map entries only for what is out or came back.
// Each accepted job is at all times exactly one of pending, assigned, finished. Pending jobs are in one of four places:
//   requeued   came back from the sink
//   delayed    the same, and held back until its time
//   waiting    at or below the horizon of an earlier ventilator: may still run somewhere, held back until the grace is over
//   fresh      never dispatched
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/job_set.h"
#include "base/time.h"

namespace ventilator {

using base::Attempt;
using base::Generation;
using base::JobId;
using base::WorkerId;

struct Assignment {
  Attempt attempt;
  WorkerId worker;
  std::uint64_t session = 0;  // 0: adopted from a lease
  Generation generation;
  bool alone = false;
};

class JobTable {
 public:
  JobTable(JobId accepted, JobId horizon);

  void accept(JobId through);
  JobId accepted() const { return accepted_; }
  std::uint64_t finished() const { return finished_.size(); }
  const std::unordered_map<JobId, Assignment>& assigned() const { return assigned_; }
  const Assignment* find_assigned(JobId job) const;
  bool is_accepted(JobId job) const { return job >= 1 && job <= accepted_; }
  bool is_finished(JobId job) const { return finished_.contains(job); }

  // The next pending job that may go out and needs no worker of its own; 0: none. It stays pending until assign().
  JobId next(bool grace_over);
  // The same among those that must run alone.
  JobId next_alone(bool grace_over);
  // Notes that the job's next attempt must have a worker to itself.
  void need_alone(JobId job) { alone_.insert(job); }

  void assign(const Assignment& assignment);                 // REQUIRES: pending
  std::optional<Assignment> finish(JobId job);               // what it was assigned as, if it was. REQUIRES: accepted
  // An ended attempt: pending again, not before `due` if that is given, unless a later one is out.
  std::optional<Assignment> requeue(const Attempt& attempt, std::optional<base::TimePoint> due = {});
  void hold_back(JobId job, base::TimePoint due);  // not before `due`, if it waits
  void wake(base::TimePoint now);                  // the delayed jobs whose time has come
  base::TimePoint next_due() const { return delayed_.empty() ? base::kNever : delayed_.begin()->first; }
  // A lease reported by the sink: the job is out after all, unless a later attempt is known. `was` is what it was assigned as, if it was.
  struct Adopted { bool taken = false; std::optional<Assignment> was; };
  Adopted adopt(const Attempt& attempt, const WorkerId& worker);

  template <typename OnFinished>  // called with each job newly finished and its assignment, if it had one
  void finish_bitmap(JobId first, std::string_view bitmap, OnFinished on_finished);

  std::vector<JobId> waiting() const;  // those below the horizon of which nothing is known yet

  void check_invariants() const;

 private:
  bool is_waiting(JobId job) const { return job >= waiting_from_ && job <= horizon_; }
  bool is_back(JobId job) const { return requeued_.contains(job) || due_.contains(job); }
  void become_back(JobId job, std::optional<base::TimePoint> due);
  void forget_delay(JobId job);

  JobId accepted_;
  JobId horizon_;           // jobs up to here may have been dispatched by an earlier ventilator
  JobId waiting_from_ = 1;  // no job below it waits
  JobId fresh_from_;        // no job below it is fresh
  base::JobSet finished_;
  std::unordered_map<JobId, Assignment> assigned_;
  std::set<JobId> requeued_;
  std::set<std::pair<base::TimePoint, JobId>> delayed_;  // by due time, so that those who are not due cost nothing
  std::unordered_map<JobId, base::TimePoint> due_;       // of the same
  std::unordered_map<JobId, base::TimePoint> held_back_;  // jobs that wait, and are delayed when they no longer do
  std::set<JobId> alone_;  // whatever their state
  std::unordered_map<JobId, Attempt> last_;  // greatest attempt known to have ended, of jobs not finished
};

template <typename OnFinished>
void JobTable::finish_bitmap(JobId first, std::string_view bitmap, OnFinished on_finished) {
  for (std::size_t i = 0; i < bitmap.size(); ++i) {
    for (unsigned bits = static_cast<unsigned char>(bitmap[i]), bit = 0; bits != 0; bits >>= 1, ++bit) {
      const JobId job = first + i * 8 + bit;
      if ((bits & 1) != 0 && is_accepted(job) && !is_finished(job)) on_finished(job, finish(job));
    }
  }
}

}  // namespace ventilator
