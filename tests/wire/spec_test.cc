#include <catch2/catch.hpp>

#include "examples.h"
#include "wire/limits.h"

using namespace examples;
using namespace wire;

TEST_CASE("job specs come back as they were", "[spec]") {
  for (const auto& [name, spec] : specs()) {
    INFO(name);
    std::string bytes = "old";
    encode_spec(spec, bytes);
    const auto read = decode_spec(bytes);
    REQUIRE(read);
    CHECK(*read == spec);
  }
}

TEST_CASE("a job spec of an unknown kind or above the limits is refused", "[spec]") {
  CHECK(decode_spec(std::string_view("\x94\x04\x00\xc4\x00\x00", 6)).error().message == "a job spec of the unknown kind 4");
  std::string bytes;
  encode_spec({base::Call{std::string(kMaxName + 1, 'h'), 1, ""}, {}}, bytes);
  CHECK_FALSE(decode_spec(bytes));
  encode_spec({base::Command{std::string(kMaxJob, 'x'), {}, "", "", "", {}}, {}}, bytes);
  CHECK_FALSE(decode_spec(bytes));
  encode_spec({base::Command{"x", {}, "", "", "", {}, {70, 1}}, {}}, bytes);
  CHECK_FALSE(decode_spec(bytes));
  encode_spec({base::Record{{"x", {}, "", "", "", {}, {15}}, "", base::Framing::Line}, {}}, bytes);
  CHECK_FALSE(decode_spec(bytes));
  encode_spec({base::Command{"", std::vector<std::string>(kMaxItems + 1, "a"), "", "", "", {}}, {}}, bytes);
  CHECK_FALSE(decode_spec(bytes));
}

TEST_CASE("places for the slot that are behind the line, or fall, are refused", "[spec]") {
  std::string bytes;
  encode_spec({base::Command{"abc", {}, "", "", "", {}, {}, false, {0, 0, 3}}, {}}, bytes);
  CHECK(decode_spec(bytes));
  encode_spec({base::Command{"abc", {}, "", "", "", {}, {}, false, {4}}, {}}, bytes);
  CHECK_FALSE(decode_spec(bytes));
  encode_spec({base::Command{"abc", {}, "", "", "", {}, {}, false, {2, 1}}, {}}, bytes);
  CHECK_FALSE(decode_spec(bytes));
}

TEST_CASE("labels come back as they were, and one that says nothing is no bytes", "[spec]") {
  std::string bytes = "old";
  encode_label({}, bytes);
  CHECK(bytes.empty());
  CHECK(*decode_label(bytes) == base::Label{});
  const base::Label label{17, "a\tb", "out/1/a", {"a", "", std::string("\xff\n", 2)}};
  encode_label(label, bytes);
  CHECK(*decode_label(bytes) == label);
  CHECK_FALSE(decode_label(bytes.substr(1)));
  CHECK_FALSE(decode_label(bytes + "x"));
}
