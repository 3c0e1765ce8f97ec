#include "worker/core.h"

#include "tests/support/worker_under_test.h"
#include "wire/limits.h"

namespace {

using base::Attempt;
using base::Outcome;
using support::WorkerUnderTest;
using worker::Exit;
using worker::Kill;
using worker::OpenSession;
using worker::SendBye;
using worker::SendResults;
using worker::Start;
using namespace std::chrono_literals;

const Attempt kFirst{1, 1, 1}, kSecond{2, 1, 2}, kThird{3, 1, 3};

// ---- section 4: the window

TEST_CASE("a worker asks for its slots, and for one more as each job ends", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  CHECK(w.core.limit() == 2);
  w.given_running(kFirst);
  w.given_running(kSecond);
  CHECK(w.core.limit() == 2);
  w.now += 100s;  // long jobs
  w.on(w.ended(kFirst));
  w.turn();
  CHECK(w.take<SendResults>().limit == 3);
  w.forget_states();
}

// A worker of one slot that has learned to ask for more, with kFirst running and kSecond queued.
struct WorkerWithQueue : WorkerUnderTest {
  WorkerWithQueue() {
    given_head();
    for (std::uint64_t n = 11; n <= 60; ++n) {  // an answer takes 5 ms, a job 1 ms
      now += 5ms;
      given_running({n, 1, n});
      now += 1ms;
      on(ended({n, 1, n}));
      on(confirming({{n, 1, n}}));
      turn();
      forget<SendResults>();
      forget_states();
    }
    REQUIRE(core.window() > 2);
    on(job({kFirst, kSecond}));
    turn();
    forget_states();
    REQUIRE(take<Start>().attempt == kFirst);
    REQUIRE(core.queued() == 1);
  }
};

TEST_CASE("jobs beyond the slots wait in order and start as slots come free", "[worker]") {
  WorkerWithQueue w;
  w.on(w.ended(kFirst));
  w.turn();
  CHECK(w.take<Start>().attempt == kSecond);
  w.take<SendResults>();
  w.forget_states();
}

TEST_CASE("results wait a little for others while every slot is busy and more is queued, and what is asked for waits with them", "[worker]") {
  WorkerWithQueue w;
  const Attempt third{63, 1, 63};
  w.on(w.job({third}));
  w.turn();
  w.clear();
  const auto limit = w.core.limit();
  w.on(w.ended(kFirst));
  w.turn();
  CHECK(w.take<Start>().attempt == kSecond);
  CHECK(w.none());
  CHECK(w.core.limit() == limit);
  CHECK(w.core.next_deadline() == w.now + 4ms);
  w.now += 3ms;
  w.turn();
  CHECK(w.none());
  w.now += 1ms;
  w.turn();
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kFirst});
  w.clear();
  w.on(w.ended(kSecond));
  w.turn();  // the last of the queue starts: nothing to wait for
  CHECK(w.take<Start>().attempt == third);
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kSecond});
  w.forget_states();
}

TEST_CASE("a job that stays unstarted while all slots are busy is returned, and the running one goes on", "[worker]") {
  WorkerWithQueue w;
  const base::TimePoint deadline = w.core.next_deadline();
  CHECK(deadline <= w.now + 101ms);
  w.now = deadline;
  w.turn();
  const auto sent = w.take<SendResults>();
  CHECK(sent.attempts == std::vector<Attempt>{kSecond});
  CHECK(w.core.unconfirmed(kSecond).outcome == Outcome::Returned);
  CHECK(w.core.unconfirmed(kSecond).slot == 0);
  CHECK(w.core.holds(kFirst));
  w.forget_states();
}

TEST_CASE("a job is not returned before its patience is over", "[worker]") {
  WorkerWithQueue w;
  w.now += 90ms;
  w.turn();
  w.forget_states();
  CHECK(w.none());
  CHECK(w.core.queued() == 1);
}

