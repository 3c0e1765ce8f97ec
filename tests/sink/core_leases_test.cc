#include "sink/core.h"

#include "tests/support/sink_under_test.h"
#include "wire/limits.h"

namespace {

using base::Attempt;
using base::Outcome;
using sink::Commit;
using sink::Exit;
using sink::LogAttempt;
using sink::LogEmitted;
using sink::LogEnded;
using sink::LogResult;
using sink::OpenFeedback;
using sink::TakeBackEnd;
using sink::UncountLoss;
using support::retries;
using support::SinkUnderTest;
using support::worker_id;
using namespace std::chrono_literals;

// ---- rule 3: returned

TEST_CASE("what was assigned to an older generation and is not held in a newer one is returned, whichever comes first", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}, {2, 1, 2}});
  s.on(s.state(1, {{2, 1, 2}}, 1, {1, 2}));
  auto said = s.said_after();
  CHECK(said.requeued == std::vector<wire::Requeued>{{{1, 1, 1}, Outcome::Returned, false}});
  s.hears(s.assign(1, {{3, 1, 3}}));  // of the older generation, and late
  said = s.said_after();
  CHECK(said.requeued == std::vector<wire::Requeued>{{{3, 1, 3}, Outcome::Returned, false}});
  CHECK(said.attempts.at(0).result.reason == "it never reached the worker");
}

TEST_CASE("a new session of the worker is judged like a new generation", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.on(s.state(1, {}, 2, {}));
  CHECK(s.said_after().requeued.size() == 1);
}

TEST_CASE("in its own generation an attempt that a STATE does not list may be on its way", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.on(s.state(1, {}));
  CHECK(s.said_after().requeued.empty());
}

TEST_CASE("a new generation of one worker says nothing of what another holds", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.on(s.state(2, {}, 9, {9, 9}));
  CHECK(s.said_after().requeued.empty());
}

TEST_CASE("an adopted attempt, whose lane is not known, is not judged returned", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.hears(s.assign(1, {{1, 1, 1}}, false, 0, {}));
  s.on(s.state(1, {}, 9, {9, 9}));
  CHECK(s.said_after().requeued.empty());
}

TEST_CASE("a STATE older than the newest changes nothing and is counted", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  const auto old = s.state(1, {{1, 1, 1}});
  s.on(s.state(1, {}));
  s.on(old);
  CHECK(s.core.ignored() == 1);
  CHECK(s.core.progress().records().empty());
  s.clear();
  auto older_session = s.state(1, {{1, 1, 1}}, 0);
  s.on(older_session);
  CHECK(s.core.ignored() == 2);
  s.turn();
  s.clear();
}

TEST_CASE("a STATE that lists job 0, jobs beyond the total or finished ones makes no lease of them", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(2);
  s.said_of(1, {1, 1, 1}, Outcome::Ok);
  s.on(s.state(1, {{0, 1, 1}, {1, 1, 1}, {2, 1, 2}, {3, 1, 3}}));
  s.turn();
  CHECK(s.take<wire::Worker>().leases == std::vector<Attempt>{{2, 1, 2}});
}

TEST_CASE("the ASSIGN of an attempt that has ended is answered with REQUEUE and makes no lease", "[sink]") {
  SinkUnderTest s(retries(3));
  s.given_ventilator();
  s.said_of(1, {1, 1, 1}, Outcome::Failed);
  s.hears(s.assign(1, {{1, 1, 1}, {0, 1, 9}}));
  CHECK(s.said_after().requeued == std::vector<wire::Requeued>{{{1, 1, 1}, Outcome::Failed, false, 1}});
  s.on(s.state(1, {{1, 1, 1}}));
  s.turn();
  CHECK(s.take<wire::Worker>().leases.empty());
}

// ---- section 6: leases

