// A worker whose head is away for long, and one in a run whose attempts must not overlap.
#include "tests/support/worker_under_test.h"

namespace {

using base::Attempt;
using base::Outcome;
using support::WorkerUnderTest;
using worker::Exit;
using worker::Kill;
using worker::RunUntil;
using worker::Start;
using namespace std::chrono_literals;

const Attempt kFirst{1, 1, 1}, kSecond{2, 1, 2};

worker::CoreConfig stopping() {
  worker::CoreConfig config = support::worker_config(1);
  config.stops_without_head = true;
  return config;
}

TEST_CASE("a worker that is to stop without a head ends what runs after the head timeout, and leaves", "[worker]") {
  WorkerUnderTest w(stopping());
  w.given_head();
  w.given_running(kFirst);
  w.pass(59s, false);
  w.forget_states();
  w.forget<worker::OpenSession>();
  REQUIRE(w.none());
  w.pass(2s, false);
  CHECK(w.take<Kill>().attempt == kFirst);
  w.on(w.ended(kFirst, Outcome::Cancelled));
  w.pass(11s, false);  // a lease in which the head may still take the result
  w.forget_states();
  CHECK(w.take<Exit>().why == Exit::Why::HeadNotFound);
}

TEST_CASE("a worker that is to stop without a head goes on while it is echoed", "[worker]") {
  WorkerUnderTest w(stopping());
  w.given_head();
  w.given_running(kFirst);
  w.pass(180s);
  w.forget_states();
  CHECK(w.none());
}

TEST_CASE("a worker without orders never ends what runs because of silence", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.pass(3600s, false);
  w.forget_states();
  w.forget<worker::OpenSession>();
  CHECK(w.none());
}

// ---- attempts that must not overlap

wire::Ctrl no_overlap(WorkerUnderTest& w) {
  wire::Ctrl ctrl = w.ctrl();
  ctrl.no_overlap = true;
  return ctrl;
}

// Runs kFirst; its time was told before it was started.
RunUntil given_running_apart(WorkerUnderTest& w) {
  w.given_head();
  w.on(no_overlap(w));
  w.turn();
  w.forget_states();
  REQUIRE(w.none());
  w.on(w.job({kFirst}));
  w.turn();
  w.forget_states();
  const auto until = w.take<RunUntil>();
  REQUIRE(w.take<Start>().attempt == kFirst);
  REQUIRE(w.none());
  return until;
}

TEST_CASE("an attempt may run for a lease from the sending of the newest echoed STATE, and is ended then", "[worker]") {
  WorkerUnderTest w;
  const auto started = w.now;
  const auto until = given_running_apart(w).at;
  CHECK(until <= started + 10s);
  CHECK(w.core.next_deadline() <= until);
  w.pass(until - w.now - 1ms, false);
  w.forget_states();
  w.forget<worker::OpenSession>();
  REQUIRE(w.none());
  w.now += 1ms;
  w.turn();
  w.forget_states();
  CHECK(w.take<Kill>().attempt == kFirst);
  REQUIRE(w.none());
  w.on(w.ended(kFirst, Outcome::Cancelled));
  w.turn();
  w.forget_states();
  CHECK(w.take<RunUntil>().at == base::kNever);
  const auto& result = w.core.unconfirmed(kFirst);
  CHECK(result.outcome == Outcome::Cancelled);
  CHECK(result.reason.starts_with("ended with its lease"));
}

TEST_CASE("each echo of a STATE that lists the attempt renews its time", "[worker]") {
  WorkerUnderTest w;
  auto until = given_running_apart(w).at;
  for (int i = 0; i < 30; ++i) {
    w.pass(1s);
    w.forget_states();
    while (!w.none()) {
      const auto next = w.take<RunUntil>().at;
      CHECK(next > until);
      until = next;
    }
  }
  CHECK(until > w.now + 8s);
}

TEST_CASE("the echo of a STATE from before the attempt came does not renew its time", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.on(no_overlap(w));
  w.pass(1s);
  w.now += 900ms;
  w.forget_states();
  const std::uint64_t before = w.state_seq;
  w.on(w.job({kFirst}));
  w.turn();
  const auto until = w.take<RunUntil>().at;
  w.take<Start>();
  auto echo = no_overlap(w);
  echo.state_seq = before;
  w.on(echo);
  w.turn();
  w.forget<wire::State>();
  CHECK(w.none());
  CHECK(until <= w.now + 10s - 900ms);
}

TEST_CASE("a worker that was stopped for a lease ends what runs before it reads any echo", "[worker]") {
  WorkerUnderTest w;
  given_running_apart(w);
  w.pass(500ms);
  w.clear();
  w.now += 11s;  // of which its own clock knows a heartbeat
  w.on(no_overlap(w));
  CHECK(w.take<Kill>().attempt == kFirst);
}

TEST_CASE("a job that comes when its time is over is returned and never started", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.on(no_overlap(w));
  w.turn();
  w.now += 11s;
  w.on(w.job({kSecond}));
  w.turn();
  w.forget_states();
  CHECK(w.take<worker::SendResults>().attempts == std::vector<Attempt>{kSecond});
  CHECK(w.core.running() == 0);
  CHECK(w.core.unconfirmed(kSecond).outcome == Outcome::Returned);
  CHECK(w.core.unconfirmed(kSecond).slot == 0);
}

TEST_CASE("nothing is started while attempts whose time is over are being ended", "[worker]") {
  WorkerUnderTest w(2);
  given_running_apart(w);
  w.now += 11s;
  w.turn();
  w.take<Kill>();
  w.on(no_overlap(w));
  w.turn();
  w.forget_states();
  w.on(no_overlap(w));
  w.on(w.job({kSecond}));
  w.turn();
  w.forget_states();
  CHECK(w.core.running() == 1);
  CHECK(w.core.queued() == 1);
  w.on(w.ended(kFirst, Outcome::Cancelled));
  w.turn();
  w.forget_states();
  w.forget<worker::SendResults>();
  w.take<RunUntil>();
  CHECK(w.take<Start>().attempt == kSecond);
}

TEST_CASE("what the keeper killed when its time was up is cancelled, not failed", "[worker]") {
  WorkerUnderTest w;
  given_running_apart(w);
  w.now += 11s;
  auto ended = w.ended(kFirst, Outcome::Failed);
  ended.result.signal = 9;
  w.on(ended);
  w.take<Kill>();  // too late
  CHECK(w.core.unconfirmed(kFirst).outcome == Outcome::Cancelled);
}

TEST_CASE("a call that would not end ends the worker, without a word to the sink", "[worker]") {
  WorkerUnderTest w;
  given_running_apart(w);
  auto ended = w.ended(kFirst, Outcome::Timeout);
  ended.slot_is_lost = true;
  w.on(ended);
  CHECK(w.take<Exit>().why == Exit::Why::SlotLost);
  CHECK(w.none());
}

TEST_CASE("where overlap is allowed no time is told and nothing is ended", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.now += 60s;
  w.turn();
  w.forget_states();
  CHECK(w.none());
}

}  // namespace
