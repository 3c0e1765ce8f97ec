#include <catch2/catch.hpp>

#include "base/backoff.h"
#include "base/time.h"

namespace {

using namespace std::chrono_literals;
using base::AliveClock;
using base::Backoff;
using base::TimePoint;

TEST_CASE("an alive clock runs with the real one while it is asked at least once a step", "[alive_clock]") {
  AliveClock clock(1s);
  CHECK(clock.advance(TimePoint(10s)) == TimePoint(10s));
  CHECK(clock.advance(TimePoint(10'400ms)) == TimePoint(10'400ms));
  CHECK(clock.advance(TimePoint(11'400ms)) == TimePoint(11'400ms));
}

TEST_CASE("a pause advances it by one step", "[alive_clock]") {
  AliveClock clock(1s);
  clock.advance(TimePoint(10s));
  CHECK(clock.advance(TimePoint(1h)) == TimePoint(11s));
  CHECK(clock.advance(TimePoint(1h + 200ms)) == TimePoint(11'200ms));
  CHECK(clock.alive() == TimePoint(11'200ms));
}

TEST_CASE("time that falls counts as none", "[alive_clock]") {
  AliveClock clock(1s);
  clock.advance(TimePoint(10s));
  CHECK(clock.advance(TimePoint(9s)) == TimePoint(10s));
}

TEST_CASE("a deadline in alive time is said in real time", "[alive_clock]") {
  AliveClock clock(1s);
  clock.advance(TimePoint(10s));
  clock.advance(TimePoint(100s));  // alive: 11 s
  CHECK(clock.real(TimePoint(11'500ms)) == TimePoint(100'500ms));
  CHECK(clock.real(base::kNever) == base::kNever);
}

TEST_CASE("a changed step holds from then on", "[alive_clock]") {
  AliveClock clock(1s);
  clock.advance(TimePoint(0s));
  clock.set_step(100ms);
  CHECK(clock.advance(TimePoint(50s)) == TimePoint(100ms));
}

TEST_CASE("a wait doubles with jitter up to the most, and falls back", "[backoff]") {
  base::Random random(3);
  Backoff wait(100ms, 2s);
  CHECK(wait.current() == 100ms);
  auto before = wait.current();
  for (int i = 0; i < 20; ++i) {
    wait.grow(random);
    CHECK(wait.current() <= std::min<base::Duration>(2s, before * 2));
    CHECK(wait.current() >= std::min<base::Duration>(2s, before * 2) * 7 / 8 - 1us);
    before = wait.current();
  }
  CHECK(wait.current() >= 1750ms);
  wait.reset();
  CHECK(wait.current() == 100ms);
}

TEST_CASE("the most is never below the first", "[backoff]") {
  base::Random random(3);
  Backoff wait(4s, 1s);
  for (int i = 0; i < 5; ++i) wait.grow(random);
  CHECK(wait.current() == 4s);
}

TEST_CASE("two generators of different seeds do not wait in step", "[backoff]") {
  base::Random one(1), other(2);
  Backoff a(1s, 60s), b(1s, 60s);
  a.grow(one), b.grow(other);
  CHECK(a.current() != b.current());
}

}  // namespace