TEST_CASE("a lease ends after ten seconds without a STATE that lists it", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.pass(10s);
  s.forget_beats();
  CHECK(s.none());
  s.pass(1s);
  s.forget_beats();
  const auto row = s.take<LogAttempt>();
  CHECK(row.result.outcome == Outcome::Lost);
  CHECK(row.result.command == "cmd");
  CHECK(row.counted);
  s.take<Commit>();
  CHECK(s.take<wire::Requeue>().items == std::vector<wire::Requeued>{{{1, 1, 1}, Outcome::Lost, false}});
}

TEST_CASE("STATEs that list it keep a lease for hours, those that do not let it end", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.pass_with(600s, s.state(1, {{1, 1, 1}}));
  CHECK(s.count<wire::Requeue>() == 0);
  s.pass_with(11s, s.state(1, {}));
  CHECK(s.count<wire::Requeue>() == 1);
  s.clear();
}

TEST_CASE("the sink does not take its own pause for the silence of a worker", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.now += 1h;
  s.turn();
  s.pass(8s);
  s.forget_beats();
  CHECK(s.none());
}

TEST_CASE("leases are not judged while more waits to be read", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  for (int i = 0; i < 60; ++i) s.now += 500ms, s.turn(false);
  s.clear();
  s.on(s.state(1, {{1, 1, 1}}));
  s.turn(true);
  s.forget_beats();
  CHECK(s.none());
}

TEST_CASE("GONE shortens the wait to three heartbeats", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.pass(11s);  // not in the first lease of its own life
  s.on(s.state(1, {{1, 1, 1}}));
  s.turn();
  s.clear();
  s.hears(wire::Gone{.worker = worker_id(1), .generation = {1, 1}});
  s.pass(3s);
  s.forget_beats();
  CHECK(s.none());
  s.pass(1s);
  CHECK(s.count<wire::Requeue>() == 1);
  s.clear();
}

TEST_CASE("a STATE or a newer generation cancels GONE, and GONE of a stranger or an old generation means nothing", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.pass(11s);
  s.on(s.state(1, {{1, 1, 1}}, 1, {1, 2}));
  s.turn();
  s.clear();
  s.hears(wire::Gone{.worker = worker_id(1), .generation = {1, 1}});
  s.hears(wire::Gone{.worker = worker_id(9), .generation = {1, 1}});
  s.pass(5s);
  CHECK(s.count<wire::Requeue>() == 0);
  s.hears(wire::Gone{.worker = worker_id(1), .generation = {1, 2}});
  s.pass(2s);
  s.on(s.state(1, {{1, 1, 1}}, 1, {1, 2}));
  s.pass(5s);
  CHECK(s.count<wire::Requeue>() == 0);
  s.clear();
}

TEST_CASE("a worker that was given up and lists the attempt again has its loss taken back, and the lease lives", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.pass(11s);
  s.clear();
  s.on(s.state(1, {{1, 1, 1}}));
  const auto back = s.take<UncountLoss>();
  CHECK(back.attempt == Attempt{1, 1, 1});
  CHECK(back.revived);
  s.turn();
  s.take<Commit>();
  CHECK(s.take<wire::Worker>().leases == std::vector<Attempt>{{1, 1, 1}});
  CHECK(s.core.progress().records().at(1).losses() == 0);
}

TEST_CASE("if a newer attempt is out the loss is taken back without a lease", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.pass(11s);
  s.clear();
  s.given_assigned(2, {{1, 1, 2}});
  s.on(s.state(1, {{1, 1, 1}}));
  CHECK_FALSE(s.take<UncountLoss>().revived);
  s.turn();
  s.take<Commit>();
  CHECK(s.take<wire::Worker>().leases.empty());
  s.on(s.state(1, {{1, 1, 1}}));
  s.turn();
  s.forget_beats();
  CHECK(s.none());  // taken back once
}

