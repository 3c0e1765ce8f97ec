// A joblog in GNU parallel's format, its own or one of ours, read to find what is still to be done.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/job_set.h"
#include "base/result.h"

namespace ventilator {

// What the log says of its jobs by their last lines.
struct JoblogState {
  base::JobSet finished;   // all that it has
  base::JobSet succeeded;
  std::vector<base::JobId> failed;     // in rising order
  std::vector<std::string> commands;  // of these, if asked for
  std::uint64_t bytes = 0;             // that were read
};

// Reads the first `bytes` of the file, whole lines only. A line that is damaged, as a crash leaves one, says nothing. NotFound: there is no such file;
// Usage: it is not a joblog.
base::Result<JoblogState> read_joblog(const std::string& path, bool with_commands, std::uint64_t bytes = UINT64_MAX);

}  // namespace ventilator
