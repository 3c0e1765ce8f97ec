#include "cli/dropped_frames.h"

#include <string>

namespace cli {

namespace {
constexpr base::Duration kEvery{10'000'000};
}  // namespace

void DroppedFrames::note(std::string_view why, base::TimePoint now) {
  ++unsaid_;
  if (now < next_line_) return;
  next_line_ = now + kEvery;
  log_.warning((unsaid_ == 1 ? "dropped a frame: " : "dropped " + std::to_string(unsaid_) + " frames, the last one: ") + std::string(why));
  unsaid_ = 0;
}

}  // namespace cli
