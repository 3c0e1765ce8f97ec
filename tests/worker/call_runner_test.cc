#include "worker/call_runner.h"

#include <catch2/catch.hpp>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace {

using base::Attempt;
using base::Outcome;
using worker::CallRunner;
using namespace std::chrono_literals;

constexpr base::Duration kNoLimit{0};

// Waits until the runner has given `count` results, however they are spread, as the worker's loop does.
std::vector<worker::Ended> collect_all(CallRunner& runner, std::size_t count) {
  std::vector<worker::Ended> ended;
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (ended.size() < count) {
    pollfd ready{runner.fd(), POLLIN, 0};
    ::poll(&ready, 1, runner.next_deadline() == base::kNever ? 1000 : 5);
    runner.collect(ended);
    REQUIRE(std::chrono::steady_clock::now() < end);
  }
  return ended;
}

std::vector<wire::Result> collect(CallRunner& runner, std::size_t count) {
  std::vector<wire::Result> results;
  for (worker::Ended& ended : collect_all(runner, count)) {
    CHECK_FALSE(ended.slot_is_lost);
    results.push_back(std::move(ended.result));
  }
  return results;
}

worker::HandlerRegistry handlers() {
  worker::HandlerRegistry registry = worker::built_in_handlers();
  registry.add("fail", 1, [](std::string_view, const worker::CancelToken&) -> base::Result<std::string> { return base::Error{base::Error::Kind::Usage, "as asked"}; });
  registry.add("large", 1, [](std::string_view, const worker::CancelToken&) -> base::Result<std::string> { return "\xdb" + std::string("\x00\x01\x00\x01", 4) + std::string(65537, 'x'); });
  return registry;
}

TEST_CASE("a call's result is its value, printed", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 1);
  REQUIRE(runner);
  (*runner)->start({1, 1, 1}, 1, {"echo", 1, "\xa2hi"}, kNoLimit);
  (*runner)->hand_over();
  const auto results = collect(**runner, 1);
  CHECK(results[0].attempt == Attempt{1, 1, 1});
  CHECK(results[0].outcome == Outcome::Ok);
  CHECK(results[0].out.starts_with("hi"));
  CHECK(results[0].out_bytes == results[0].out.size());
  CHECK(results[0].started_at > 0);
  CHECK(results[0].finished_at >= results[0].started_at);
}

TEST_CASE("a call that fails is a failed result with the reason", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 1);
  (*runner)->start({1, 1, 1}, 1, {"fail", 1, ""}, kNoLimit);
  (*runner)->start({2, 1, 2}, 1, {"nobody", 1, ""}, kNoLimit);
  (*runner)->start({4, 1, 4}, 1, {"echo", 1, "\xc1"}, kNoLimit);  // not a value
  (*runner)->hand_over();
  const auto results = collect(**runner, 3);
  for (const auto& result : results) {
    CHECK(result.outcome == Outcome::Failed);
    CHECK(result.exit_code == 1);
    CHECK(result.out.empty());
    CHECK_FALSE(result.reason.empty());
  }
  CHECK(results[0].reason == "as asked");
}

TEST_CASE("a large result is given whole", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 1);
  (*runner)->start({1, 1, 1}, 1, {"large", 1, ""}, kNoLimit);
  (*runner)->hand_over();
  CHECK(collect(**runner, 1)[0].out_bytes == 65538);
}

TEST_CASE("a call over its limit is told so; one that returns then is a timeout, and its slot goes on", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 1);
  (*runner)->start({1, 1, 1}, 1, {"sleep", 1, "\xa3" "100"}, 50ms);
  (*runner)->start({2, 1, 2}, 1, {"echo", 1, "\x01"}, 10s);
  (*runner)->hand_over();
  const auto results = collect(**runner, 2);
  CHECK(results[0].outcome == Outcome::Timeout);
  CHECK(results[0].out_bytes == 0);
  CHECK(results[0].runtime_us >= 50'000);
  CHECK(results[1].outcome == Outcome::Ok);
}

TEST_CASE("a call that is killed, running or waiting, is cancelled; an unknown one changes nothing", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 1);
  (*runner)->start({1, 1, 1}, 1, {"sleep", 1, "\xa3" "100"}, kNoLimit);
  (*runner)->start({2, 1, 2}, 1, {"echo", 1, "\x01"}, kNoLimit);
  (*runner)->hand_over();
  (*runner)->kill({2, 1, 2});
  (*runner)->kill({9, 1, 9});
  CHECK(collect(**runner, 1)[0].attempt == Attempt{2, 1, 2});
  std::vector<worker::Ended> none;
  for (int i = 0; i < 20; ++i) {
    (*runner)->kill({1, 1, 1});  // the first may come before it runs
    (*runner)->collect(none);
    if (!none.empty()) break;
    ::poll(nullptr, 0, 50);
  }
  REQUIRE(none.size() == 1);
  CHECK(none[0].result.outcome == Outcome::Cancelled);
}

