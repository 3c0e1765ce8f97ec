#include "base/ids.h"

#include <catch2/catch.hpp>

#include <unordered_set>

namespace {

using base::Attempt;
using base::Generation;

TEST_CASE("an id is 32 lower-case digits, and 8 in log lines", "[ids]") {
  base::RunId id;
  CHECK(id.is_zero());
  id.bytes = {0x00, 0x0f, 0xa0, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0xcd};
  CHECK_FALSE(id.is_zero());
  CHECK(id.hex() == "000fa0ff0102030405060708090a0bcd");
  CHECK(id.short_hex() == "000fa0ff");
}

TEST_CASE("attempts of a job are ordered by epoch, then by number", "[ids]") {
  CHECK(Attempt{1, 1, 9} < Attempt{1, 2, 1});
  CHECK(Attempt{1, 2, 1} < Attempt{1, 2, 2});
  CHECK(Attempt{17, 2, 5}.text() == "17@2.5");
}

TEST_CASE("generations are ordered over all lanes of a run, and none comes before all", "[ids]") {
  CHECK(Generation{} < Generation{1, 1});
  CHECK(Generation{1, 99} < Generation{2, 1});
}

TEST_CASE("attempts of a run spread over the hash", "[ids]") {
  std::unordered_set<std::size_t> hashes;
  for (std::uint64_t n = 1; n <= 10'000; ++n) hashes.insert(base::HashAttempt{}({n, 1, n}));
  for (std::uint64_t n = 1; n <= 10'000; ++n) hashes.insert(base::HashAttempt{}({n, 2, n}));
  CHECK(hashes.size() == 20'000);
}

}  // namespace
