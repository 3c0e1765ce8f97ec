// The one line on a terminal that says how a run stands.
#pragma once

#include <string>

#include "base/counts.h"
#include "base/time.h"

namespace pushmill {

// `finished_before`: jobs that were finished when this start of the run began, `elapsed` the time since then.
std::string progress_text(const base::Counts& counts, std::uint64_t finished_before, base::Duration elapsed);

// Draws on stderr if that is a terminal, at most twice a second; clear() leaves the line empty.
class ProgressLine {
 public:
  ProgressLine(const base::Counts& counts, base::TimePoint now);
  bool is_shown() const { return is_terminal_; }
  void draw(base::TimePoint now);
  void clear();

 private:
  const base::Counts& counts_;
  const bool is_terminal_;
  const base::TimePoint started_;
  std::uint64_t finished_before_;
  base::TimePoint next_{};
};

}  // namespace pushmill
