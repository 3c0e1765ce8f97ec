// What the user's policies make of failures and losses.
#include "tests/support/sink_under_test.h"

namespace {

using base::Attempt;
using base::Outcome;
using support::retries;
using support::SinkUnderTest;
using namespace std::chrono_literals;

// With three runs of a failing job, but only for these failures.
wire::Policy retry_on(const char* list) {
  wire::Policy policy = retries(3);
  policy.retry_on = *base::FailureSet::parse(list);
  return policy;
}

wire::Results failed(const SinkUnderTest& s, const Attempt& attempt, std::int32_t exit_code, std::int32_t signal = 0) {
  wire::Results results = s.results(1, attempt, Outcome::Failed);
  results.items[0].exit_code = exit_code;
  results.items[0].signal = signal;
  return results;
}

TEST_CASE("a REQUEUE says how many counted failures the job has", "[sink]") {
  SinkUnderTest s(retries(0));
  s.given_ventilator();
  for (std::uint64_t n = 1; n <= 3; ++n) {
    s.given_assigned(1, {{1, 1, n}});
    CHECK(s.said_of(1, {1, 1, n}, n == 2 ? Outcome::Timeout : Outcome::Failed).requeued[0].failures == n);
  }
  s.given_assigned(1, {{1, 1, 4}});
  CHECK(s.said_of(1, {1, 1, 4}, Outcome::Returned).requeued[0] == wire::Requeued{{1, 1, 4}, Outcome::Returned, false, 3});
}

TEST_CASE("a job that fails for ever takes a bounded place in memory, and its failures are all counted", "[sink]") {
  SinkUnderTest s(retries(0));
  s.given_ventilator();
  for (std::uint64_t n = 1; n <= 500; ++n) {
    s.given_assigned(1, {{1, 1, n}});
    const auto said = s.said_of(1, {1, 1, n}, Outcome::Failed);
    REQUIRE(said.requeued[0].failures == n);
    REQUIRE(said.attempts[0].ordinal == n);
  }
  CHECK(s.core.progress().records().at(1).ended.size() <= 32);
  s.given_assigned(1, {{1, 1, 501}});
  CHECK(s.said_of(1, {1, 1, 501}, Outcome::Ok).finished[0].ordinal == 501);
}

TEST_CASE("what results.db holds of a job that failed for ever is counted, not kept", "[sink]") {
  SinkUnderTest s({}, {.sink_epoch = 2, .policy = retries(0)});
  for (std::uint64_t n = 1; n <= 500; ++n) s.core.recover_ended({{1, 1, n}, n % 100 == 0 ? Outcome::Lost : Outcome::Failed, true, false});
  const auto& record = s.core.progress().records().at(1);
  CHECK(record.ended.size() <= 32);
  CHECK(record.failures() == 495);
  CHECK(record.losses() == 5);
  CHECK(record.ended_count() == 500);
}

TEST_CASE("a failure that comes again when it is long forgotten is confirmed and counts no more", "[sink]") {
  SinkUnderTest s(retries(0));
  s.given_ventilator();
  for (std::uint64_t n = 1; n <= 100; ++n) {
    s.given_assigned(1, {{1, 1, n}});
    s.said_of(1, {1, 1, n}, Outcome::Failed);
  }
  const auto said = s.said_of(1, {1, 1, 2}, Outcome::Failed);
  CHECK(said.confirmed == std::vector<Attempt>{{1, 1, 2}});
  CHECK(said.requeued.empty());
  CHECK_FALSE(said.attempts[0].counted);
  CHECK(s.core.progress().records().at(1).failures() == 100);
}

TEST_CASE("a failure of a kind that is not retried ends its job at once, and the row says why", "[sink]") {
  SinkUnderTest s(retry_on("3-5,SIGSEGV"));
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}, {2, 1, 2}, {3, 1, 3}, {4, 1, 4}});
  s.on(failed(s, {1, 1, 1}, 4));
  CHECK(s.said_after().requeued.size() == 1);
  s.on(failed(s, {2, 1, 2}, 6));
  const auto said = s.said_after();
  REQUIRE(said.finished.size() == 1);
  CHECK(said.done == std::vector<base::JobId>{2});
  CHECK(said.finished[0].result.reason.starts_with("not run again"));
  s.on(failed(s, {3, 1, 3}, 0, 11));
  CHECK(s.said_after().requeued.size() == 1);
  CHECK(s.said_of(1, {4, 1, 4}, Outcome::Timeout).done == std::vector<base::JobId>{4});
  CHECK(s.core.progress().failed() == 2);
}

