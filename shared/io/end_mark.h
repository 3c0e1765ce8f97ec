// Whether the other role of a run has left the mark that the run is complete. Both databases keep it in their table `meta`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace io {

struct EndMark {
  int exit_status = 0;
  std::uint64_t failed = 0;
  bool cut = false;
};

// The mark in `directory`/results.db or jobs.db; none when there is none or when the role that owns the file runs (its lock is held): it will say so itself.
std::optional<EndMark> end_mark_of_sink(const std::string& directory);
std::optional<EndMark> end_mark_of_ventilator(const std::string& directory);

}  // namespace io
