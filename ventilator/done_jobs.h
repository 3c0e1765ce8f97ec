// What --skip-done leaves out: the contents of the jobs that a run directory has accepted, whatever their numbers. A content is what a job does: its command
// with shell and directory, its stdin, its call or its record; not how it is shown, limited, ended or numbered, and not its environment.
// Sixteen bytes in memory for each job.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/job_set.h"
#include "base/result.h"

namespace ventilator {

class DoneJobs {
 public:
  // Reads jobs.db of `directory`. `failed`: these jobs are not done. Without a run there nothing is done. `is_new_call`: all jobs there are of earlier ones.
  static base::Result<DoneJobs> read(const std::string& directory, const base::JobSet& failed, bool is_new_call);

  // Whether a job of the input is to be left out: it equals one that an earlier call has accepted; or one that this call, before it was interrupted, has, each
  // of which answers for one job.
  bool take(base::JobSpec job);
  base::JobId accepted() const { return accepted_; }  // when it was read

 private:
  using Content = std::array<std::uint64_t, 2>;
  static Content content_of(base::JobSpec job);

  std::vector<Content> contents_;  // of earlier calls, sorted
  std::vector<Content> own_;       // of this one, sorted
  std::vector<std::uint32_t> taken_;  // where equal ones of own_ begin: how many of them
  base::JobId accepted_ = 0;
};

}  // namespace ventilator
