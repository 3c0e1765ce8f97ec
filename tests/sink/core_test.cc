#include "sink/core.h"

#include "tests/support/sink_under_test.h"
#include "wire/limits.h"

namespace {

using base::Attempt;
using base::Outcome;
using sink::Commit;
using sink::LogPolicy;
using sink::LogResult;
using sink::OpenFeedback;
using support::retries;
using support::SinkUnderTest;
using support::worker_id;
using namespace std::chrono_literals;

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
  CHECK(rest.ended == std::vector<wire::Requeued>{{{2, 1, 2}, Outcome::Failed, false, 1}});
  const auto worker = s.take<wire::Worker>();
  CHECK(worker.leases == std::vector<Attempt>{{3, 1, 3}});
  CHECK(worker.stamp.epoch == 2);
}

TEST_CASE("ALIVE goes out each heartbeat while OPENs come, and three heartbeats longer", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.pass(3s);
  CHECK(s.count<wire::Alive>() == 3);
  s.clear();
  s.pass(10s);
  CHECK(s.none());
  s.hears(s.open());
  s.turn();
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
}

TEST_CASE("a ventilator that goes on asking does not hear: its feedback is opened again after connect timeout and a heartbeat, and not before", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  auto asking = s.open();
  asking.want_snapshot = true;
  const auto asks_for = [&](base::Duration time) {
    for (const auto end = s.now + time; s.now < end; s.now += 1s) {
      s.hears(asking);
      s.turn();
      s.forget_beats();
      s.forget<wire::Snapshot>();
    }
  };
  asks_for(5s);
  CHECK(s.none());
  asks_for(1s);
  s.take<OpenFeedback>();
  asks_for(4s);
  s.hears(s.open());  // heard
  asks_for(5s);
  s.forget_beats();
  CHECK(s.none());
  asks_for(1s);
  s.take<OpenFeedback>();
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

TEST_CASE("a result that overtakes its ASSIGN takes the lease of an older attempt", "[sink]") {
  SinkUnderTest s(retries(3));
  s.given_ventilator();
  s.on(s.state(1, {{1, 1, 1}}));
  s.turn();
  CHECK(s.take<wire::Worker>().leases.size() == 1);
  s.on(s.results(2, {1, 1, 2}, Outcome::Failed));  // broke check_invariants() when the older one kept it
  s.said_after();
  s.on(s.state(1, {{1, 1, 1}}));
  s.turn();
  CHECK(s.take<wire::Worker>().leases.empty());
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

TEST_CASE("running out of memory counts as a failure", "[sink]") {
  SinkUnderTest s(retries(2));
  s.given_ventilator();
  CHECK(s.said_of(1, {1, 1, 1}, Outcome::Oom).requeued.size() == 1);
  const auto last = s.said_of(1, {1, 1, 2}, Outcome::Oom);
  CHECK(last.finished.at(0).result.outcome == Outcome::Oom);
  CHECK(s.core.progress().failed() == 1);
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
    CHECK(said.requeued == std::vector<wire::Requeued>{{{1, 1, n}, Outcome::Failed, false, static_cast<std::uint32_t>(n)}});
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

}  // namespace
