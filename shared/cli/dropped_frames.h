// What a role says of frames that it drops (malformed, of another version or run): the first at once, then one line for all of ten seconds.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "cli/log.h"

namespace cli {

class DroppedFrames {
 public:
  explicit DroppedFrames(const Log& log) : log_(log) {}
  void note(std::string_view why, base::TimePoint now);

 private:
  const Log& log_;
  std::uint64_t unsaid_ = 0;
  base::TimePoint next_line_{};
};

}  // namespace cli
