#include "worker/start_gate.h"

#include "tests/support/worker_under_test.h"
#include "worker/relative_limit.h"

namespace {

using base::Attempt;
using support::WorkerUnderTest;
using worker::Kill;
using worker::LookAtMachine;
using worker::Machine;
using worker::Measured;
using worker::Slots;
using worker::Start;
using worker::StartGate;
using worker::StartRules;
using namespace std::chrono_literals;

const Attempt kFirst{1, 1, 1}, kSecond{2, 1, 2}, kThird{3, 1, 3};
const base::TimePoint kNow{1h};

StartRules memory(std::uint64_t bytes) {
  StartRules rules;
  rules.free_memory = bytes;
  return rules;
}

worker::CoreConfig config(std::uint32_t slots, const StartRules& rules) {
  worker::CoreConfig config = support::worker_config(slots);
  config.starts = rules;
  return config;
}

// ---- the gate

TEST_CASE("without rules any number may start", "[gate]") {
  const StartGate gate(StartRules{});
  CHECK(gate.room(kNow) > 1000);
  CHECK_FALSE(gate.wants_measure(kNow));
}

TEST_CASE("between two starts lies the delay", "[gate]") {
  StartRules rules;
  rules.delay = 2s;
  StartGate gate(rules);
  CHECK(gate.room(kNow) == 1);
  gate.note_started(kNow);
  CHECK(gate.room(kNow + 1999ms) == 0);
  CHECK(gate.opens_at(kNow) == kNow + 2s);
  CHECK(gate.room(kNow + 2s) == 1);
}

TEST_CASE("so many start as the load has room for, as it was measured just now", "[gate]") {
  StartRules rules;
  rules.load = 4;
  StartGate gate(rules);
  CHECK(gate.room(kNow) == 0);
  CHECK(gate.wants_measure(kNow));
  gate.note({.running = 1}, kNow);
  CHECK(gate.room(kNow) == 3);
  gate.note_started(kNow);
  CHECK(gate.room(kNow) == 2);
  CHECK(gate.room(kNow + 1s) == 0);
  gate.note({.running = 9, .load = 10}, kNow);
  CHECK(gate.room(kNow) == 1);
}

TEST_CASE("with less memory than wanted nothing starts, and below half of it a job has to go, once a measure", "[gate]") {
  StartGate gate(memory(1000));
  gate.note({.free_memory = 1000}, kNow);
  CHECK(gate.room(kNow) > 0);
  gate.note({.free_memory = 999}, kNow);
  CHECK(gate.room(kNow) == 0);
  CHECK_FALSE(gate.take_shortage());
  gate.note({.free_memory = 499}, kNow);
  CHECK(gate.take_shortage());
  CHECK_FALSE(gate.take_shortage());
}

TEST_CASE("nothing starts while the machine swaps, if that is a rule", "[gate]") {
  StartRules rules;
  rules.no_swap = true;
  StartGate gate(rules);
  gate.note({.is_swapping = true}, kNow);
  CHECK(gate.room(kNow) == 0);
  gate.note({.is_swapping = false}, kNow);
  CHECK(gate.room(kNow) > 0);
}

// ---- in the worker

TEST_CASE("a job waits until the machine has memory for it", "[gate]") {
  WorkerUnderTest w(config(2, memory(1000)));
  w.given_head();
  w.on(w.job({kFirst}));
  w.turn();
  w.take<LookAtMachine>();
  w.on(Measured{{.free_memory = 10}});
  w.turn();
  w.forget_states();
  CHECK(w.none());
  w.now = w.core.next_deadline();
  w.turn();
  w.forget_states();
  w.take<LookAtMachine>();
  w.on(Measured{{.free_memory = 1000}});
  w.turn();
  CHECK(w.take<Start>().attempt == kFirst);
}

TEST_CASE("the youngest job goes when memory gets short, and is handed back as one that counts for nothing; the last one stays", "[gate]") {
  WorkerUnderTest w(config(2, memory(1000)));
  w.given_head();
  for (const Attempt& attempt : {kFirst, kSecond}) {
    w.on(w.job({attempt}));
    w.on(Measured{{.free_memory = 5000}});
    w.turn();
    w.forget_states();
    REQUIRE(w.take<Start>().attempt == attempt);
    w.now += 1ms;
  }
  w.on(Measured{{.free_memory = 400}});
  CHECK(w.take<Kill>().attempt == kSecond);
  w.on(Measured{{.free_memory = 400}});
  CHECK(w.none());
  w.on(w.ended(kSecond, base::Outcome::Cancelled));
  CHECK(w.core.unconfirmed(kSecond).outcome == base::Outcome::Cancelled);
  CHECK(w.core.unconfirmed(kSecond).reason == "ended for want of memory");
  w.on(Measured{{.free_memory = 400}});
  CHECK(w.none());
}

TEST_CASE("slots may become more and fewer while jobs run", "[gate]") {
  WorkerUnderTest w(1);
  w.given_head();
  w.given_running(kFirst);
  w.on(Slots{3});
  w.turn();
  CHECK(w.take<wire::State>().slots == 3);
  w.on(w.job({kSecond, kThird}));
  w.turn();
  w.forget_states();
  CHECK(w.take<Start>().slot == 2);
  CHECK(w.take<Start>().slot == 3);
  w.on(Slots{1});
  w.turn();
  CHECK(w.take<wire::State>().slots == 1);
  w.on(w.ended(kThird));
  w.on(w.ended(kSecond));
  w.turn();
  w.take<worker::SendResults>();
  w.forget_states();
  CHECK(w.core.running() == 1);
  CHECK(w.core.slots() == 1);
}

// ---- halts

TEST_CASE("in a run that stops soon what has not started is returned and what runs goes on", "[gate]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_running(kFirst);
  w.on(w.job({kSecond}));
  wire::Ctrl ctrl = w.ctrl();
  ctrl.halt = wire::HaltRule::When::Soon;
  w.on(ctrl);
  CHECK(w.core.queued() == 0);
  CHECK(w.core.running() == 1);
  CHECK(w.core.unconfirmed(kSecond).outcome == base::Outcome::Returned);
}

TEST_CASE("in a run that stops now what runs is ended, once", "[gate]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_running(kFirst);
  wire::Ctrl ctrl = w.ctrl();
  ctrl.halt = wire::HaltRule::When::Now;
  w.on(ctrl);
  CHECK(w.take<Kill>().attempt == kFirst);
  w.on(ctrl);
  CHECK(w.none());
}

TEST_CASE("where a failure may stop the run nothing starts before it has been judged", "[gate]") {
  worker::CoreConfig rule = support::worker_config(2);
  rule.halt.when = wire::HaltRule::When::Soon;
  WorkerUnderTest w(rule);
  w.given_head();
  w.given_running(kFirst);
  w.on(w.job({kSecond}));
  w.on(w.ended(kFirst, base::Outcome::Failed));
  w.turn();
  w.take<worker::SendResults>();
  w.forget_states();
  CHECK(w.none());
  w.on(w.confirming({kFirst}));
  w.turn();
  w.forget_states();
  CHECK(w.take<Start>().attempt == kSecond);
}

// ---- a limit that follows what jobs take

TEST_CASE("a share of the median is a limit once three jobs have succeeded", "[gate]") {
  worker::RelativeLimit limit(200);
  limit.note_started(kThird, kNow);
  limit.note_ended(kFirst, true, 1s);
  limit.note_ended(kFirst, false, 100s);
  limit.note_ended(kFirst, true, 3s);
  CHECK(limit.next_deadline() == base::kNever);
  limit.note_ended(kFirst, true, 2s);
  CHECK(limit.next_deadline() == kNow + 4s);
  CHECK(limit.take_overdue(kNow + 3999ms).empty());
  CHECK(limit.take_overdue(kNow + 4s) == std::vector<Attempt>{kThird});
  CHECK(limit.take_overdue(kNow + 5s).empty());
}

TEST_CASE("the limit of short jobs is a second, whatever share of their median is wanted", "[gate]") {
  worker::RelativeLimit limit(200);
  for (int i = 0; i < 3; ++i) limit.note_ended(kFirst, true, 1ms);
  CHECK(limit.limit() == 1s);
}

}  // namespace
