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
  CHECK(decode_spec(std::string_view("\x93\x04\x00\x00", 4)).error().message == "a job spec of the unknown kind 4");
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
