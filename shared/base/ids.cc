#include "base/ids.h"

namespace base {

std::string Id128::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(32);
  for (std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Id128::short_hex() const { return hex().substr(0, 8); }

std::string Attempt::text() const {
  return std::to_string(job) + "@" + std::to_string(epoch) + "." + std::to_string(n);
}

}  // namespace base