TEST_CASE("a call that ignores its limit costs its slot; what waits behind it goes back, and what it says later is not heard", "[call_runner]") {
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_open = false, is_over = false;
  };
  const auto gate = std::make_shared<Gate>();
  worker::HandlerRegistry registry = handlers();
  registry.add("stuck", 1, [gate](std::string_view, const worker::CancelToken&) -> base::Result<std::string> {
    std::unique_lock lock(gate->mutex);
    gate->changed.wait(lock, [&] { return gate->is_open; });
    gate->is_over = true;
    gate->changed.notify_all();
    return std::string("\x01");
  });
  auto runner = CallRunner::create(registry, 2, 30ms);
  (*runner)->start({1, 1, 1}, 1, {"stuck", 1, ""}, 20ms);
  (*runner)->start({2, 1, 2}, 1, {"echo", 1, "\x01"}, kNoLimit);
  (*runner)->start({3, 1, 3}, 2, {"echo", 1, "\x01"}, kNoLimit);
  (*runner)->hand_over();
  auto ended = collect_all(**runner, 3);
  CHECK(ended[0].result.attempt.job == 3);
  CHECK(ended[1].result.outcome == Outcome::Returned);
  CHECK_FALSE(ended[1].slot_is_lost);
  CHECK(ended[2].result.attempt.job == 1);
  CHECK(ended[2].result.outcome == Outcome::Timeout);
  CHECK(ended[2].result.reason == "the call did not end when it was told to, and its slot is lost");
  CHECK(ended[2].slot_is_lost);
  std::unique_lock lock(gate->mutex);
  gate->is_open = true;
  gate->changed.notify_all();
  CHECK(gate->changed.wait_for(lock, 10s, [&] { return gate->is_over; }));
  lock.unlock();
  ::poll(nullptr, 0, 20);
  ended.clear();
  (*runner)->collect(ended);
  CHECK(ended.empty());
}

TEST_CASE("a batch of one slot runs in order and gives each result once", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 2);
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    (*runner)->start({n, 1, n}, 1 + n % 2, {"echo", 1, "\x01"}, kNoLimit);
    if (n % 100 == 0) (*runner)->hand_over();
  }
  (*runner)->hand_over();
  const auto results = collect(**runner, 1000);
  std::vector<std::uint64_t> slots[2];
  for (const auto& result : results) slots[result.attempt.job % 2].push_back(result.attempt.job);
  for (const auto& jobs : slots) {
    CHECK(jobs.size() == 500);
    CHECK(std::is_sorted(jobs.begin(), jobs.end()));
  }
}

TEST_CASE("slots run side by side", "[call_runner]") {
  std::mutex mutex;
  std::condition_variable met;
  int here = 0;
  worker::HandlerRegistry registry;
  registry.add("meet", 1, [&](std::string_view, const worker::CancelToken&) -> base::Result<std::string> {
    std::unique_lock lock(mutex);
    ++here;
    met.notify_all();
    if (!met.wait_for(lock, std::chrono::seconds(10), [&] { return here == 2; })) return base::Error{base::Error::Kind::Io, "alone"};
    return std::string("\x01");
  });
  auto runner = CallRunner::create(registry, 2);
  (*runner)->start({1, 1, 1}, 1, {"meet", 1, ""}, kNoLimit);
  (*runner)->start({2, 1, 2}, 2, {"meet", 1, ""}, kNoLimit);
  (*runner)->hand_over();
  for (const auto& result : collect(**runner, 2)) CHECK(result.outcome == Outcome::Ok);
}

TEST_CASE("a runner that goes drops calls that have not begun", "[call_runner]") {
  int runs = 0;
  worker::HandlerRegistry registry;
  registry.add("count", 1, [&](std::string_view, const worker::CancelToken&) -> base::Result<std::string> { return ++runs, std::string("\x01"); });
  {
    auto runner = CallRunner::create(registry, 1);
    (*runner)->start({1, 1, 1}, 1, {"count", 1, ""}, kNoLimit);  // not handed over
  }
  CHECK(runs == 0);
}

}  // namespace
