// What the user's policies make of jobs that come back.
#include <algorithm>

#include "tests/support/ventilator_under_test.h"

namespace {

using base::Attempt;
using base::Outcome;
using support::VentilatorUnderTest;
using support::worker_id;
using namespace std::chrono_literals;

constexpr base::Duration kDelay{2s};

ventilator::CoreConfig with_delay() {
  ventilator::CoreConfig config;
  config.retry_delay = kDelay;
  return config;
}

wire::Requeue ended(const Attempt& attempt, Outcome outcome, std::uint32_t failures) {
  wire::Requeue message;
  message.items.push_back({attempt, outcome, false, failures});
  return message;
}

// Time while worker 1, whose lane is of the first generation, is heard.
void pass_with_worker(VentilatorUnderTest& v, base::Duration time) {
  for (const base::TimePoint end = v.now + time; v.now < end;) {
    v.hears(v.echo(1, 1, {v.epoch, 1}, 1));
    v.pass(std::min<base::Duration>(1s, end - v.now));
  }
}

// Nothing goes out for `delay`, and then job 1 does.
Attempt goes_out_after(VentilatorUnderTest& v, base::Duration delay, base::JobId job = 1) {
  pass_with_worker(v, delay - 1ms);
  v.forget_beats();
  REQUIRE(v.none());
  v.now += 1ms;
  return v.gives(1, {job}).attempts[0];
}

TEST_CASE("a failed job waits for its delay, twice as long after each failure, 64 times at most", "[ventilator]") {
  VentilatorUnderTest v({}, with_delay());
  v.given_sink();
  v.given_jobs(1);
  v.given_worker(1, 1, 100);
  Attempt attempt = v.gives(1, {1}).attempts[0];
  for (std::uint32_t failures = 1; failures <= 9; ++failures) {
    v.hears(ended(attempt, Outcome::Failed, failures));
    attempt = goes_out_after(v, kDelay * (1 << std::min(failures - 1, 6u)));
  }
}

TEST_CASE("the loop wakes when a delay is over", "[ventilator]") {
  VentilatorUnderTest v({}, with_delay());
  v.given_sink();
  v.given_jobs(1);
  v.given_worker(1, 1, 2);
  const Attempt attempt = v.gives(1, {1}).attempts[0];
  v.pass(900ms);
  v.hears(ended(attempt, Outcome::Timeout, 1));
  v.turn();
  v.pass(1900ms);
  v.forget_beats();
  REQUIRE(v.none());
  CHECK(v.core.next_deadline() <= v.now + 100ms);
  CHECK(v.core.next_deadline() > v.now);
}

TEST_CASE("a job that was lost, returned or cancelled goes out again at once, however often it has failed", "[ventilator]") {
  VentilatorUnderTest v({}, with_delay());
  v.given_sink();
  v.given_jobs(1);
  v.given_worker(1, 1, 10);
  for (const Outcome outcome : {Outcome::Lost, Outcome::Returned, Outcome::Cancelled}) {
    v.hears(ended(v.gives(1, {1}).attempts[0], outcome, 3));
  }
  v.gives(1, {1});
}

TEST_CASE("a delayed job does not hold up the others", "[ventilator]") {
  VentilatorUnderTest v({}, with_delay());
  v.given_sink();
  v.given_jobs(2);
  v.given_worker(1, 1, 1);
  const Attempt attempt = v.gives(1, {1}).attempts[0];
  v.hears(ended(attempt, Outcome::Failed, 1));
  v.hears(v.echo(1, 1, {1, 1}, 3));
  v.gives(1, {2});
  v.gives_nothing();
  goes_out_after(v, kDelay);
}

TEST_CASE("a delayed job whose earlier attempt succeeds after all goes out no more", "[ventilator]") {
  VentilatorUnderTest v({}, with_delay());
  v.given_sink();
  v.given_jobs(1);
  v.given_worker(1, 1, 5);
  v.hears(ended(v.gives(1, {1}).attempts[0], Outcome::Failed, 1));
  v.hears(v.done({1}));
  v.pass(kDelay * 2);
  v.forget_beats();
  CHECK(v.none());
  CHECK(v.core.jobs().finished() == 1);
}

TEST_CASE("a ventilator that is stopped does not spin over jobs that are due", "[ventilator]") {
  VentilatorUnderTest v({}, with_delay());
  v.given_sink();
  v.given_jobs(1);
  v.given_worker(1, 1, 5);
  v.hears(ended(v.gives(1, {1}).attempts[0], Outcome::Failed, 1));
  v.on(ventilator::Stop{});
  v.pass(kDelay * 2);
  v.forget_beats();
  CHECK(v.core.next_deadline() > v.now);
}

TEST_CASE("after a restart a job that had failed waits for the grace, and for its delay if that is longer", "[ventilator]") {
  ventilator::CoreConfig config;
  config.retry_delay = 30s;
  VentilatorUnderTest v({.epoch = 2, .horizon = 2, .accepted = 2, .input_ended = true}, config);
  v.turn();
  wire::Snapshot snapshot{.last = true};
  snapshot.ended.push_back({{1, 1, 1}, Outcome::Failed, false, 1});
  v.hears(snapshot);
  v.turn();
  v.forget_beats();
  v.given_worker(1, 2, 5);
  pass_with_worker(v, 20s + 500ms);
  v.forget_beats();
  v.forget<ventilator::RaiseHorizon>();
  CHECK(v.take<wire::Assign>().items[0].attempt.job == 2);
  v.take<ventilator::SendJobs>();
  REQUIRE(v.none());
  pass_with_worker(v, 9s);
  v.forget_beats();
  REQUIRE(v.none());
  pass_with_worker(v, 500ms);
  v.forget_beats();
  CHECK(v.take<wire::Assign>().items[0].attempt == Attempt{1, 2, 2});
  v.take<ventilator::SendJobs>();
}

TEST_CASE("a silence that stops the grace and ends before the next heartbeat is followed by a snapshot, and so by a new grace", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1, .input_ended = true});
  v.turn();
  v.hears(wire::Snapshot{.last = true});
  v.turn();
  v.pass(500ms);
  v.pass(3s + 250ms, false);  // the last heartbeat was 750 ms ago
  v.hears(wire::Alive{});
  v.clear();
  v.pass(250ms);
  CHECK(v.take<wire::Open>().want_snapshot);
}

