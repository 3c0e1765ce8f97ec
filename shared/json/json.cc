#include "json/json.h"

#include <cstdint>
#include <vector>

#include "base/utf8.h"

namespace json {
namespace {

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0);
    for (std::size_t i = 0; i < 4; ++i) text += i <= count ? kDigits[group >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

// "[json.exception.parse_error.101] parse error at line 1, column 4: ..." without what only the library's authors want to know.
std::string shorten(std::string_view what) {
  if (const auto end = what.find("] "); what.starts_with('[') && end != std::string_view::npos) what.remove_prefix(end + 2);
  return std::string(what);
}

}  // namespace

base::Result<Value> parse(std::string_view text, int most_nesting) {
  const auto wrong = [](std::string why) { return base::Error{base::Error::Kind::Usage, std::move(why)}; };
  if (text.find('\0') != std::string_view::npos) return wrong("it holds a NUL byte");  // the library takes it for the end
  bool is_too_deep = false;
  const auto limit = [&](int depth, Value::parse_event_t event, Value&) {
    const bool begins = event == Value::parse_event_t::array_start || event == Value::parse_event_t::object_start;
    if (begins && depth >= most_nesting) is_too_deep = true;
    return !is_too_deep;
  };
  try {
    Value value = Value::parse(text, limit);
    if (is_too_deep) return wrong("it is nested too deeply");
    return value;
  } catch (const Value::exception& e) {
    return wrong(shorten(e.what()));
  }
}

std::string print(const Value& value) { return value.dump(-1, ' ', false, Value::error_handler_t::replace); }

void append_string(std::string_view text, std::string& json) { json += print(Value(text)); }

Value bytes(std::string_view bytes) {
  if (base::is_utf8(bytes)) return Value(bytes);
  return Value{{"base64", base64(bytes)}};
}

std::string to_msgpack(const Value& value) {
  std::string packed;
  Value::to_msgpack(value, packed);
  return packed;
}

}  // namespace json
