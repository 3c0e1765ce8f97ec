#include "wire/typed_value.h"

#include <algorithm>

#include "wire/limits.h"

namespace wire {

std::string describe_value(const msgpack::object& value) {
  constexpr std::uint32_t kShown = 4;
  switch (value.type) {
    case msgpack::type::NIL: return "nil";
    case msgpack::type::BOOLEAN: return "a bool";
    case msgpack::type::POSITIVE_INTEGER: return "an integer";
    case msgpack::type::NEGATIVE_INTEGER: return "a negative integer";
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64: return "a number";
    case msgpack::type::STR: return "text";
    case msgpack::type::BIN: return "bytes";
    case msgpack::type::MAP: return "a map";
    case msgpack::type::EXT: return "an extension";
    case msgpack::type::ARRAY: break;
  }
  std::string list;
  const auto& array = value.via.array;
  for (std::uint32_t i = 0; i < array.size && i < kShown; ++i) list += (i == 0 ? "" : ", ") + describe_value(array.ptr[i]);
  return "an array of " + std::to_string(array.size) + (array.size == 0 ? "" : " (" + list + (array.size > kShown ? ", ..." : "") + ")");
}

base::Result<msgpack::object_handle> unpack_value(std::string_view bytes) {
  const std::size_t most = std::min(kMaxString, bytes.size());  // an element takes a byte at least
  const msgpack::unpack_limit limits(most, most, most, most, most, kMaxDepth);
  std::size_t used = 0;
  try {
    auto value = msgpack::unpack(bytes.data(), bytes.size(), used, nullptr, nullptr, limits);
    if (used == bytes.size()) return value;
  } catch (const msgpack::unpack_error&) {
  }
  return base::Error{base::Error::Kind::Usage, "not one msgpack value within the limits"};
}

}  // namespace wire