TEST_CASE("at 4096 unconfirmed results no more jobs are asked for until confirms come", "[worker]") {
  WorkerUnderTest w(1);
  w.given_head();
  std::uint64_t n = 0;
  while (n < wire::kMaxUnconfirmed) {
    REQUIRE(w.core.limit() > w.core.received());
    const Attempt attempt{++n, 1, n};
    w.on(w.job({attempt}));
    w.turn();
    w.on(w.ended(attempt));
    w.turn();
    w.clear();
  }
  while (w.core.limit() > w.core.received()) {  // what was asked for before
    const Attempt attempt{++n, 1, n};
    w.on(w.job({attempt}));
    w.turn();
    w.on(w.ended(attempt));
    w.turn();
    w.clear();
  }
  const auto limit = w.core.limit();
  w.turn();
  CHECK(w.core.limit() == limit);
  std::vector<Attempt> confirmed;
  for (std::uint64_t k = 1; k <= n - wire::kMaxUnconfirmed + 1; ++k) confirmed.push_back({k, 1, k});
  w.on(w.confirming(confirmed));
  w.turn();
  CHECK(w.core.limit() > limit);
  w.clear();
}

TEST_CASE("large unconfirmed results close the window like many", "[worker]") {
  WorkerUnderTest w(1);
  w.given_head();
  for (std::uint64_t n = 1;; ++n) {
    const Attempt attempt{n, 1, n};
    if (w.core.limit() == w.core.received()) break;
    REQUIRE(n < 12);  // 8 MiB
    w.on(w.job({attempt}));
    w.turn();
    w.now += 10s;
    auto end = w.ended(attempt);
    end.result.out.assign(1 << 20, 'x');
    w.on(std::move(end));
    w.turn();
    w.clear();
  }
  CHECK(w.core.queued() == 0);
}

// ---- rule 12: stopping and the end

TEST_CASE("a worker told to stop returns what has not started, kills what runs, and leaves when all is confirmed", "[worker]") {
  WorkerWithQueue w;
  w.on(worker::Stop{});
  CHECK(w.take<Kill>().attempt == kFirst);
  w.on(worker::Stop{});
  w.turn();
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kSecond});
  CHECK(w.core.unconfirmed(kSecond).outcome == Outcome::Returned);
  w.on(w.ended(kFirst, Outcome::Cancelled));
  w.turn();
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kFirst});
  w.forget_states();
  w.on(w.confirming({kFirst, kSecond}));
  w.turn();
  CHECK(w.take<SendBye>().message.session == 1);
  CHECK(w.take<Exit>().why == Exit::Why::Stopped);
}

TEST_CASE("a job that reaches a stopping worker is returned unstarted", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_running(kFirst);
  w.on(worker::Stop{});
  w.take<Kill>();
  w.on(w.job({kSecond}));
  w.turn();
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kSecond});
  CHECK(w.core.unconfirmed(kSecond).outcome == Outcome::Returned);
  w.forget_states();
}

TEST_CASE("an attempt whose keeper dies while the worker stops is cancelled, not lost", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(worker::Stop{});
  w.take<Kill>();
  w.on(w.ended(kFirst, Outcome::Lost));
  CHECK(w.core.unconfirmed(kFirst).outcome == Outcome::Cancelled);
  w.turn();
  w.take<SendResults>();
  w.forget_states();
}

TEST_CASE("a stopping worker waits for confirms at most five seconds once nothing runs", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(worker::Stop{});
  w.take<Kill>();
  w.pass(20s);  // its job does not go at once
  w.forget_states();
  CHECK(w.none());
  w.on(w.ended(kFirst, Outcome::Cancelled));
  w.pass(4s);
  w.forget<SendResults>();
  w.forget_states();
  CHECK(w.none());
  w.pass(2s);
  w.forget<SendResults>();
  w.forget_states();
  w.take<SendBye>();
  CHECK(w.take<Exit>().why == Exit::Why::Stopped);
}

