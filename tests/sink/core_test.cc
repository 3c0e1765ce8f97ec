#include "sink/core.h"

#include "tests/support/sink_under_test.h"
#include "wire/limits.h"

namespace {

using base::Attempt;
using base::Generation;
using base::Outcome;
using sink::Commit;
using sink::CoreRecovery;
using sink::Exit;
using sink::LogAttempt;
using sink::LogEmitted;
using sink::LogEnded;
using sink::LogPolicy;
using sink::LogResult;
using sink::OpenFeedback;
using sink::UncountLoss;
using support::SinkUnderTest;
using support::worker_id;
using namespace std::chrono_literals;

wire::Policy retries(std::uint32_t n) {
  wire::Policy policy;
  policy.retries = n;
  return policy;
}

// ---- rule 6: one recovery path with the ventilator

TEST_CASE("the first OPEN is answered with a snapshot, behind the commit of the policy it brings", "[sink]") {
  SinkUnderTest s(retries(3));
  s.hears(s.open());
  CHECK(s.take<LogPolicy>().policy.retries == 3);
  CHECK(s.take<OpenFeedback>().endpoint == "v");
  s.turn();
  s.take<Commit>();
  const auto snapshot = s.take<wire::Snapshot>();
  CHECK(snapshot.last);
  CHECK(snapshot.stamp == wire::Stamp{1, 1, 1});
  CHECK(s.take<wire::Alive>().stamp.seq == 2);
}

TEST_CASE("an OPEN that wants nothing is answered with ALIVE", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.hears(s.open());
  s.turn();
  s.take<wire::Alive>();
}

TEST_CASE("a policy that has not changed is not committed again", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.hears(s.open());
  CHECK(s.none());
}

TEST_CASE("a snapshot that is asked for over and over is sent at most twice a heartbeat", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  auto open = s.open();
  open.want_snapshot = true;
  for (int i = 0; i < 10; ++i) s.hears(open), s.turn();
  CHECK(s.count<wire::Snapshot>() == 0);
  s.clear();
  s.now += 600ms;
  s.hears(open);
  s.turn();
  s.take<wire::Snapshot>();
  s.forget_beats();
}

TEST_CASE("frames of an older ventilator change nothing and are counted", "[sink]") {
  SinkUnderTest s;
  s.epoch = 3;
  s.given_ventilator(5);
  s.epoch = 2;
  auto open = s.open(1);
  open.endpoint = "elsewhere";
  s.hears(open);
  s.hears(s.assign(1, {{1, 2, 1}}));
  s.hears(wire::Gone{.worker = worker_id(1)});
  s.hears(wire::Close{});
  CHECK(s.core.ignored() == 4);
  CHECK(s.core.progress().records().empty());
  CHECK(s.core.total() == 5u);
}

TEST_CASE("a frame that comes twice is used once", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  auto assign = s.assign(1, {{1, 1, 1}});
  assign.stamp = {1, 1, s.seq};
  s.on(assign);
  CHECK(s.core.ignored() == 1);
  CHECK(s.core.progress().records().empty());
}

TEST_CASE("a frame behind a gap is used, and the next OPEN is answered with a snapshot", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  ++s.seq;
  s.given_assigned(1, {{1, 1, 1}});
  CHECK(s.core.progress().records().size() == 1);
  s.now += 1s;
  s.hears(s.open());
  s.turn();
  const auto snapshot = s.take<wire::Snapshot>();
  CHECK(snapshot.leases == std::vector<wire::Lease>{{{1, 1, 1}, worker_id(1)}});
  s.forget_beats();
}

TEST_CASE("a new ventilator gets a snapshot of what is finished, leased and ended, and the workers", "[sink]") {
  SinkUnderTest s(retries(5));
  s.given_ventilator();
  s.on(s.state(1, {{3, 1, 3}}));
  s.given_assigned(1, {{2, 1, 2}});
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  s.said_after();
  s.said_of(1, {2, 1, 2}, Outcome::Failed);
  s.epoch = 2;
  s.seq = 0;
  auto open = s.open();
  open.endpoint = "v2";
  s.hears(open);
  CHECK(s.take<OpenFeedback>().endpoint == "v2");
  s.turn();
  const auto bits = s.take<wire::Snapshot>();
  CHECK(bits.first_job == 1);
  CHECK(bits.finished[0] == 1);
  CHECK_FALSE(bits.last);
  const auto rest = s.take<wire::Snapshot>();
  CHECK(rest.last);
  CHECK(rest.leases == std::vector<wire::Lease>{{{3, 1, 3}, worker_id(1)}});
  CHECK(rest.ended == std::vector<wire::Requeued>{{{2, 1, 2}, Outcome::Failed, false}});
  const auto worker = s.take<wire::Worker>();
  CHECK(worker.leases == std::vector<Attempt>{{3, 1, 3}});
  CHECK(worker.stamp.epoch == 2);
  s.take<wire::Alive>();
}

TEST_CASE("a broken feedback is opened again at the next OPEN, with a snapshot", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.on(sink::FeedbackBroken{});
  CHECK(s.none());
  s.hears(s.open());
  s.take<OpenFeedback>();
  s.turn();
  s.take<wire::Snapshot>();
  s.take<wire::Alive>();
}

TEST_CASE("a sink that nobody has opened keeps rows and tells nobody", "[sink]") {
  SinkUnderTest s;
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  s.take<LogResult>();
  s.turn();
  s.take<Commit>();
  s.now += 1s;
  s.turn();
  CHECK(s.none());
  s.hears(s.open());
  s.forget<LogPolicy>();
  s.take<OpenFeedback>();
  s.turn();
  s.take<Commit>();
  const auto done = s.take<wire::Done>();  // the confirm waited for it
  CHECK(done.confirms.size() == 1);
  CHECK(s.take<wire::Snapshot>().finished[0] == 1);
  s.clear();
}

// ---- rules 1, 2, 5: results

TEST_CASE("a success is committed before it is said and confirmed", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  CHECK(s.take<LogResult>().ordinal == 1);
  CHECK(s.none());
  s.now += 60ms;
  s.turn();
  s.take<Commit>();
  const auto done = s.take<wire::Done>();
  CHECK(done.jobs == std::vector<base::JobId>{1});
  CHECK(done.limits == std::vector<wire::Limit>{{worker_id(1), 1, {1, 1}, 1}});
  CHECK(done.confirms == std::vector<wire::Confirms>{{worker_id(1), {{1, 1, 1}}}});
}

TEST_CASE("confirms wait for company, DONE and the limit do not", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  s.turn();
  s.take<LogResult>();
  s.take<Commit>();
  const auto done = s.take<wire::Done>();
  CHECK(done.jobs.size() == 1);
  CHECK(done.limits.size() == 1);
  CHECK(done.confirms.empty());
  CHECK(s.core.next_deadline() <= s.now + 50ms);
  for (base::JobId job = 2; job <= 64; ++job) s.on(s.results(1, {job, 1, job}, Outcome::Ok));
  s.turn();
  s.forget<LogResult>();
  s.take<Commit>();
  CHECK(s.take<wire::Done>().confirms.at(0).attempts.size() == 64);
}

TEST_CASE("confirms of what was read go before the WORKER that echoes a later STATE", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  s.on(s.state(1));
  s.turn();
  s.take<LogResult>();
  s.take<Commit>();
  CHECK(s.take<wire::Done>().confirms.size() == 1);
  s.take<wire::Worker>();
}

TEST_CASE("a batch closes at 1024 rows even while more arrive, and not before", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  for (base::JobId job = 1; job <= 1023; ++job) s.on(s.results(1, {job, 1, job}, Outcome::Ok));
  s.turn(false);
  CHECK(s.count<Commit>() == 0);
  s.on(s.results(1, {1024, 1, 1024}, Outcome::Ok));
  CHECK(s.count<Commit>() == 1);
  s.clear();
}

TEST_CASE("a success that overtakes its ASSIGN counts, and the ASSIGN is answered with DONE", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  CHECK(s.said_of(1, {1, 1, 1}, Outcome::Ok).finished.size() == 1);
  s.hears(s.assign(1, {{1, 1, 1}}));
  CHECK(s.said_after().done == std::vector<base::JobId>{1});
  CHECK(s.core.progress().records().empty());
}

TEST_CASE("a success of an old attempt finishes the job, and the newer attempt's is superseded and confirmed", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.given_assigned(2, {{1, 1, 2}});
  const auto first = s.said_of(1, {1, 1, 1}, Outcome::Ok);
  CHECK(first.finished.at(0).result.attempt == Attempt{1, 1, 1});
  const auto second = s.said_of(2, {1, 1, 2}, Outcome::Ok);
  CHECK(second.finished.empty());
  CHECK(second.attempts.at(0).result.outcome == Outcome::Superseded);
  CHECK(second.confirmed == std::vector<Attempt>{{1, 1, 2}});
  CHECK(s.core.superseded() == 1);
}

TEST_CASE("a result that comes again is confirmed again and never finishes the job again, in the same batch or later", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  s.on(s.results(1, {1, 1, 1}, Outcome::Ok));
  const auto both = s.said_after();
  CHECK(both.finished.size() == 1);
  CHECK(both.confirmed.size() == 2);
  const auto later = s.said_of(1, {1, 1, 1}, Outcome::Ok);
  CHECK(later.finished.empty());
  CHECK(later.confirmed.size() == 1);
}

TEST_CASE("a failure that comes again is confirmed again and counted once", "[sink]") {
  SinkUnderTest s(retries(3));
  s.given_ventilator();
  CHECK(s.said_of(1, {1, 1, 1}, Outcome::Failed).requeued.size() == 1);
  const auto again = s.said_of(1, {1, 1, 1}, Outcome::Failed);
  CHECK(again.attempts.empty());
  CHECK(again.requeued.empty());
  CHECK(again.confirmed.size() == 1);
  CHECK(s.core.progress().records().at(1).failures() == 1);
}

TEST_CASE("a result of job 0, of a job beyond the total, or one that says superseded is neither logged nor confirmed", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(2);
  s.on(s.results(1, {0, 1, 1}, Outcome::Ok));
  s.on(s.results(1, {3, 1, 1}, Outcome::Ok));
  s.on(s.results(1, {~0ull, 1, 1}, Outcome::Ok));
  s.on(s.results(1, {1, 1, 1}, Outcome::Superseded));
  CHECK(s.core.ignored() == 4);
  const auto said = s.said_after();
  CHECK(said.finished.empty());
  CHECK(said.confirmed.empty());
}

TEST_CASE("a limit that falls within a generation is not passed on", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  auto results = s.results(1, {1, 1, 1}, Outcome::Ok);
  results.limit = 7;
  s.on(results);
  results = s.results(1, {2, 1, 2}, Outcome::Ok);
  results.limit = 3;
  s.on(results);
  s.turn();
  s.forget<LogResult>();
  s.take<Commit>();
  CHECK(s.take<wire::Done>().limits.at(0).limit == 7);
}

// ---- policy: retries

TEST_CASE("with one retry the first failure ends the job", "[sink]") {
  SinkUnderTest s(retries(1));
  s.given_ventilator();
  const auto said = s.said_of(1, {1, 1, 1}, Outcome::Failed);
  CHECK(said.finished.at(0).result.outcome == Outcome::Failed);
  CHECK(said.done == std::vector<base::JobId>{1});
  CHECK(said.requeued.empty());
  CHECK(s.core.progress().failed() == 1);
}

TEST_CASE("with three retries two failures are requeued and the third, a timeout, ends the job", "[sink]") {
  SinkUnderTest s(retries(3));
  s.given_ventilator();
  for (std::uint64_t n = 1; n <= 2; ++n) {
    const auto said = s.said_of(1, {1, 1, n}, Outcome::Failed);
    CHECK(said.attempts.at(0).counted);
    CHECK(said.attempts.at(0).ordinal == n);
    CHECK(said.requeued == std::vector<wire::Requeued>{{{1, 1, n}, Outcome::Failed, false}});
  }
  const auto last = s.said_of(1, {1, 1, 3}, Outcome::Timeout);
  CHECK(last.finished.at(0).result.outcome == Outcome::Timeout);
  CHECK(last.finished.at(0).ordinal == 3);
}

TEST_CASE("with retries 0 a job may fail for ever", "[sink]") {
  SinkUnderTest s(retries(0));
  s.given_ventilator();
  for (std::uint64_t n = 1; n <= 40; ++n) CHECK(s.said_of(1, {1, 1, n}, Outcome::Failed).requeued.size() == 1);
  CHECK(s.said_of(1, {1, 1, 41}, Outcome::Ok).finished.at(0).ordinal == 41);
}

TEST_CASE("two failures then a success leave two attempts and a result", "[sink]") {
  SinkUnderTest s(retries(3));
  s.given_ventilator();
  s.said_of(1, {1, 1, 1}, Outcome::Failed);
  s.said_of(1, {1, 1, 2}, Outcome::Failed);
  const auto said = s.said_of(1, {1, 1, 3}, Outcome::Ok);
  CHECK(said.finished.at(0).ordinal == 3);
  CHECK(s.core.progress().failed() == 0);
}

TEST_CASE("a failure of an attempt that is not the newest is logged and confirmed, not counted and not requeued", "[sink]") {
  SinkUnderTest s(retries(1));
  s.given_ventilator();
  s.given_assigned(1, {{1, 1, 1}});
  s.given_assigned(2, {{1, 1, 2}});
  const auto said = s.said_of(1, {1, 1, 1}, Outcome::Failed);
  CHECK(said.finished.empty());
  CHECK_FALSE(said.attempts.at(0).counted);
  CHECK(said.requeued.empty());
  CHECK(said.confirmed.size() == 1);
}

TEST_CASE("returned and cancelled are requeued and count as nothing", "[sink]") {
  SinkUnderTest s(retries(1));
  s.given_ventilator();
  std::uint64_t n = 0;
  for (const Outcome outcome : {Outcome::Returned, Outcome::Cancelled, Outcome::Returned, Outcome::Cancelled}) {
    const auto said = s.said_of(1, {1, 1, ++n}, outcome);
    CHECK_FALSE(said.attempts.at(0).counted);
    CHECK(said.requeued == std::vector<wire::Requeued>{{{1, 1, n}, outcome, false}});
  }
}

TEST_CASE("counts are those of results.db after a restart", "[sink]") {
  SinkUnderTest s(retries(3), {.sink_epoch = 2, .policy = retries(3)});
  s.sink_epoch = 2;
  s.core.recover_finished(1, true);
  s.core.recover_ended({{2, 1, 2}, Outcome::Failed, true, false});
  s.core.recover_ended({{2, 1, 3}, Outcome::Failed, true, false});
  s.core.recover_ended({{2, 1, 4}, Outcome::Returned, false, false});
  s.given_ventilator();
  CHECK(s.core.progress().failed() == 1);
  CHECK(s.said_of(1, {2, 1, 3}, Outcome::Failed).finished.empty());  // said before
  CHECK(s.said_of(1, {2, 1, 5}, Outcome::Failed).finished.at(0).ordinal == 4);
  CHECK(s.said_of(1, {1, 1, 1}, Outcome::Ok).finished.empty());
}

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
  CHECK(s.said_after().requeued == std::vector<wire::Requeued>{{{1, 1, 1}, Outcome::Failed, false}});
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
  CHECK(s.take<LogEmitted>().jobs == 1);
  s.take<Commit>();
  CHECK(s.none());
  s.hears(s.open(1));
  s.turn();
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
  s.hears(s.open(1));
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
