#include "base/json_bytes.h"

#include <cstdint>

#include "base/json.h"
#include "base/utf8.h"

namespace base {

void append_base64(std::string_view bytes, std::string& text) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) { return at < bytes.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])) : 0u; };
    const std::uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    text += kDigits[three >> 18];
    text += kDigits[three >> 12 & 63];
    text += i + 1 < bytes.size() ? kDigits[three >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? kDigits[three & 63] : '=';
  }
}

void append_json_bytes(std::string_view bytes, std::string& json) {
  if (is_utf8(bytes)) return append_json_string(bytes, json);
  json += "{\"base64\":\"";
  append_base64(bytes, json);
  json += "\"}";
}

}  // namespace base
