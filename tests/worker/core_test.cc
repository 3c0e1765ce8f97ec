#include "worker/core.h"

#include <algorithm>

#include "tests/support/worker_under_test.h"
#include "wire/limits.h"

namespace {

using base::Attempt;
using base::Generation;
using support::worker_id;
using support::WorkerUnderTest;
using wire::Held;
using worker::CloseSession;
using worker::NoRoom;
using worker::OpenSession;
using worker::SendResults;
using worker::Start;
using namespace std::chrono_literals;

const Attempt kFirst{1, 1, 1}, kSecond{2, 1, 2}, kThird{3, 1, 3};

// ---- sessions and STATE

TEST_CASE("a worker that starts opens a session and says all a hello would", "[worker]") {
  WorkerUnderTest w(3);
  w.turn();
  CHECK(w.take<OpenSession>().session == 1);
  w.turn();
  CHECK(w.none());  // nothing before its sockets are there
  w.on(worker::SessionOpened{"tcp://here:1", "key"});
  w.turn();
  const auto state = w.take<wire::State>();
  CHECK(state.worker == worker_id(1));
  CHECK(state.session == 1);
  CHECK(state.state_seq == 1);
  CHECK(state.endpoint == "tcp://here:1");
  CHECK(state.key == "key");
  CHECK(state.host == "host");
  CHECK(state.slots == 3);
  CHECK(state.generation == Generation{});
  CHECK(state.limit == 0);
  CHECK(state.held.empty());
}

TEST_CASE("STATE goes out each heartbeat and lists every attempt held, queued, running or unconfirmed", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.on(w.job({kFirst}));
  w.turn();
  w.take<Start>();
  w.on(w.ended(kFirst));
  w.turn();
  w.take<SendResults>();
  w.forget_states();
  w.on(w.job({kSecond}));
  w.turn();
  w.take<Start>();
  w.forget_states();
  w.now += 1s;
  w.turn();
  const auto state = w.take<wire::State>();
  CHECK(state.held == std::vector<Held>{{kSecond, Held::Phase::Running}, {kFirst, Held::Phase::Unconfirmed}});
}

TEST_CASE("a new generation is answered with a STATE at once, and its numbers start again", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.on(w.job({kFirst, kSecond}));
  w.turn();
  w.take<Start>();
  w.take<Start>();
  CHECK(w.core.received() == 2);
  w.generation = {1, 2};
  w.on(w.ctrl());
  w.turn();
  auto state = w.take<wire::State>();
  CHECK(state.generation == Generation{1, 2});
  CHECK(state.limit == 0);  // it holds all it has room for
  CHECK(w.core.received() == 0);
  CHECK(state.held.size() == 2);
  w.now += 10s;
  w.on(w.ended(kFirst));
  w.turn();
  const auto results = w.take<SendResults>();
  CHECK(results.generation == Generation{1, 2});
  CHECK(results.limit == 1);
  w.forget_states();
  w.on(w.job({kThird}, 1));
  w.turn();
  CHECK(w.take<Start>().attempt == kThird);
  w.forget_states();
}

TEST_CASE("a worker whose STATE is not echoed begins a new session after connect timeout and a heartbeat, then waits longer each time", "[worker]") {
  WorkerUnderTest w;
  w.given_session();
  std::vector<base::Duration> waits;
  base::TimePoint since = w.now;
  for (std::uint64_t session = 2; session < 9; ++session) {
    while (!w.is<OpenSession>()) {
      w.pass(250ms, false);
      w.forget_states();
      REQUIRE(w.now < since + 20s);
    }
    waits.push_back(w.now - since);
    since = w.now;
    w.opens(session);
    w.forget_states();
  }
  CHECK(waits[0] >= 4s);
  CHECK(waits[0] <= 4500ms);
  CHECK(waits[1] > waits[0]);
  CHECK(waits.back() <= 10500ms);
  CHECK(waits.back() >= 8500ms);
}

TEST_CASE("an echo lets the wait for a new session fall back", "[worker]") {
  WorkerUnderTest w;
  w.given_session();
  for (std::uint64_t session = 2; session < 5; ++session) {
    while (!w.is<OpenSession>()) w.pass(250ms, false), w.forget_states();
    w.opens(session);
    w.forget_states();
  }
  w.pass(1s);
  w.on(w.ctrl());
  const base::TimePoint since = w.now;
  w.turn();
  w.forget_states();
  while (!w.is<OpenSession>()) w.pass(250ms, false), w.forget_states();
  w.take<OpenSession>();
  CHECK(w.now - since <= 4500ms);
}

TEST_CASE("a worker that is echoed keeps its session", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.pass(50s);
  w.forget_states();
  CHECK(w.none());
}

TEST_CASE("a pause of the worker itself is not the silence of the head", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.now += 1h;
  w.turn();
  w.forget_states();
  CHECK(w.none());
}

TEST_CASE("a new session still holds every job, started or not, and every unconfirmed result", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_unconfirmed(kFirst);
  w.given_running(kSecond);
  while (!w.is<OpenSession>()) w.pass(250ms, false), w.forget_states();
  w.opens(2);
  const auto state = w.take<wire::State>();
  CHECK(state.session == 2);
  CHECK(state.generation == Generation{});
  CHECK(state.held == std::vector<Held>{{kSecond, Held::Phase::Running}, {kFirst, Held::Phase::Unconfirmed}});
}

// ---- rule 3: what a worker hears

TEST_CASE("frames for another worker, another session or an older generation are counted and ignored", "[worker]") {
  WorkerUnderTest w(4);
  w.given_head();
  w.generation = {1, 3};
  w.on(w.ctrl());
  w.turn();
  w.forget_states();
  auto job = w.job({kFirst});
  job.worker = worker_id(2);
  w.on(job);
  job = w.job({kFirst});
  job.session = 2;
  w.on(job);
  job.session = 0;
  w.on(job);
  job = w.job({kFirst});
  job.generation = {1, 2};
  w.on(job);
  auto ctrl = w.ctrl();
  ctrl.generation = {1, 2};
  ctrl.complete = true;
  w.on(ctrl);
  ctrl = w.ctrl();
  ctrl.worker = worker_id(2);
  ctrl.complete = true;
  w.on(ctrl);
  CHECK(w.core.ignored() == 6);
  w.turn();
  CHECK(w.none());
  CHECK(w.core.holds_nothing());
}

TEST_CASE("a job that comes twice, with a number at or below the last, is counted and ignored", "[worker]") {
  WorkerUnderTest w(4);
  w.given_head();
  w.on(w.job({kFirst}, 1));
  w.on(w.job({kFirst}, 1));
  auto job = w.job({kSecond});
  job.first_seq = 0;  // nor is there a number 0
  w.on(job);
  CHECK(w.core.ignored() == 2);
  w.turn();
  CHECK(w.take<Start>().attempt == kFirst);
  w.forget_states();
}

TEST_CASE("jobs beyond the limit were never asked for and are refused, however many", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  REQUIRE(w.core.limit() == 2);
  w.on(w.job({{7, 1, 7}}, 3));
  w.on(w.job({{8, 1, 8}}, ~0ull));
  w.on(w.job({kFirst, kSecond, kThird}, 1));
  CHECK(w.core.ignored() == 3);
  w.turn();
  CHECK(w.take<Start>().attempt == kFirst);
  CHECK(w.take<Start>().attempt == kSecond);
  w.forget_states();
}

TEST_CASE("an attempt that is running or unconfirmed is not started again by a frame of a new generation", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_unconfirmed(kFirst);
  w.given_running(kSecond);
  w.generation = {1, 2};
  w.on(w.ctrl());
  w.turn();
  w.forget_states();
  w.on(w.job({kFirst}, 1));
  w.turn();
  w.forget_states();
  CHECK(w.none());
}

TEST_CASE("REFUSED makes an empty worker ask again later, and one that holds something go on", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(wire::Refused{worker_id(1), "another run"});
  w.on(wire::Refused{worker_id(9), "not for it"});
  CHECK(w.core.ignored() == 1);
  w.turn();
  w.forget_states();
  CHECK(w.none());
  CHECK(w.core.holds(kFirst));
}

TEST_CASE("a worker for whom there is no room closes its connection, asks again less and less often, and does not give up", "[worker]") {
  WorkerUnderTest w;
  w.given_session();
  std::vector<base::Duration> waited;
  for (std::uint64_t session = 2; session < 12; ++session) {
    w.on(NoRoom{});
    w.take<CloseSession>();
    w.on(NoRoom{});  // said twice
    base::Duration wait{};
    for (; w.none() && wait < 20s; wait += 250ms) w.pass(250ms);
    waited.push_back(wait);
    w.opens(session);
    w.forget_states();
    REQUIRE(w.none());
  }
  CHECK(waited[0] == 4s);
  CHECK((waited[1] > 6s && waited[1] <= 8s));
  CHECK(waited[9] > 8s);
  CHECK(*std::max_element(waited.begin(), waited.end()) <= 10s);
  CHECK(w.core.ignored() == 10);
}

TEST_CASE("to a worker that holds something there is always room", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(NoRoom{});
  CHECK(w.none());
}

// ---- rules 1 and 13: results

TEST_CASE("a result carries generation and limit, and is kept until it is confirmed", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.now += 10s;
  w.on(w.ended(kFirst));
  w.turn();
  const auto sent = w.take<SendResults>();
  CHECK(sent.attempts == std::vector<Attempt>{kFirst});
  CHECK(sent.generation == w.generation);
  CHECK(sent.limit == 2);
  CHECK(w.core.unconfirmed(kFirst).slot == 1);
  w.forget_states();
  w.pass(30s);
  w.forget<SendResults>();
  w.forget_states();
  CHECK(w.core.holds(kFirst));
  w.on(w.confirming({kFirst}));
  CHECK(w.core.holds_nothing());
}

TEST_CASE("a result sent before an echoed STATE and not confirmed is sent again, one sent later is not", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_unconfirmed(kFirst);
  w.now += 1s;
  w.turn();
  w.forget_states();  // a STATE behind it
  w.given_unconfirmed(kSecond);
  w.on(w.ctrl());  // echoes the STATE between them
  w.turn();
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kFirst});
  w.forget_states();
  w.turn();
  w.forget_states();
  CHECK(w.none());  // once for each echo
}

TEST_CASE("an echo of a STATE never sent, or an older one than the last, means nothing", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_unconfirmed(kFirst);
  auto ctrl = w.ctrl();
  ctrl.state_seq = 1000;
  w.on(ctrl);
  ctrl.state_seq = 0;
  w.on(ctrl);
  w.turn();
  w.forget_states();
  CHECK(w.none());
}

TEST_CASE("confirms of attempts that are unknown, running or confirmed before mean nothing", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_unconfirmed(kFirst);
  w.given_running(kSecond);
  w.on(w.confirming({{9, 9, 9}, kSecond, kFirst, kFirst, {0, 0, 0}}));
  CHECK(w.core.holds(kSecond));
  CHECK_FALSE(w.core.holds(kFirst));
  w.turn();
  w.forget_states();
}

TEST_CASE("the end of an attempt that does not run is counted and ignored", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.on(w.ended(kFirst));
  CHECK(w.core.ignored() == 1);
  w.turn();
  CHECK(w.none());
}

}  // namespace
