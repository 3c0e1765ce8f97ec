#include "worker/call_runner.h"

#include <catch2/catch.hpp>
#include <poll.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace {

using base::Attempt;
using base::Outcome;
using worker::CallRunner;

// Waits until the runner has given `count` results, however they are spread.
std::vector<wire::Result> collect(CallRunner& runner, std::size_t count) {
  std::vector<wire::Result> results;
  while (results.size() < count) {
    pollfd ready{runner.fd(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 10'000) == 1);
    runner.collect(results);
  }
  return results;
}

worker::HandlerRegistry handlers() {
  worker::HandlerRegistry registry = worker::built_in_handlers();
  registry.add("fail", 1, [](std::string_view) -> base::Result<std::string> { return base::Error{base::Error::Kind::Usage, "as asked"}; });
  registry.add("large", 1, [](std::string_view) -> base::Result<std::string> { return "\xdb" + std::string("\x00\x01\x00\x01", 4) + std::string(65537, 'x'); });
  return registry;
}

TEST_CASE("a call's result is its value, printed", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 1);
  REQUIRE(runner);
  (*runner)->start({1, 1, 1}, 1, {"echo", 1, "\xa2hi"});
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
  (*runner)->start({1, 1, 1}, 1, {"fail", 1, ""});
  (*runner)->start({2, 1, 2}, 1, {"nobody", 1, ""});
  (*runner)->start({3, 1, 3}, 1, {"large", 1, ""});
  (*runner)->start({4, 1, 4}, 1, {"echo", 1, "\xc1"});  // not a value
  (*runner)->hand_over();
  const auto results = collect(**runner, 4);
  for (const auto& result : results) {
    CHECK(result.outcome == Outcome::Failed);
    CHECK(result.exit_code == 1);
    CHECK(result.out.empty());
    CHECK_FALSE(result.reason.empty());
  }
  CHECK(results[0].reason == "as asked");
}

TEST_CASE("a batch of one slot runs in order and gives each result once", "[call_runner]") {
  const auto registry = handlers();
  auto runner = CallRunner::create(registry, 2);
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    (*runner)->start({n, 1, n}, 1 + n % 2, {"echo", 1, "\x01"});
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
  registry.add("meet", 1, [&](std::string_view) -> base::Result<std::string> {
    std::unique_lock lock(mutex);
    ++here;
    met.notify_all();
    if (!met.wait_for(lock, std::chrono::seconds(10), [&] { return here == 2; })) return base::Error{base::Error::Kind::Io, "alone"};
    return std::string("\x01");
  });
  auto runner = CallRunner::create(registry, 2);
  (*runner)->start({1, 1, 1}, 1, {"meet", 1, ""});
  (*runner)->start({2, 1, 2}, 2, {"meet", 1, ""});
  (*runner)->hand_over();
  for (const auto& result : collect(**runner, 2)) CHECK(result.outcome == Outcome::Ok);
}

TEST_CASE("a runner that goes drops calls that have not begun", "[call_runner]") {
  int runs = 0;
  worker::HandlerRegistry registry;
  registry.add("count", 1, [&](std::string_view) -> base::Result<std::string> { return ++runs, std::string("\x01"); });
  {
    auto runner = CallRunner::create(registry, 1);
    (*runner)->start({1, 1, 1}, 1, {"count", 1, ""});  // not handed over
  }
  CHECK(runs == 0);
}

}  // namespace
