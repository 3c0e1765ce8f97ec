// Time as the cores see it: monotonic microseconds handed in by the shell. Wall time is for logs only.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace base {

using Duration = std::chrono::microseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::int64_t;  // microseconds since 1970-01-01 UTC

inline constexpr TimePoint kNever = TimePoint::max();

// Time during which this process really ran. A pause (SIGSTOP, a slow disk, a starved host) advances it by at most `step`, so that a role which was
// away does not take its own silence for that of its peers.
class AliveClock {
 public:
  explicit AliveClock(Duration step) : step_(step) {}
  void set_step(Duration step) { step_ = step; }

  // REQUIRES: calls in order of `now`, at least once per step while the process runs.
  TimePoint advance(TimePoint now) {
    if (started_) alive_ += std::clamp(now - last_, Duration::zero(), step_);
    else alive_ = now, started_ = true;
    last_ = now;
    return alive_;
  }
  TimePoint alive() const { return alive_; }
  // When `advance` must be called for `alive() == at` to be seen, if nothing stalls.
  TimePoint real(TimePoint at) const { return at == kNever ? kNever : last_ + (at - alive_); }

 private:
  Duration step_;
  bool started_ = false;
  TimePoint last_{};
  TimePoint alive_{};
};

}  // namespace base
