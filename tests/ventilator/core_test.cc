#include "ventilator/core.h"

#include "tests/support/ventilator_under_test.h"
#include "wire/limits.h"

namespace {

using base::Attempt;
using base::Generation;
using support::VentilatorUnderTest;
using support::worker_id;
using ventilator::LookForEnd;
using ventilator::RaiseHorizon;
using ventilator::RenewUplink;
using ventilator::SendCtrl;
using ventilator::SendJobs;
using namespace std::chrono_literals;

// ---- rule 6: one recovery path with the sink

TEST_CASE("a ventilator that starts asks for a snapshot and names its endpoint, policy and epoch", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 4});
  v.turn();
  const auto open = v.take<wire::Open>();
  CHECK(open.want_snapshot);
  CHECK(open.endpoint == "v");
  CHECK(open.policy == v.policy);
  CHECK(open.stamp == wire::Stamp{4, 0, 1});
  CHECK_FALSE(open.total);
}

TEST_CASE("OPEN is repeated each heartbeat and asks for nothing more once the snapshot is here", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.pass(3s);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(v.take<wire::Open>().want_snapshot);
}

TEST_CASE("a gap in the sink's frames makes the next OPEN ask for a snapshot, and the frame behind the gap is used", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(2);
  v.given_sink();
  v.seq += 3;
  v.hears(v.done({2}));
  CHECK(v.core.jobs().is_finished(2));
  v.pass(1s);
  CHECK(v.take<wire::Open>().want_snapshot);
}

TEST_CASE("a snapshot with a gap between its parts is used, but does not end the asking", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(20);
  v.turn();
  v.forget_beats();
  v.hears(wire::Snapshot{.first_job = 1, .finished = "\x03"});
  ++v.seq;  // the second part is lost
  v.hears(wire::Snapshot{.first_job = 9, .finished = "\x01", .last = true});
  CHECK(v.core.jobs().finished() == 3);
  v.pass(1s);
  CHECK(v.take<wire::Open>().want_snapshot);
  v.hears(wire::Snapshot{.last = true});
  v.pass(1s);
  CHECK_FALSE(v.take<wire::Open>().want_snapshot);
}

TEST_CASE("a frame of an older sink epoch changes nothing and is counted", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.sink_epoch = 3;
  v.given_sink();
  v.sink_epoch = 2;
  v.hears(v.done({1}));
  CHECK_FALSE(v.core.jobs().is_finished(1));
  CHECK(v.core.ignored() == 1);
}

TEST_CASE("a frame meant for an earlier ventilator changes nothing and is counted", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 5, .accepted = 1});
  v.given_sink();
  wire::Done done = v.done({1});
  done.stamp = {4, v.sink_epoch, v.seq + 1};
  v.on(done);
  done.stamp = {6, v.sink_epoch, v.seq + 1};  // nor one of the future
  v.on(done);
  CHECK_FALSE(v.core.jobs().is_finished(1));
  CHECK(v.core.ignored() == 2);
}

TEST_CASE("a frame that comes twice is used once", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(2);
  v.given_sink();
  wire::Done done = v.done({1});
  done.stamp = {1, 1, v.seq};  // the number of the snapshot
  v.on(done);
  CHECK_FALSE(v.core.jobs().is_finished(1));
  CHECK(v.core.ignored() == 1);
}

TEST_CASE("a new sink epoch makes the ventilator ask at once, and tell all that is out again after the snapshot", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(3);
  v.given_sink();
  const Generation lane = v.given_worker(1, 3, 3);
  const auto sent = v.gives(1, {1, 2, 3});
  v.sink_epoch = 2;
  v.seq = 40;
  v.hears(wire::Alive{});
  v.turn();
  CHECK(v.take<wire::Open>().want_snapshot);
  v.take<SendCtrl>();
  v.hears(wire::Snapshot{.first_job = 1, .finished = "\x02", .last = true});
  const auto assign = v.take<wire::Assign>();
  CHECK(assign.worker == worker_id(1));
  CHECK(assign.session == 1);
  CHECK(assign.generation == lane);
  REQUIRE(assign.items.size() == 2);
  CHECK(assign.items[0].attempt == sent.attempts[0]);
  CHECK(assign.items[1].attempt == sent.attempts[2]);
}

TEST_CASE("three heartbeats of silence make the ventilator ask for a snapshot, and a lease of it look for the sink's mark", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.pass(3s, false);
  while (v.is<wire::Open>()) CHECK_FALSE(v.take<wire::Open>().want_snapshot);
  v.pass(1s, false);
  CHECK(v.take<wire::Open>().want_snapshot);
  v.pass(7s, false);
  v.forget_beats();
  v.take<LookForEnd>();
  v.pass(9s, false);
  v.forget_beats();
  CHECK(v.none());
  v.pass(2s, false);
  v.forget_beats();
  v.take<LookForEnd>();
}

