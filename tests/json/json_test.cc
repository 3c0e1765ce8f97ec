// JSON as strict as RFC 8259, bytes that are no text, and values as msgpack.
#include "json/json.h"

#include <catch2/catch.hpp>

namespace {

TEST_CASE("what RFC 8259 calls JSON is taken, and nothing else", "[json]") {
  for (const char* good : {"0", "-0", "1.5e+3", "1E9", "-12.0", "true", "false", "null", "\"\"", "[]", "{}", " [ 1 , [ ] , { } ] ", "{\"a\":1,\"a\":2}", "\"\\u0000\\\"\\/\"",
                           "\"\x7f\"", "\"\xf0\x9f\x98\x80\"", "{ \"a\" : [ null ] }\r\n"})
    CHECK(json::parse(good));
  for (const char* bad : {"", " ", "01", "+1", "1.", ".5", "1e", "-", "0x1", "True", "nul", "NaN", "\"", "\"a", "\"\t\"", "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"",
                          "\"\\ud800\\u0041\"", "[", "[1", "[1,]", "[,]", "[1 2]", "]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:2}", "1 2", "[] x", "'a'",
                          "// c\n1", "\"\xff\"", "\"\xed\xa0\x80\""})
    CHECK_FALSE(json::parse(bad));
  CHECK_FALSE(json::parse(std::string_view("1\0", 2)));
}

TEST_CASE("nesting has a limit, and what is deeper is refused however long it is", "[json]") {
  CHECK(json::parse(std::string(512, '[') + std::string(512, ']')));
  CHECK_FALSE(json::parse(std::string(513, '[') + std::string(513, ']')));
  CHECK(json::parse("[[1]]", 2));
  CHECK_FALSE(json::parse("[[[]]]", 2));
  CHECK_FALSE(json::parse(std::string(100'000, '[') + std::string(100'000, ']')));
  CHECK_FALSE(json::parse(std::string(100'000, '[')));
}

TEST_CASE("an error says what is wrong and where, without the library's name", "[json]") {
  const auto value = json::parse("[1 2]");
  REQUIRE_FALSE(value);
  CHECK(value.error().kind == base::Error::Kind::Usage);
  CHECK(value.error().message.starts_with("parse error at line 1, column 4"));
}

TEST_CASE("strings are quoted on one line", "[json]") {
  std::string text = "x=";
  json::append_string("a\"\\\n\x01\xc3\xbc", text);
  CHECK(text == "x=\"a\\\"\\\\\\n\\u0001\xc3\xbc\"");
}

TEST_CASE("bytes are a string if they are UTF-8 and base64 if not", "[json]") {
  CHECK(json::print(json::bytes("\xc3\xbc")) == "\"\xc3\xbc\"");
  CHECK(json::print(json::bytes("\xff")) == "{\"base64\":\"/w==\"}");
  CHECK(json::print(json::bytes("\xff\xfe")) == "{\"base64\":\"//4=\"}");
  CHECK(json::print(json::bytes("\xff\xfe\xfd")) == "{\"base64\":\"//79\"}");
  CHECK(json::print(json::bytes(std::string_view("\xff\0\0\0", 4))) == "{\"base64\":\"/wAAAA==\"}");
}

TEST_CASE("a value is one msgpack value", "[json]") {
  const auto packed = [](const char* text) { return json::to_msgpack(*json::parse(text)); };
  CHECK(packed("[1,-1,\"a\",null,true]") == "\x95\x01\xff\xa1" "a\xc0\xc3");
  CHECK(packed("{\"a\":2.5}") == std::string("\x81\xa1" "a\xca\x40\x20\0\0", 8));
  CHECK(packed("0.1").size() == 9);
}

}  // namespace
