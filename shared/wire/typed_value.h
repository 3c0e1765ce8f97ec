// C++ values as msgpack and back, by the mapping of msgpack-c: integers, float64, bool, std::string (str), std::vector<char> (bin), std::vector, std::map,
// std::optional (nil or the value), std::tuple, and structs with MSGPACK_DEFINE (an array of the members) or MSGPACK_DEFINE_MAP (a map by name).
// Values are trees: what is shared or points to itself has no form here.
#pragma once

#include <bit>
#include <map>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"

namespace wire {

// The msgpack form of a value that is written: a std::string by another name, so that it can have a packing of float64 of its own (below).
class Packed {
 public:
  void write(const char* bytes, std::size_t size) { bytes_.append(bytes, size); }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace wire

// msgpack-c writes a float64 that is a whole number as an integer, and so loses -0.0 and the type. What a handler returns stays what it is.
template <>
inline msgpack::packer<wire::Packed>& msgpack::packer<wire::Packed>::pack_double(double value) {
  char bytes[9];
  bytes[0] = static_cast<char>(0xcb);
  _msgpack_store64(bytes + 1, std::bit_cast<std::uint64_t>(value));
  append_buffer(bytes, sizeof bytes);
  return *this;
}

namespace wire {

// What a parameter takes, in words.
template <typename T>
struct TypeName { static std::string text() { return std::is_enum_v<T> ? "an integer" : "a struct"; } };
template <typename T>
  requires std::is_integral_v<T>
struct TypeName<T> { static std::string text() { return std::is_signed_v<T> ? "an integer" : "an integer from 0"; } };
template <> struct TypeName<msgpack::object> { static std::string text() { return "any value"; } };
template <> struct TypeName<bool> { static std::string text() { return "a bool"; } };
template <typename T>
  requires std::is_floating_point_v<T>
struct TypeName<T> { static std::string text() { return "a number"; } };
template <> struct TypeName<std::string> { static std::string text() { return "text"; } };
template <> struct TypeName<std::vector<char>> { static std::string text() { return "bytes"; } };
template <typename T> struct TypeName<std::vector<T>> { static std::string text() { return "an array of (" + TypeName<T>::text() + ")"; } };
template <typename T> struct TypeName<std::optional<T>> { static std::string text() { return TypeName<T>::text() + " or nil"; } };
template <typename K, typename V> struct TypeName<std::map<K, V>> { static std::string text() { return "a map of (" + TypeName<K>::text() + ") to (" + TypeName<V>::text() + ")"; } };
template <typename... T> struct TypeName<std::tuple<T...>> {
  static std::string text() {
    std::string list;
    ((list += (list.empty() ? "" : ", ") + TypeName<T>::text()), ...);
    return "an array of " + std::to_string(sizeof...(T)) + " (" + list + ")";
  }
};

// What is given, likewise.
std::string describe_value(const msgpack::object& value);
// One value within the limits of the protocol (depth, lengths).
base::Result<msgpack::object_handle> unpack_value(std::string_view value);

template <typename T>
std::string pack_value(const T& value) {
  Packed packed;
  msgpack::pack(packed, value);
  return packed.take();
}

}  // namespace wire

