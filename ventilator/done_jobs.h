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
  // Reads jobs.db of `directory`. `failed`: these jobs are not done. Without a run there nothing is done.
  static base::Result<DoneJobs> read(const std::string& directory, const base::JobSet& failed);

  bool contains(base::JobSpec job) const;
  base::JobId accepted() const { return accepted_; }  // when it was read

 private:
  using Content = std::array<std::uint64_t, 2>;
  static Content content_of(base::JobSpec job);

  std::vector<Content> contents_;  // sorted
  base::JobId accepted_ = 0;
};

}  // namespace ventilator
