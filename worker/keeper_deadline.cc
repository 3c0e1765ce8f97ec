// The part of the keeper that answers for a worker that is stopped: it goes on until the time that the worker last named, and not longer.
#include <chrono>

#include "worker/keeper.h"

namespace worker {

void Keeper::on_run_until(base::TimePoint at) {
  run_until_ = at;
  is_time_up_ = false;
}

// At once, without a TERM first: others may begin the same jobs soon. What is being ended already has no more time either.
void Keeper::enforce_run_until(base::TimePoint now) {
  if (is_time_up_ || now < run_until_) return;
  is_time_up_ = true;
  std::vector<Job*> unstarted;
  for (auto& [seat, job] : jobs_) {
    if (job->pid == 0) {
      unstarted.push_back(job.get());
      continue;
    }
    if (!job->ending) {
      become_ending(*job, base::Outcome::Cancelled);
      job->ending->reason = "its time was up";
    }
    job->ending->killer.hurry(now);
  }
  for (Job* job : unstarted) report_unstarted(*job, base::Outcome::Cancelled, -1, "its time was up before it could be started");
}

}  // namespace worker
