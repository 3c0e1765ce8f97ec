// Version 1 is fixed: whoever changes the bytes of a message breaks every peer in the field. Run `wire_test [.record]` to print new lines for golden_v1.txt.
#include <catch2/catch.hpp>
#include <fstream>
#include <iostream>
#include <map>

#include "examples.h"

using namespace examples;

namespace {

std::map<std::string, std::string> golden() {
  std::map<std::string, std::string> lines;
  std::ifstream file(GOLDEN_FILE);
  for (std::string name, digits; file >> name >> digits;) lines[name] = digits;
  return lines;
}

std::string encoded_spec(const base::JobSpec& spec) {
  std::string bytes;
  wire::encode_spec(spec, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("the golden frames, one line each", "[.record]") {
  for (const Example& example : messages()) std::cout << example.name << ' ' << hex(encoded(example.message)) << '\n';
  for (const auto& [name, spec] : specs()) std::cout << name << ' ' << hex(encoded_spec(spec)) << '\n';
}

TEST_CASE("the frames of the session in PROTOCOL.md", "[.record]") {
  for (const auto& [name, frame] : session()) std::cout << name << ":\n" << hex(frame) << '\n';
}

TEST_CASE("the session that PROTOCOL.md shows is what the codec writes", "[golden]") {
  std::ifstream file(PROTOCOL_FILE);
  std::string page, word;
  while (file >> word) page += word;
  REQUIRE_FALSE(page.empty());
  for (const auto& [name, frame] : session()) {
    INFO(name);
    CHECK(page.find(hex(frame)) != std::string::npos);
  }
}

TEST_CASE("every message of version 1 has the bytes it always had", "[golden]") {
  auto lines = golden();
  for (const Example& example : messages()) {
    INFO(example.name);
    CHECK(hex(encoded(example.message)) == lines[example.name]);
    lines.erase(example.name);
  }
  for (const auto& [name, spec] : specs()) {
    INFO(name);
    CHECK(hex(encoded_spec(spec)) == lines[name]);
    lines.erase(name);
  }
  for (const auto& [name, digits] : lines) FAIL_CHECK("no example stands for the golden line " << name);
}

TEST_CASE("every golden frame of version 1 is still understood", "[golden]") {
  auto lines = golden();
  for (const Example& example : messages()) {
    INFO(example.name);
    const auto message = decoded(unhex(lines[example.name]), example.message, run());
    REQUIRE(message);
    CHECK(*message == example.message);
  }
  for (const auto& [name, spec] : specs()) {
    INFO(name);
    const auto read = wire::decode_spec(unhex(lines[name]));
    REQUIRE(read);
    CHECK(*read == spec);
  }
}
