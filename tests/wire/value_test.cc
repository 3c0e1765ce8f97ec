#include <catch2/catch.hpp>
#include <bit>
#include <cmath>
#include <limits>
#include <msgpack.hpp>

#include "wire/codec.h"
#include "wire/limits.h"

namespace {

template <typename T>
std::string packed(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return {buffer.data(), buffer.size()};
}

// msgpack-cxx packs a whole float64 as an integer; other peers do not.
std::string packed_float64(double value) {
  auto bits = std::bit_cast<std::uint64_t>(value);
  std::string bytes(9, '\xcb');
  for (std::size_t i = 8; i > 0; --i, bits >>= 8) bytes[i] = static_cast<char>(bits);
  return bytes;
}

std::string printed(std::string_view msgpack) {
  const auto text = wire::print_value(msgpack);
  return text ? *text : "error: " + text.error().message;
}

}  // namespace

TEST_CASE("bytes are packed as str when they are UTF-8 and as bin when not", "[value]") {
  CHECK(wire::pack_bytes("") == "\xa0");
  CHECK(wire::pack_bytes("h\xc3\xa9") == "\xa3h\xc3\xa9");
  for (const char* text : {"\xe2\x82\xac", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK((wire::pack_bytes(text)[0] & 0xe0) == 0xa0);
  }
  for (const char* bytes : {"\xff", "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe2\x82", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                            "\xf5\x80\x80\x80", "a\xc3z"}) {
    CHECK(wire::pack_bytes(bytes)[0] == '\xc4');
  }
}

TEST_CASE("packed bytes are printed as they were, whatever they are", "[value]") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (const std::string& bytes : {std::string(), std::string("plain\nlines\n"), std::string("\0", 1), all, std::string(70'000, 'x')}) {
    CHECK(printed(wire::pack_bytes(bytes)) == bytes);
  }
}

TEST_CASE("integers are printed over the whole range of 64 bits", "[value]") {
  CHECK(printed(packed(0)) == "0");
  CHECK(printed(packed(-1)) == "-1");
  CHECK(printed(packed(std::numeric_limits<std::int64_t>::min())) == "-9223372036854775808");
  CHECK(printed(packed(std::numeric_limits<std::int64_t>::max())) == "9223372036854775807");
  CHECK(printed(packed(std::numeric_limits<std::uint64_t>::max())) == "18446744073709551615");
}

TEST_CASE("floats are printed in the fewest digits that read back as the same number", "[value]") {
  CHECK(printed(packed(0.1)) == "0.1");
  CHECK(printed(packed_float64(1.0)) == "1.0");
  CHECK(printed(packed_float64(-0.0)) == "-0.0");
  CHECK(printed(packed(1e300)) == "1e+300");
  CHECK(printed(packed(0.1f)) == "0.1");
  CHECK(printed(packed(5e-324)) == "5e-324");
  CHECK(printed(packed(std::numeric_limits<double>::max())) == "1.7976931348623157e+308");
  CHECK(printed(packed(std::nan(""))) == "NaN");
  CHECK(printed(packed_float64(-std::nan("1"))) == "NaN");
  CHECK(printed(packed(HUGE_VAL)) == "Infinity");
  CHECK(printed(packed(-HUGE_VAL)) == "-Infinity");
}

TEST_CASE("other values are printed as one line of JSON", "[value]") {
  CHECK(printed("\xc0") == "null");
  CHECK(printed(packed(true)) == "true");
  CHECK(printed("\x90") == "[]");
  CHECK(printed("\x80") == "{}");
  CHECK(printed("\x93\x01\xa3"
                "a\"\n\xc2") == "[1,\"a\\\"\\n\",false]");
  CHECK(printed("\x83\xa1k\x91\xc0\x05\x06\xc4\x02\xff\"\x07") == "{\"k\":[null],\"5\":6,\"\\u00ff\\\"\":7}");
  CHECK(printed(std::string_view("\x92\xc4\x03\x00\xe9z\xa2\xc3\xa9", 9)) == "[\"\\u0000\\u00e9z\",\"\xc3\xa9\"]");
  CHECK(printed("\x91\xa1\xff") == "[\"\\u00ff\"]");
  CHECK(printed("\xd4\xff\x07") == "{\"ext\":-1,\"data\":\"\\u0007\"}");
}

TEST_CASE("what is not exactly one value is not printed", "[value]") {
  CHECK_FALSE(wire::print_value(""));
  CHECK_FALSE(wire::print_value("\xa1"));
  CHECK_FALSE(wire::print_value("\x01\x02"));
  CHECK_FALSE(wire::print_value("\xc1"));
  CHECK_FALSE(wire::print_value("\x92\x01"));
  CHECK_FALSE(wire::print_value("\x81\x90\x01"));  // a key that is an array
  CHECK_FALSE(wire::print_value("\xdd\xff\xff\xff\xff"));
  CHECK_FALSE(wire::print_value("\xdf\xff\xff\xff\xff"));
  CHECK(wire::print_value(std::string(wire::kMaxDepth, '\x91') + '\x01'));
  CHECK_FALSE(wire::print_value(std::string(wire::kMaxDepth + 1, '\x91') + '\x01'));
  CHECK_FALSE(wire::print_value(std::string(3'000'000, '\x91') + '\x01'));
}

TEST_CASE("a job is described by its line, its quoted words or its handler and arguments", "[value]") {
  CHECK(wire::describe({base::Command{"a | b", {}, "", "", "", {}}, {}}) == "a | b");
  CHECK(wire::describe({base::Command{"", {"printf", "%s\n", "x y"}, "", "", "", {}}, {}}) == base::shell_join({"printf", "%s\n", "x y"}));
  CHECK(wire::describe({base::Call{"echo", 1, wire::pack_bytes("hello")}, {}}) == "echo hello");
  CHECK(wire::describe({base::Call{"add", 1, packed(std::vector<double>{0.5, 2.5})}, {}}) == "add [0.5,2.5]");
  CHECK(wire::describe({base::Call{"add", 1, "\x92"}, {}}) == "add (unreadable arguments)");
}
