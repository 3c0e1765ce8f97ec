// What each worker has done in a run, summed up: the sink counts it as it goes, and reads it from results.db when it starts again; so do readers of a run
// that is over.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"
#include "base/job.h"
#include "base/result.h"
#include "base/time.h"
#include "io/database.h"

namespace sink {

struct Tally {
  std::string host;
  std::uint64_t done = 0;     // jobs that succeeded here
  std::uint64_t failed = 0;   // attempts
  std::uint64_t lost = 0;     // attempts, also those that were heard of again
  std::uint64_t runtime_us = 0;  // of those done and failed
  base::WallTime heard_at = 0;   // 0: unknown
  void add(base::Outcome outcome, std::uint64_t runtime);
};
using Tallies = std::map<base::WorkerId, Tally>;

// `results`: a results.db. `heard_at` is then the end of the last attempt. Reads all of its rows.
base::Result<Tallies> read_tallies(io::Database& results);

}  // namespace sink
