// 64 bits that stand for bytes, however these come. Quick, and no protection against whoever wants two contents to have the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ventilator {

class Mark {
 public:
  explicit Mark(std::uint64_t seed = 0) : lanes_{seed + kFactor, seed ^ kFactor, ~seed, seed} {}
  void add(std::string_view bytes);
  std::uint64_t value() const;  // of all that were added

 private:
  static constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15u;
  static constexpr std::size_t kStep = 32;
  void step(std::string_view bytes);  // over all whole steps of them

  std::uint64_t lanes_[4], length_ = 0;
  char rest_[kStep] = {};  // length_ % kStep of them are not stepped over yet
};

}  // namespace ventilator
