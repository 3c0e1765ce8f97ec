#include "worker/window.h"

#include "tests/support/core_under_test.h"
#include "wire/limits.h"

namespace {

using worker::Window;
using namespace std::chrono_literals;

Window learned(std::uint32_t slots, base::Duration refill, base::Duration job) {
  Window window(slots);
  for (int i = 0; i < 100; ++i) window.note_refill(refill), window.note_slot(job, 1);
  return window;
}

TEST_CASE("a worker that knows nothing yet asks for its slots, also when its first jobs have just begun", "[window]") {
  Window window(4);
  for (int i = 0; i < 10; ++i) window.note_refill(400ms);
  CHECK(window.jobs(0us) == 4);
  CHECK(window.jobs(1ms) == 4);
}

TEST_CASE("when jobs take 20 refill times or more the window is exactly the slots", "[window]") {
  CHECK(learned(4, 1ms, 25ms).jobs(0us) == 4);
  CHECK(learned(4, 1ms, 15ms).jobs(0us) > 4);
}

TEST_CASE("for shorter jobs it is slots + ceil(slots * (refill time + 4 ms) / job time): results may wait for so long", "[window]") {
  CHECK(learned(4, 10ms, 4ms).jobs(0us) == 18);
  CHECK(learned(1, 10ms, 3ms).jobs(0us) == 6);
  CHECK(learned(8, 1ms, 10ms).jobs(0us) == 12);
  CHECK(learned(2, 100us, 50us).jobs(0us) >= 166);
  CHECK(learned(2, 100us, 50us).jobs(0us) <= 167);
}

TEST_CASE("it never exceeds 4096 jobs, nor 8 MiB of them, and never falls below the slots", "[window]") {
  CHECK(learned(64, 1s, 1us).jobs(0us) == wire::kMaxWindow);
  Window large = learned(2, 1s, 1us);
  for (int i = 0; i < 100; ++i) large.note_size(1 << 20);
  CHECK(large.jobs(0us) == 8);
  for (int i = 0; i < 100; ++i) large.note_size(8 << 20);
  CHECK(large.jobs(0us) == 2);
}

TEST_CASE("a slot that has been busy for long counts as a long job before it ends", "[window]") {
  const Window window = learned(4, 10ms, 1ms);
  CHECK(window.jobs(0us) == 60);
  CHECK(window.jobs(10s) == 4);
}

TEST_CASE("a slot takes one job at a time unless they are very short, then its share of the queue and about four milliseconds of work", "[window]") {
  CHECK(Window(2).batch(100) == 1);
  CHECK(learned(2, 1ms, 1ms).batch(100) == 1);
  CHECK(learned(2, 1ms, 10us).batch(1000) == 400);
  CHECK(learned(2, 1ms, 10us).batch(20) == 11);
  CHECK(learned(2, 1ms, 1us).batch(100'000) == 512);
  CHECK(learned(2, 1ms, 10us).batch(0) == 1);
}

TEST_CASE("a batch counts as so many jobs", "[window]") {
  Window window(1);
  for (int i = 0; i < 100; ++i) window.note_refill(1ms), window.note_slot(10ms, 100);
  CHECK(window.jobs(0us) == 51);
}

TEST_CASE("patience is 20 refill times, at least a tenth of a second", "[window]") {
  CHECK(Window(1).patience() == 100ms);
  CHECK(learned(1, 1ms, 1ms).patience() == 100ms);
  CHECK(learned(1, 50ms, 1ms).patience() >= 999ms);
  CHECK(learned(1, 50ms, 1ms).patience() <= 1001ms);
}

TEST_CASE("observations of nothing and of for ever do no harm", "[window]") {
  Window window(2);
  window.note_refill(0us);
  window.note_slot(0us, 0);
  window.note_size(0);
  CHECK(window.jobs(0us) >= 2);
  CHECK(window.jobs(base::Duration::max()) == 2);
  window.note_refill(base::Duration::max() / 64);
  CHECK(window.jobs(0us) <= wire::kMaxWindow);
}

}  // namespace
