// A small seeded generator (splitmix64) for jitter in the cores, so that a run of a core is a function of its seed and events.
#pragma once

#include <cstdint>

namespace base {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }  // REQUIRES: bound > 0

 private:
  std::uint64_t state_;
};

}  // namespace base