// ---- at most once

ventilator::CoreConfig at_most_once() {
  ventilator::CoreConfig config;
  config.policy.at_most_once = true;
  return config;
}

TEST_CASE("at most once, a dispatch is on disk before anybody hears of it", "[ventilator]") {
  VentilatorUnderTest v({}, at_most_once());
  v.given_sink();
  v.given_jobs(3);
  v.given_worker(1, 2, 2);
  v.given_worker(2, 1, 1);
  v.turn();
  v.forget_beats();
  v.forget<ventilator::RaiseHorizon>();
  const auto commit = v.take<ventilator::CommitDispatches>();
  REQUIRE(commit.items.size() == 3);
  for (const auto& dispatch : commit.items) CHECK((dispatch.worker == worker_id(1) || dispatch.worker == worker_id(2)));
  v.take<wire::Assign>();
  v.take<wire::Assign>();
  v.take<ventilator::SendJobs>();
  v.take<ventilator::SendJobs>();
}

TEST_CASE("at most once, after a restart the sink hears of every dispatch again, and what was never sent goes out without a grace", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 4, .accepted = 5, .input_ended = true}, at_most_once());
  v.turn();
  v.forget_beats();
  wire::Snapshot snapshot{.last = true};
  snapshot.finished = "\x01";
  snapshot.leases.push_back({{2, 1, 2}, worker_id(1)});
  v.hears(snapshot);
  CHECK(v.take<ventilator::RecallDispatches>().jobs == std::vector<base::JobId>{3, 4});
  v.on(ventilator::DispatchesRecalled{{{{3, 1, 3}, worker_id(2)}}});
  std::vector<Attempt> assigned;
  for (int i = 0; i < 2; ++i) {
    const auto assign = v.take<wire::Assign>();
    CHECK(assign.session == 0);
    for (const auto& item : assign.items) assigned.push_back(item.attempt);
  }
  std::sort(assigned.begin(), assigned.end());
  CHECK(assigned == std::vector<Attempt>{{2, 1, 2}, {3, 1, 3}});
  v.given_worker(3, 9, 9);
  v.turn();
  v.forget_beats();
  v.forget<ventilator::RaiseHorizon>();
  v.take<ventilator::CommitDispatches>();
  std::vector<base::JobId> given;
  for (const auto& item : v.take<wire::Assign>().items) given.push_back(item.attempt.job);
  CHECK(given == std::vector<base::JobId>{4, 5});
  v.take<ventilator::SendJobs>();
}

}  // namespace
