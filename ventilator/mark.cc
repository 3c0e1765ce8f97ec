#include "ventilator/mark.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

namespace ventilator {

// Four chains that do not wait for one another.
void Mark::step(std::string_view bytes) {
  std::uint64_t lanes[4];
  std::copy(std::begin(lanes_), std::end(lanes_), lanes);
  for (; bytes.size() >= kStep; bytes.remove_prefix(kStep)) {
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + sizeof word * i, sizeof word);
      lanes[i] = std::rotl((lanes[i] ^ word) * kFactor, 29);
    }
  }
  std::copy(std::begin(lanes), std::end(lanes), lanes_);
}

void Mark::add(std::string_view bytes) {
  if (const std::size_t waiting = length_ % kStep; waiting > 0) {
    const std::size_t taken = std::min(kStep - waiting, bytes.size());
    std::memcpy(rest_ + waiting, bytes.data(), taken);
    length_ += taken;
    bytes.remove_prefix(taken);
    if (length_ % kStep != 0) return;
    step({rest_, kStep});
  }
  length_ += bytes.size();
  step(bytes);
  const std::string_view rest = bytes.substr(bytes.size() - bytes.size() % kStep);
  std::copy(rest.begin(), rest.end(), rest_);
}

std::uint64_t Mark::value() const {
  std::uint64_t mark = length_;
  for (const std::uint64_t lane : lanes_) mark = std::rotl((mark ^ lane) * kFactor, 31);
  for (const unsigned char byte : std::string_view(rest_, length_ % kStep)) mark = (mark ^ byte) * 0x100000001b3u;
  mark ^= mark >> 32;
  return mark * kFactor;
}

}  // namespace ventilator