TEST_CASE("the result of an attempt that was given up takes the loss back and says how it ended", "[sink]") {
  SinkUnderTest s(retries(2));
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}, {2, 1, 2}});
  s.pass(11s);
  s.clear();
  const auto ok = s.said_of(1, {1, 1, 1}, Outcome::Ok);
  CHECK(ok.taken_back.size() == 1);
  CHECK(ok.finished.at(0).ordinal == 1);
  const auto failed = s.said_of(1, {2, 1, 2}, Outcome::Failed);
  CHECK(failed.taken_back.size() == 1);
  CHECK(failed.attempts.at(0).counted);
  CHECK(s.core.progress().records().at(2).losses() == 0);
  CHECK(s.core.progress().records().at(2).failures() == 1);
}

TEST_CASE("a job lost twice must run alone, and only losses while alone bring it to the crash limit", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  for (std::uint64_t n = 1; n <= 4; ++n) {
    s.given_assigned(1, {{1, 1, n}});
    const auto said = s.said_of(1, {1, 1, n}, Outcome::Lost);
    CHECK(said.requeued == std::vector<wire::Requeued>{{{1, 1, n}, Outcome::Lost, n >= 2}});
  }
  for (std::uint64_t n = 5; n <= 8; ++n) {
    s.given_assigned(1, {{1, 1, n}}, true);
    CHECK(s.said_of(1, {1, 1, n}, Outcome::Lost).requeued.at(0).alone);
  }
  s.given_assigned(1, {{1, 1, 9}}, true);
  const auto last = s.said_of(1, {1, 1, 9}, Outcome::Lost);
  CHECK(last.requeued.empty());
  CHECK(last.finished.at(0).result.outcome == Outcome::Lost);
  CHECK(last.finished.at(0).result.command == "cmd");
  CHECK(s.core.progress().failed() == 1);
}

TEST_CASE("a worker that says BYE is passed on and forgotten, one unknown or of an older session is ignored", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.on(s.state(1, {}, 4));
  s.turn();
  s.clear();
  s.on(wire::Bye{worker_id(1), 3});
  s.on(wire::Bye{worker_id(2), 1});
  CHECK(s.core.ignored() == 2);
  s.on(wire::Bye{worker_id(1), 4});
  s.turn();
  CHECK(s.take<wire::Worker>().bye);
  CHECK(s.core.workers() == 0);
}

// ---- rule 12: the end

TEST_CASE("the end is logged and said when the end of input is known, all is finished and all outputs are written", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.said_of(1, {1, 1, 1}, Outcome::Ok);
  s.on(sink::OutputsEmitted{1});
  s.turn();
  CHECK(s.none());  // how far the outputs are waits for company
  s.hears(s.open(1));
  s.turn();
  CHECK(s.take<LogEmitted>().jobs == 1);
  const auto ended = s.take<LogEnded>();
  CHECK(ended.total == 1);
  CHECK(ended.failed == 0);
  s.take<Commit>();
  CHECK(s.take<wire::End>().total == 1);
}

TEST_CASE("outputs that are not written hold the end back", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(1);
  s.said_of(1, {1, 1, 1}, Outcome::Ok);
  s.pass(3s);
  s.forget_beats();
  CHECK(s.none());
  s.on(sink::OutputsEmitted{1});
  s.on(sink::OutputsEmitted{0});  // it never falls
  s.turn();
  s.take<LogEmitted>();
  s.take<LogEnded>();
  s.take<Commit>();
  s.take<wire::End>();
}

TEST_CASE("END is repeated each heartbeat until CLOSE, which ends the sink", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(0);
  s.forget<wire::End>();
  s.pass(3s);
  CHECK(s.count<wire::End>() == 3);
  s.clear();
  s.hears(wire::Close{});
  s.take<Exit>();
  s.hears(s.open());
  s.turn();
}

TEST_CASE("without CLOSE the sink leaves after one lease", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(0);
  s.pass(10s);
  s.forget<wire::End>();
  CHECK(s.none());
  s.pass(1s);
  s.forget<wire::End>();
  s.take<Exit>();
}