TEST_CASE("a stopping worker does not wait for an attempt that was killed and does not end, and says no BYE that would give it to others at once", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_running(kFirst);
  w.given_running(kSecond);
  w.on(worker::Stuck{kFirst});
  w.on(worker::Stuck{kThird});  // which does not run
  w.pass(20s);
  w.forget_states();
  CHECK(w.none());  // nobody told it to stop
  w.on(worker::Stop{});
  w.forget<Kill>();
  w.pass(20s);
  w.forget_states();
  CHECK(w.none());  // another runs
  w.on(w.ended(kSecond, Outcome::Cancelled));
  w.turn();
  w.forget_states();
  w.take<SendResults>();
  w.on(w.confirming({kSecond}));
  w.turn();
  w.forget_states();
  CHECK(w.take<Exit>().why == Exit::Why::Stopped);
}

TEST_CASE("an attempt that ends after all, though it was killed long ago, is as any other", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(worker::Stuck{kFirst});
  w.on(w.ended(kFirst, Outcome::Timeout));
  w.turn();
  w.take<SendResults>();
  w.forget_states();
  w.on(w.confirming({kFirst}));
  w.on(worker::Stop{});
  w.turn();
  w.forget_states();
  w.take<SendBye>();
  w.take<Exit>();
}

TEST_CASE("an idle worker told to stop leaves at once", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.on(worker::Stop{});
  w.turn();
  w.take<SendBye>();
  w.take<Exit>();
  w.turn();
  w.on(w.ctrl());
  CHECK(w.none());  // it has left
}

TEST_CASE("a worker told that the run is complete drops what it holds, ends what runs, and leaves", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_unconfirmed(kFirst);
  w.given_running(kSecond);
  auto ctrl = w.ctrl();
  ctrl.complete = true;
  w.on(ctrl);
  CHECK(w.take<Kill>().attempt == kSecond);
  w.turn();
  CHECK(w.none());
  w.on(w.ended(kSecond, Outcome::Cancelled));
  w.turn();
  w.take<SendBye>();
  CHECK(w.take<Exit>().why == Exit::Why::RunComplete);
}

TEST_CASE("a worker that holds nothing leaves when it finds no head in time, not earlier", "[worker]") {
  WorkerUnderTest w;
  w.given_session();
  std::uint64_t session = 1;
  const base::TimePoint since = w.now;
  while (!w.is<Exit>() && w.now < since + 70s) {
    w.pass(250ms, false);
    w.forget_states();
    if (w.is<OpenSession>()) w.opens(++session);
    w.forget_states();
    w.forget<SendBye>();
  }
  CHECK(w.now - since >= 60s);
  CHECK(w.take<Exit>().why == Exit::Why::HeadNotFound);
}

TEST_CASE("a running job is never abandoned, results without takers wait for the hold timeout", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  std::uint64_t session = 1;
  const auto alone_for = [&](base::Duration time) {
    for (const base::TimePoint end = w.now + time; w.now < end && !w.is<Exit>();) {
      w.pass(250ms, false);
      w.forget_states();
      w.forget<SendResults>();
      w.forget<SendBye>();
      if (w.is<OpenSession>()) w.opens(++session);
      w.forget_states();
    }
  };
  alone_for(2h);
  CHECK(w.none());
  w.on(w.ended(kFirst));
  alone_for(59min);
  CHECK(w.none());
  CHECK(w.core.holds(kFirst));
  alone_for(2min);
  CHECK(w.take<Exit>().why == Exit::Why::HeadNotFound);
}

TEST_CASE("heartbeat and lease are those of the run, within reason", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  auto ctrl = w.ctrl();
  ctrl.heartbeat = 200ms;
  ctrl.lease = 2s;
  w.on(ctrl);
  const auto states_in = [&](base::Duration time) {
    for (const base::TimePoint end = w.now + time; w.now < end;) w.now += 10ms, w.turn();
    const std::size_t states = w.count<wire::State>();
    w.forget_states();
    return states;
  };
  states_in(1s);  // the first was due a heartbeat of before
  CHECK(states_in(1s) == 5);
  ctrl.heartbeat = base::Duration(-5);
  ctrl.lease = base::Duration(-5);
  w.on(ctrl);
  states_in(1s);
  w.forget<OpenSession>();
  CHECK(states_in(1s) <= 1000);
  w.clear();
}

}  // namespace
