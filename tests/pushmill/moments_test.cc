#include "pushmill/moments.h"

#include <catch2/catch.hpp>

using base::Duration;

TEST_CASE("spans are said coarsely", "[moments]") {
  CHECK(pushmill::span_text(Duration(-1)) == "0s");
  CHECK(pushmill::span_text(Duration(59'999'999)) == "59s");
  CHECK(pushmill::span_text(Duration(312'000'000)) == "5m12s");
  CHECK(pushmill::span_text(std::chrono::minutes(182)) == "3h02m");
  CHECK(pushmill::span_text(std::chrono::hours(52)) == "2d04h");
  CHECK(pushmill::seconds_text(1'234'500) == "1.234");
}

TEST_CASE("a moment is a local time or a span before now", "[moments]") {
  const base::WallTime now = 1'795'325'066'000'000;
  CHECK(*pushmill::parse_moment("2h", now) == now - 7'200'000'000);
  const std::string written = pushmill::clock_text(now);
  CHECK(*pushmill::parse_moment(written, now) == now);
  CHECK(*pushmill::parse_moment(written.substr(0, 16), now) <= now);
  CHECK(*pushmill::parse_moment(written.substr(0, 10), now) <= *pushmill::parse_moment(written.substr(0, 16), now));
  for (const char* wrong : {"", "soon", "2026-13-01", "2026-11-22 05:01 or so"}) {
    const auto parsed = pushmill::parse_moment(wrong, now);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().kind == base::Error::Kind::Usage);
  }
}

TEST_CASE("a time of today needs no date, one that nobody knows is a dash", "[moments]") {
  const base::WallTime now = 1'795'325'066'000'000;
  CHECK(pushmill::clock_text(now, now) == pushmill::clock_text(now).substr(11));
  CHECK(pushmill::clock_text(now - 48 * 3'600'000'000, now).size() == 19);
  CHECK(pushmill::clock_text(0) == "-");
}
