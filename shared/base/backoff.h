// A wait that doubles with jitter from `first` up to `most`, and falls back when told of success.
#pragma once

#include "base/random.h"
#include "base/time.h"

namespace base {

class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(std::max(first, most)), wait_(first) {}
  Duration current() const { return wait_; }
  void grow(Random& random) {
    const auto doubled = std::min(most_, wait_ * 2);
    wait_ = doubled - Duration(random.below(static_cast<std::uint64_t>(doubled.count()) / 8 + 1));
    wait_ = std::max(wait_, first_);
  }
  void reset() { wait_ = first_; }

 private:
  Duration first_, most_, wait_;
};

}  // namespace base