TEST_CASE("a sink that does not answer gets a new uplink after connect timeout and a heartbeat, then less and less often, at least once a lease", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  const auto renewed_after = [&] {
    base::Duration waited{};
    v.clear();
    for (; v.none() && waited < 20s; waited += 250ms) {
      v.hears(wire::Done{});  // which is no answer
      v.pass(250ms, false);
      while (!v.none() && !v.is<RenewUplink>()) v.effects.erase(v.effects.begin());
    }
    v.take<RenewUplink>();
    v.take<wire::Open>();  // the first frame that goes through it
    return waited;
  };
  CHECK(renewed_after() == 4250ms);
  const auto second = renewed_after(), third = renewed_after(), fourth = renewed_after();
  CHECK((second > 7s && second <= 8250ms));
  CHECK((third > 8s && third <= 10250ms));
  CHECK((fourth > 8s && fourth <= 10250ms));
  v.hears(wire::Alive{});
  CHECK(renewed_after() == 4250ms);
}

TEST_CASE("a sink that answers keeps its uplink", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.pass(60s);
  CHECK(v.count<RenewUplink>() == 0);
  v.forget_beats();
}

TEST_CASE("a pause of the ventilator itself is not the sink's silence", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.now += 1h;
  v.turn();
  CHECK_FALSE(v.take<wire::Open>().want_snapshot);
}

// ---- rule 4 and late binding: dispatch

TEST_CASE("ASSIGN goes to the sink before JOB goes down the lane, behind the horizon they need", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(2);
  v.given_sink();
  const Generation lane = v.given_worker(1, 2, 2);
  v.turn();
  CHECK(v.take<RaiseHorizon>().through >= 2);
  const auto assign = v.take<wire::Assign>();
  const auto jobs = v.take<SendJobs>();
  CHECK(assign.items.size() == 2);
  CHECK(jobs.attempts == std::vector<Attempt>{{1, 1, 1}, {2, 1, 2}});
  CHECK(jobs.generation == lane);
  CHECK(jobs.first_seq == 1);
  CHECK(jobs.limit == 2);
}

TEST_CASE("no worker gets more than it asked for, and numbers in the generation go on from the last", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(9);
  v.given_sink();
  const Generation lane = v.given_worker(1, 2, 2);
  v.gives(1, {1, 2});
  v.gives_nothing();
  v.hears(v.echo(1, 2, lane, 4));
  const auto sent = v.gives(1, {3, 4});
  CHECK(sent.first_seq == 3);
  CHECK(sent.limit == 4);
}

TEST_CASE("a limit that falls is not obeyed", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  const Generation lane = v.given_worker(1, 4, 4);
  v.hears(v.echo(1, 4, lane, 1));
  v.given_jobs(5);
  v.gives(1, {1, 2, 3, 4});
}

TEST_CASE("a limit for another session, generation or worker gives no window", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(5);
  v.given_sink();
  const Generation lane = v.given_worker(1, 4, 0);
  wire::Done done;
  done.limits = {{worker_id(1), 2, lane, 4}, {worker_id(1), 1, {1, 9}, 4}, {worker_id(1), 1, {}, 4}, {worker_id(7), 1, lane, 4}};
  v.hears(done);
  v.gives_nothing();
  done.limits = {{worker_id(1), 1, lane, 2}};
  v.hears(done);
  v.gives(1, {1, 2});
}

TEST_CASE("the next job goes to the worker with most free slots, then with most free window", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1, 2, 8);
  v.given_worker(2, 4, 5);
  v.given_worker(3, 4, 6);
  v.given_jobs(1);
  v.gives(3, {1});
  v.given_jobs(2);
  v.gives(2, {2});
}

TEST_CASE("a raised limit is echoed at once, job or no job", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  const Generation lane = v.given_worker(1, 1, 0);
  v.hears(v.echo(1, 1, lane, 3));
  v.turn();
  CHECK(v.take<SendCtrl>().message.limit == 3);
  v.turn();
  CHECK(v.none());
}

TEST_CASE("one ASSIGN holds at most a batch", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(wire::kBatchItems + 1);
  v.given_sink();
  v.given_worker(1, 1, wire::kMaxWindow);
  v.turn();
  v.forget_beats();
  v.take<RaiseHorizon>();
  CHECK(v.take<wire::Assign>().items.size() == wire::kBatchItems);
  CHECK(v.take<wire::Assign>().items.size() == 1);
  CHECK(v.take<SendJobs>().attempts.size() == wire::kBatchItems + 1);
}

TEST_CASE("the horizon is raised in blocks, not for each job", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(100);
  v.given_sink();
  const Generation lane = v.given_worker(1, 1, 50);
  v.turn();
  v.forget_beats();
  CHECK(v.take<RaiseHorizon>().through >= 1000);
  v.clear();
  v.hears(v.echo(1, 1, lane, 100));
  v.turn();
  CHECK(v.count<RaiseHorizon>() == 0);
  v.clear();
}

TEST_CASE("a ventilator told to stop hands out nothing more and goes on listening", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(3);
  v.given_sink();
  v.given_worker(1, 1, 1);
  v.gives(1, {1});
  v.on(ventilator::Stop{});
  v.hears(v.requeue({1, 1, 1}));
  v.gives_nothing();
  v.hears(v.done({1}));
  CHECK(v.core.jobs().is_finished(1));
}

