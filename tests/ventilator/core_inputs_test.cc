// Inputs that go in parts to workers that do not see the files: PROTOCOL 4.19.
#include "tests/support/ventilator_under_test.h"
#include "ventilator/core.h"

namespace {

using base::Attempt;
using base::Generation;
using support::VentilatorUnderTest;
using support::worker_id;
using ventilator::InputFaulty;
using ventilator::InputsDue;
using ventilator::OpenLane;
using ventilator::SendInput;

struct ToRemote : VentilatorUnderTest {
  ToRemote() {
    given_jobs(3);
    given_sink();
    auto first = worker(1, 3);
    first.input_limit = 10;
    hears(first);
    lane = take<OpenLane>().generation;
    take<ventilator::SendCtrl>();
    asks(10);
    const auto sent = gives(1, {1, 2, 3});
    CHECK(sent.takes_inputs);
    attempts = sent.attempts;
  }
  void asks(std::uint64_t input_limit, std::uint64_t limit = 3) {
    auto message = echo(1, 3, lane, limit);
    message.input_limit = input_limit;
    hears(message);
  }
  void sends(std::uint64_t sent, const Attempt& attempt, std::uint64_t offset, std::uint64_t length) {
    const auto part = take<SendInput>();
    CHECK(part.generation == lane);
    CHECK(part.sent == sent);
    CHECK(part.attempt == attempt);
    CHECK(part.offset == offset);
    CHECK(part.length == length);
  }
  Generation lane;
  std::vector<Attempt> attempts;
};

TEST_CASE("inputs go out in the order of their jobs, and no further than the worker has asked for", "[ventilator]") {
  ToRemote v;
  v.on(InputsDue{worker_id(1), v.lane, {{v.attempts[0], 6}, {v.attempts[2], 8}}});
  v.sends(0, v.attempts[0], 0, 6);
  v.sends(6, v.attempts[2], 0, 4);
  v.asks(10);
  CHECK(v.none());
  v.asks(11);
  v.sends(10, v.attempts[2], 4, 1);
  v.asks(9);  // an older word
  CHECK(v.none());
  v.asks(100);
  v.sends(11, v.attempts[2], 5, 3);
  v.asks(200);
  CHECK(v.none());
}

TEST_CASE("a worker that reads files itself gets no inputs", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  v.given_worker(1);
  CHECK_FALSE(v.gives(1, {1}).takes_inputs);
}

TEST_CASE("that a worker takes inputs is known before a RESULT opens its lane", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  auto worker = v.worker(1);
  worker.input_limit = 10;
  v.hears(worker);
  const auto lane = v.take<OpenLane>().generation;
  v.take<ventilator::SendCtrl>();
  wire::Done done;
  done.limits.push_back({worker_id(1), 1, lane, 1});
  v.hears(done);
  const auto sent = v.gives(1, {1});
  CHECK(sent.takes_inputs);
  v.on(InputsDue{worker_id(1), lane, {{sent.attempts[0], 6}}});
  CHECK(v.none());  // how much is not known yet
  auto echo = v.echo(1, 1, lane, 1);
  echo.input_limit = 10;
  v.hears(echo);
  CHECK(v.take<SendInput>().length == 6);
}

TEST_CASE("an input that cannot be read is given up, and the next one follows", "[ventilator]") {
  ToRemote v;
  v.on(InputsDue{worker_id(1), v.lane, {{v.attempts[0], 60}, {v.attempts[1], 4}}});
  v.sends(0, v.attempts[0], 0, 10);
  v.on(InputFaulty{worker_id(1), v.lane, v.attempts[0]});
  CHECK(v.none());
  v.asks(20);
  v.sends(10, v.attempts[1], 0, 4);
}

TEST_CASE("with the lane its inputs are forgotten, and the next begins at 0", "[ventilator]") {
  ToRemote v;
  v.on(InputsDue{worker_id(1), v.lane, {{v.attempts[0], 60}}});
  v.sends(0, v.attempts[0], 0, 10);
  const Generation first = v.lane;
  v.on(ventilator::LaneBroken{worker_id(1), first});
  v.take<ventilator::CloseLane>();
  v.take<wire::Gone>();
  v.asks(50);
  v.turn();
  v.lane = v.take<OpenLane>().generation;
  v.take<ventilator::SendCtrl>();
  v.on(InputsDue{worker_id(1), first, {{v.attempts[1], 5}}});
  v.asks(50, 0);
  v.forget_beats();
  CHECK(v.none());
  v.hears(v.requeue(v.attempts[0]));
  v.asks(50, 1);
  const auto again = v.gives(1, {1});
  v.on(InputsDue{worker_id(1), v.lane, {{again.attempts[0], 60}}});
  v.sends(0, again.attempts[0], 0, 50);
}

TEST_CASE("a worker that asks for everything gets no more at once than may lie in memory", "[ventilator]") {
  ToRemote v;
  v.asks(UINT64_MAX);
  v.on(InputsDue{worker_id(1), v.lane, {{v.attempts[0], std::uint64_t{1} << 40}}});
  CHECK(v.take<SendInput>().length == 64u << 20);
  CHECK(v.none());
}

}  // namespace
