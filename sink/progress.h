// What the sink knows of each job that is not finished: which attempts may be alive, which have ended and how they count. Finished jobs are one bit.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/job_set.h"
#include "base/time.h"

namespace sink {

using base::Attempt;
using base::Generation;
using base::JobId;
using base::Outcome;
using base::WorkerId;

// An attempt that may be alive. `leased`: we believe so, and its worker renews that. `session` 0: which lane carried it is not known.
struct LiveAttempt {
  Attempt attempt;
  WorkerId worker;
  bool leased = false;
  bool alone = false;
  bool is_running = false;  // in its worker's newest STATE, not queued there
  base::TimePoint since{};  // when we first heard of it
  base::TimePoint renewed{};
  std::uint64_t session = 0;
  Generation generation;
  std::string command, label;  // for the row of a job that ends by losses
};

struct EndedAttempt {
  Attempt attempt;
  Outcome outcome = Outcome::Lost;
  bool counted = false;  // as a failure or a loss
  bool alone = false;
};

struct JobRecord {
  Attempt current;  // the greatest attempt seen
  std::vector<LiveAttempt> live;
  std::vector<EndedAttempt> ended;  // the newest, and all that were lost: older ones are counted below, or a job that always fails would fill the memory
  std::uint64_t forgotten = 0;
  std::uint32_t forgotten_failures = 0;
  std::uint64_t least_epoch = 0;  // the user had the job retried: attempts of earlier epochs are void

  bool is_void(const Attempt& attempt) const { return attempt.epoch < least_epoch; }
  LiveAttempt* find_live(const Attempt& attempt);
  EndedAttempt* find_ended(const Attempt& attempt);
  void erase_live(const Attempt& attempt);
  void add_ended(const EndedAttempt& attempt);
  std::uint64_t ended_count() const { return forgotten + ended.size(); }
  void note(const Attempt& attempt);  // a greater one than any before takes the lease of those
  std::uint32_t failures() const;
  std::uint32_t losses() const;
  std::uint32_t losses_alone() const;
  bool must_run_alone() const { return losses() >= 2; }
};

class Progress {
 public:
  bool is_finished(JobId job) const { return finished_.contains(job); }
  std::uint64_t finished() const { return finished_.size(); }
  std::uint64_t failed() const { return failed_; }
  const base::JobSet& finished_jobs() const { return finished_; }

  JobRecord* find(JobId job);
  bool is_void(const Attempt& attempt) const;
  JobRecord& get(JobId job) { return records_[job]; }
  void become_finished(JobId job, bool failed);
  const std::unordered_map<JobId, JobRecord>& records() const { return records_; }
  std::unordered_map<JobId, JobRecord>& records() { return records_; }

  void check_invariants() const;

 private:
  base::JobSet finished_;
  std::uint64_t failed_ = 0;
  std::unordered_map<JobId, JobRecord> records_;
};

}  // namespace sink
