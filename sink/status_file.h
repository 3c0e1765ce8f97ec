// status.json in the run directory: what only the living sink knows (jobs out and who has them, when each worker was last heard, how fast it goes). Written
// whole to another name and renamed, once a heartbeat and only when something has changed, never synced: it is for readers, and nothing recovers from it.
// docs/ANSWERS.md describes it. Owned by the sink's shell, called from its loop only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/time.h"
#include "json/json.h"
#include "sink/core.h"
#include "sink/tallies.h"

namespace sink {

class StatusFile {
 public:
  static constexpr std::size_t kListedJobs = 200;     // of those out: the ones that have been longest
  static constexpr std::size_t kListedWorkers = 1000;  // those that were heard last

  // What an earlier sink wrote goes. `before`: what workers did before this start, `finished`: jobs.
  StatusFile(const std::string& run_directory, std::uint64_t sink_epoch, Tallies before, std::uint64_t finished, base::TimePoint now);

  void heard(const wire::State& state, base::WallTime at);
  void ended(const base::WorkerId& worker, const std::string& host, base::Outcome outcome, std::uint64_t runtime_us);
  // To be called each turn; does nothing but compare two times until a heartbeat is over. What cannot be written is left to the next time.
  void tend(const Core& core, const base::RunId& run, base::TimePoint now) {
    if (now >= next_) write(core, run, now);
  }

 private:
  void write(const Core& core, const base::RunId& run, base::TimePoint now);
  void add_jobs(const Core& core, base::WallTime wall, json::Value& status) const;
  void add_workers(const Core& core, json::Value& status);
  double rate(std::uint64_t finished, base::TimePoint now);

  const std::string path_;
  const std::uint64_t sink_epoch_;
  const base::WallTime started_at_;
  Tallies tallies_;
  Tallies::value_type* last_ = nullptr;  // of tallies_: most results come from where the one before came from
  std::map<base::WorkerId, std::uint32_t> here_;  // slots of the workers that the core knows
  base::TimePoint next_;
  std::deque<std::pair<base::TimePoint, std::uint64_t>> finished_;  // one a heartbeat, the last minute of them
  json::Value written_;  // without the time and the rate
};

}  // namespace sink