// ---- DONE, REQUEUE, confirms

TEST_CASE("a job that is done goes out no more and frees its place", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(2);
  v.given_sink();
  v.given_worker(1, 1, 2);
  v.gives(1, {1, 2});
  v.hears(v.done({1}));
  CHECK(v.core.jobs().is_finished(1));
  CHECK(v.core.jobs().find_assigned(1) == nullptr);
  CHECK(v.core.workers().begin()->second.entry.in_flight == 1);
  v.gives_nothing();
}

TEST_CASE("DONE of job 0, of a job beyond those accepted, or of a finished one is counted and ignored", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  v.hears(v.done({0, 2, ~0ull, 1, 1}));
  CHECK(v.core.jobs().finished() == 1);
  CHECK(v.core.ignored() == 4);
}

TEST_CASE("a job done before it was ever given out is not given out", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(3);
  v.given_sink();
  v.hears(v.done({2}));
  v.given_worker(1, 3, 3);
  v.gives(1, {1, 3});
}

TEST_CASE("a requeued attempt goes out again, before jobs never tried, as a higher attempt", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(3);
  v.given_sink();
  v.given_worker(1, 1, 3);
  v.on(ventilator::Turn{});
  v.clear();
  v.hears(v.requeue({2, 1, 2}));
  CHECK(v.core.jobs().find_assigned(2) == nullptr);
  v.given_jobs(4);
  v.given_worker(2, 1, 1);
  const auto sent = v.gives(2, {2});
  CHECK(sent.attempts[0] == Attempt{2, 1, 4});
}

TEST_CASE("a REQUEUE of a superseded attempt has no effect", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  v.given_worker(1, 1, 3);
  v.gives(1, {1});
  v.hears(v.requeue({1, 1, 1}));
  v.gives(1, {1});
  v.hears(v.requeue({1, 1, 1}));
  CHECK(v.core.jobs().find_assigned(1)->attempt == Attempt{1, 1, 2});
  v.gives_nothing();
}

TEST_CASE("a REQUEUE of a finished job, of job 0 or of one beyond those accepted is counted and ignored", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  v.hears(v.done({1}));
  v.hears(v.requeue({1, 1, 1}, true));
  v.hears(v.requeue({0, 1, 1}, true));
  v.hears(v.requeue({2, 1, 1}, true));
  CHECK(v.core.ignored() == 3);
  v.given_worker(1, 2, 2);
  v.gives_nothing();
}

TEST_CASE("a REQUEUE of an attempt never issued leaves a fresh job fresh", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(2);
  v.given_sink();
  v.hears(v.requeue({2, 9, 9}));
  v.given_worker(1, 2, 2);
  v.gives(1, {1, 2});
}

TEST_CASE("confirms are passed on to their worker in the next CTRL, and those for a stranger are dropped", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  v.given_worker(1, 1, 0);
  wire::Done done;
  done.confirms = {{worker_id(1), {{1, 1, 1}}}, {worker_id(9), {{1, 1, 2}}}};
  v.hears(done);
  v.turn();
  const auto ctrl = v.take<SendCtrl>().message;
  CHECK(ctrl.worker == worker_id(1));
  CHECK(ctrl.confirms == std::vector<Attempt>{{1, 1, 1}});
  v.turn();
  CHECK(v.none());
}

TEST_CASE("more confirms than a frame holds go ahead in frames of their own, which echo no STATE", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1, 1, 0);
  wire::Done done;
  done.confirms.push_back({worker_id(1), {}});
  for (std::uint64_t n = 1; n <= wire::kMaxUnconfirmed; ++n) done.confirms[0].attempts.push_back({1, 1, n});
  for (int i = 0; i < 3; ++i) v.hears(done);  // the last finds the ventilator's list full
  v.turn();
  std::size_t confirms = 0;
  while (v.is<SendCtrl>()) {
    const bool is_last = v.effects.size() == 1;
    const auto ctrl = v.take<SendCtrl>().message;
    CHECK(ctrl.confirms.size() <= wire::kMaxItems);
    CHECK((ctrl.state_seq != 0) == is_last);
    confirms += ctrl.confirms.size();
  }
  CHECK(confirms >= 2 * wire::kMaxUnconfirmed);
}

TEST_CASE("CTRL goes down each lane every heartbeat and echoes the newest STATE the sink has read", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  const Generation lane = v.given_worker(1, 1, 1);
  auto state = v.echo(1, 1, lane, 1);
  state.state_seq = 17;
  v.hears(state);
  state.state_seq = 16;
  v.hears(state);
  v.pass(1s);
  v.take<SendCtrl>();  // the echo of the limit
  v.take<wire::Open>();
  const auto ctrl = v.take<SendCtrl>().message;
  CHECK(ctrl.state_seq == 17);
  CHECK(ctrl.session == 1);
  CHECK(ctrl.generation == lane);
  CHECK(ctrl.heartbeat == v.policy.heartbeat);
  CHECK(ctrl.lease == v.policy.lease);
}

}  // namespace
