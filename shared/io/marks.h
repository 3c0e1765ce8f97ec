// What ventilator and sink read of each other's database: marks in its table `meta`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"

namespace io {

struct EndMark {
  int exit_status = 0;
  std::uint64_t total = 0;
  std::uint64_t failed = 0;
  bool cut = false;
  std::uint64_t halts = 0;  // that there were
};

// Whether a sink that has gone left the mark that the run is complete, in `directory`/results.db; none when there is none or when a sink runs (it holds its lock): it will say so itself.
std::optional<EndMark> end_mark_of_sink(const std::string& directory);

// The run that the ventilator's database in `directory` is of; none when there is none, or it cannot be read now.
std::optional<base::RunId> run_of_ventilator(const std::string& directory);

}  // namespace io