TEST_CASE("a failure that is not retried ends nothing when it is late", "[sink]") {
  SinkUnderTest s(retry_on("3"));
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.given_assigned(2, {{1, 1, 2}});
  s.on(failed(s, {1, 1, 1}, 9));
  CHECK(s.said_after().done.empty());
}

TEST_CASE("losses go out again whatever failures are retried", "[sink]") {
  SinkUnderTest s(retry_on("3"));
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  CHECK(s.said_of(1, {1, 1, 1}, Outcome::Lost).requeued.size() == 1);
}

TEST_CASE("a crash limit of one ends a job at its first loss while alone", "[sink]") {
  wire::Policy policy;
  policy.crash_limit = 1;
  SinkUnderTest s(policy);
  s.given_ventilator();
  for (std::uint64_t n = 1; n <= 2; ++n) {
    s.given_assigned(1, {{1, 1, n}});
    CHECK(s.said_of(1, {1, 1, n}, Outcome::Lost).requeued.size() == 1);
  }
  s.given_assigned(1, {{1, 1, 3}}, true);
  CHECK(s.said_of(1, {1, 1, 3}, Outcome::Lost).finished.size() == 1);
}

// ---- at most once

wire::Policy at_most_once(std::uint32_t runs = 1) {
  wire::Policy policy = retries(runs);
  policy.at_most_once = true;
  return policy;
}

TEST_CASE("at most once, the first loss is the job's end", "[sink]") {
  SinkUnderTest s(at_most_once());
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}, {2, 1, 2}});
  s.pass(12s);
  const auto said = s.said_after();
  REQUIRE(said.finished.size() == 2);
  CHECK(said.finished[0].result.outcome == Outcome::Lost);
  CHECK(said.requeued.empty());
  CHECK(s.core.progress().failed() == 2);
}

TEST_CASE("at most once, what its worker cancelled is lost, and what never started goes out again", "[sink]") {
  SinkUnderTest s(at_most_once());
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}, {2, 1, 2}});
  const auto cancelled = s.said_of(1, {1, 1, 1}, Outcome::Cancelled);
  REQUIRE(cancelled.finished.size() == 1);
  CHECK(cancelled.finished[0].result.outcome == Outcome::Lost);
  CHECK(cancelled.finished[0].result.reason == "cancelled; not run again");
  CHECK(s.said_of(1, {2, 1, 2}, Outcome::Returned).requeued.size() == 1);
}

TEST_CASE("at most once, a job whose output is gone is lost: it has run", "[sink]") {
  SinkUnderTest s(at_most_once());
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  auto results = s.results(1, {1, 1, 1}, Outcome::Ok);
  results.items[0].out_bytes = 100'000;
  for (int i = 0; i < 3; ++i) {
    s.on(results);
    s.pass_with(6s, s.state(1, {{1, 1, 1}}));
  }
  const auto said = s.said_after();
  REQUIRE(said.finished.size() == 1);
  CHECK(said.finished[0].result.outcome == Outcome::Lost);
}

TEST_CASE("at most once, failures are run again as the user said", "[sink]") {
  SinkUnderTest s(at_most_once(2));
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  CHECK(s.said_of(1, {1, 1, 1}, Outcome::Failed).requeued.size() == 1);
  s.given_assigned(1, {{1, 1, 2}});
  CHECK(s.said_of(1, {1, 1, 2}, Outcome::Failed).finished.size() == 1);
}

TEST_CASE("at most once, a success that comes after the loss is superseded: a terminal row stays", "[sink]") {
  SinkUnderTest s(at_most_once());
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.pass(12s);
  CHECK(s.said_after().finished.size() == 1);
  s.on(s.state(1, {{1, 1, 1}}));
  const auto said = s.said_of(1, {1, 1, 1}, Outcome::Ok);
  CHECK(said.finished.empty());
  CHECK(said.confirmed == std::vector<Attempt>{{1, 1, 1}});
  CHECK(s.core.superseded() == 1);
}

}  // namespace
