#include "pushmill/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/status_line.h"

namespace pushmill {

namespace {
constexpr base::Duration kEvery{500'000};
constexpr std::size_t kBar = 30;

std::string clock_text(std::uint64_t seconds) {
  char text[32];
  if (seconds >= 3600) std::snprintf(text, sizeof text, "%lluh%02llum", static_cast<unsigned long long>(seconds / 3600), static_cast<unsigned long long>(seconds / 60 % 60));
  else std::snprintf(text, sizeof text, "%llum%02llus", static_cast<unsigned long long>(seconds / 60), static_cast<unsigned long long>(seconds % 60));
  return text;
}
}  // namespace

std::string progress_text(const base::Counts& counts, std::uint64_t finished_before, base::Duration elapsed) {
  const std::uint64_t finished = counts.finished, failed = counts.failed, accepted = counts.accepted;
  const double seconds = static_cast<double>(elapsed.count()) / 1e6;
  const double rate = seconds > 0 && finished > finished_before ? static_cast<double>(finished - finished_before) / seconds : 0;
  char text[160];
  std::snprintf(text, sizeof text, "%llu done, %llu failed, %llu running, %llu%s total, %.1f/s", static_cast<unsigned long long>(finished - failed),
                static_cast<unsigned long long>(failed), static_cast<unsigned long long>(counts.running.load()), static_cast<unsigned long long>(accepted),
                counts.is_input_ended ? "" : "+", rate);
  std::string line = text;
  if (counts.is_input_ended && rate > 0 && accepted >= finished) {
    line += ", ETA " + clock_text(static_cast<std::uint64_t>(static_cast<double>(accepted - finished) / rate));
  }
  return line;
}

std::string bar_text(const base::Counts& counts, std::size_t width) {
  const std::uint64_t finished = counts.finished, accepted = counts.accepted;
  if (!counts.is_input_ended || accepted == 0) return "[" + std::string(width, '.') + "]";
  const std::size_t filled = static_cast<std::size_t>(std::min(finished, accepted) * width / accepted);
  return "[" + std::string(filled, '#') + std::string(width - filled, '.') + "] " + std::to_string(std::min(finished, accepted) * 100 / accepted) + "%";
}

ProgressLine::ProgressLine(const base::Counts& counts, const ProgressOptions& options, base::TimePoint now)
    : counts_(counts), is_terminal_(::isatty(STDERR_FILENO) == 1), has_bar_(options.has_bar), is_shown_(is_terminal_ || options.is_wanted || options.has_bar), started_(now), finished_before_(counts.finished), next_(now + kEvery) {}

void ProgressLine::draw(base::TimePoint now) {
  if (!is_shown_ || now < next_) return;
  const base::Duration elapsed = now - started_;
  next_ = now + (is_terminal_ ? kEvery : std::max(kEvery, elapsed / 10));
  std::string line = progress_text(counts_, finished_before_, elapsed);
  if (has_bar_) line = bar_text(counts_, kBar) + " " + line;
  if (is_terminal_) return cli::StatusLine::of_process().draw(line);
  if (line != last_) std::fprintf(stderr, "pushmill: %s\n", line.c_str());
  last_ = std::move(line);
}

void ProgressLine::toggle() {
  is_shown_ = !is_shown_;
  next_ = {};
  if (!is_shown_) clear();
}

void ProgressLine::clear() {
  if (is_terminal_) cli::StatusLine::of_process().clear();
}

}  // namespace pushmill