TEST_CASE("CLOSE before the end is counted and ignored", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(1);
  s.hears(wire::Close{});
  CHECK(s.core.ignored() == 1);
}

TEST_CASE("a sink that restarts after its end only says END again, and leaves", "[sink]") {
  SinkUnderTest s({}, {.sink_epoch = 2, .policy = wire::Policy{}, .emitted = 1, .ended = LogEnded{1, 1, true}});
  s.sink_epoch = 2;
  s.core.recover_finished(1, true);
  auto open = s.open(1);
  open.cut = true;
  s.hears(open);
  s.take<OpenFeedback>();
  s.turn();
  s.take<wire::Snapshot>();
  s.take<wire::Snapshot>();
  const auto end = s.take<wire::End>();
  CHECK(end.total == 1);
  CHECK(end.failed == 1);
  CHECK(end.cut);
  s.pass(11s);
  s.forget<wire::End>();
  s.take<Exit>();
}

TEST_CASE("an end whose input was cut is taken back, on disk, when a ventilator goes on with the input", "[sink]") {
  const auto now = GENERATE(std::optional<std::uint64_t>(), std::optional<std::uint64_t>(2));
  SinkUnderTest s({}, {.sink_epoch = 2, .policy = wire::Policy{}, .emitted = 1, .ended = LogEnded{1, 0, true}});
  s.sink_epoch = 2;
  s.core.recover_finished(1, false);
  s.turn();
  s.hears(s.open(now));
  s.turn();
  s.take<TakeBackEnd>();
  s.take<OpenFeedback>();
  s.take<Commit>();
  s.forget<wire::Snapshot>();
  s.pass(20s);
  s.forget_beats();
  CHECK(s.none());  // no END, no exit
  s.said_of(1, {2, 1, 1}, Outcome::Ok);
  s.hears(s.open(2));
  s.on(sink::OutputsEmitted{2});
  s.turn();
  s.take<LogEmitted>();
  const auto ended = s.take<LogEnded>();
  CHECK(ended.total == 2);
  CHECK_FALSE(ended.cut);
  s.clear();
}

TEST_CASE("an input that turns out to be whole where it was cut ends the run anew", "[sink]") {
  SinkUnderTest s;
  auto cut = s.open(0);
  cut.cut = true;
  s.hears(cut);
  s.turn();
  s.take<sink::LogPolicy>();
  s.take<OpenFeedback>();
  CHECK(s.take<LogEnded>().cut);
  s.clear();
  ++s.epoch;
  s.hears(s.open(0));
  s.turn();
  s.take<TakeBackEnd>();
  CHECK_FALSE(s.take<LogEnded>().cut);
  s.take<Commit>();
  s.forget<wire::Snapshot>();
  CHECK_FALSE(s.take<wire::End>().cut);
}

TEST_CASE("the end of a whole input stays, whatever OPEN says", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(0);
  s.hears(s.open(7));
  auto cut = s.open(0);
  cut.cut = true;
  s.hears(cut);
  s.turn();
  s.forget_beats();
  s.forget<wire::End>();
  CHECK(s.none());
}

TEST_CASE("a sink whose run has ended waits while a ventilator makes up its mind", "[sink]") {
  SinkUnderTest s({}, {.sink_epoch = 2, .policy = wire::Policy{}, .ended = LogEnded{0, 0, true}});
  s.sink_epoch = 2;
  for (int i = 0; i < 5; ++i) {
    s.pass(8s);
    s.on(sink::VentilatorComes{});
  }
  CHECK(s.none());
  s.pass(11s);
  s.take<Exit>();
}

TEST_CASE("a sink told to stop commits and confirms what is there", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  s.on(sink::Stop{});
  s.take<LogResult>();
  s.take<Commit>();
  CHECK(s.take<wire::Done>().confirms.size() == 1);
}

}  // namespace
