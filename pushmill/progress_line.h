// The one line on a terminal that says how a run stands.
#pragma once

#include <string>

#include "base/counts.h"
#include "base/time.h"

namespace pushmill {

struct ProgressOptions {
  bool is_wanted = false;  // also where stderr is no terminal
  bool has_bar = false;    // likewise, with a bar
};

// `finished_before`: jobs that were finished when this start of the run began, `elapsed` the time since then.
std::string bar_text(const base::Counts& counts, std::size_t width);
std::string progress_text(const base::Counts& counts, std::uint64_t finished_before, base::Duration elapsed);

// Draws on stderr, at most twice a second, if that is a terminal or the user wants it: then with lines of their own, fewer as time goes on. clear() leaves
// the line empty.
class ProgressLine {
 public:
  ProgressLine(const base::Counts& counts, const ProgressOptions& options, base::TimePoint now);
  bool is_shown() const { return is_shown_; }
  void toggle();  // as the user asks with a signal
  void draw(base::TimePoint now);
  void clear();

 private:
  const base::Counts& counts_;
  const bool is_terminal_, has_bar_;
  bool is_shown_;
  const base::TimePoint started_;
  std::uint64_t finished_before_;
  base::TimePoint next_{};
  std::string last_;  // said where there is no terminal
};

}  // namespace pushmill
