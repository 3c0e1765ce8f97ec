#include "base/one_line.h"

namespace base {

std::string one_line(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '\n') line += "\\n";
    else if (c == '\t') line += "\\t";
    else if (c == '\r') line += "\\r";
    else if (u < 0x20 || u == 0x7f) line += "\\x", line += kDigits[u >> 4], line += kDigits[u & 15];
    else line += c;
  }
  return line;
}

}  // namespace base
