#include "cli/durations.h"

#include <catch2/catch.hpp>

using base::Error;
using cli::parse_duration;
using cli::parse_size;
using namespace std::chrono_literals;

TEST_CASE("durations are sums of numbers with units", "[durations]") {
  const auto [text, expected] = GENERATE(table<std::string, base::Duration>({{"10", 10s},
                                                                             {"0", 0s},
                                                                             {"1.5s", 1500ms},
                                                                             {".5", 500ms},
                                                                             {"200ms", 200ms},
                                                                             {"5m", 5min},
                                                                             {"5M", 5min},
                                                                             {"1h30m", 90min},
                                                                             {"1h 30m", 90min},
                                                                             {" 2d ", 48h},
                                                                             {"1m4", 64s},
                                                                             {"0.000001", 1us},
                                                                             {"1d3.5h16.6m4s", 100000s}}));
  CAPTURE(text);
  auto duration = parse_duration(text);
  REQUIRE(duration);
  CHECK(*duration == expected);
}

TEST_CASE("what is no duration is a usage error that repeats it", "[durations]") {
  const std::string text = GENERATE(values<std::string>({"", " ", "-1", "+1", "1e3", "5x", "5 m", "s", "1s2s3q", "10 20", "1.2.3", "nan", "inf",
                                                         "99999999999999999999d", "300y", "1e400", "0.0000001", "1\n"}));
  CAPTURE(text);
  auto duration = parse_duration(text);
  REQUIRE_FALSE(duration);
  CHECK(duration.error().kind == Error::Kind::Usage);
  CHECK_THAT(duration.error().message, Catch::Contains("'" + text + "'"));
}

TEST_CASE("sizes have the factors of GNU parallel", "[durations]") {
  const auto [text, expected] = GENERATE(table<std::string, std::uint64_t>({{"0", 0},
                                                                            {"4096", 4096},
                                                                            {"64K", 65536},
                                                                            {"64k", 64000},
                                                                            {"1.5M", 1572864},
                                                                            {"2m", 2000000},
                                                                            {"1G", 1073741824},
                                                                            {"1g", 1000000000},
                                                                            {"1T", 1099511627776},
                                                                            {"1Ki", 1024},
                                                                            {"1ki", 1024},
                                                                            {"1P", 1125899906842624}}));
  CAPTURE(text);
  auto size = parse_size(text);
  REQUIRE(size);
  CHECK(*size == expected);
}

TEST_CASE("what is no size is a usage error that repeats it", "[durations]") {
  const std::string text = GENERATE(values<std::string>({"", "-1", "K", "1KB", "1Kx", "1 K", "1K2", "9P", "1e9", "99999999999999999999"}));
  CAPTURE(text);
  auto size = parse_size(text);
  REQUIRE_FALSE(size);
  CHECK(size.error().kind == Error::Kind::Usage);
  CHECK_THAT(size.error().message, Catch::Contains("'" + text + "'"));
}
