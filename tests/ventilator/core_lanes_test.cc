#include "ventilator/core.h"

#include "tests/support/ventilator_under_test.h"
#include "wire/limits.h"

namespace {

using base::Attempt;
using base::Generation;
using base::Outcome;
using support::VentilatorUnderTest;
using support::worker_id;
using ventilator::CloseLane;
using ventilator::CommitEnded;
using ventilator::Exit;
using ventilator::LookForEnd;
using ventilator::OpenLane;
using ventilator::SendCtrl;
using ventilator::SendJobs;
using namespace std::chrono_literals;

// ---- rule 3: lanes

TEST_CASE("a lane gets no job before a STATE echoes its generation", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  v.hears(v.worker(1));
  const auto lane = v.take<OpenLane>();
  CHECK(lane.endpoint == "w1");
  CHECK(lane.generation == Generation{1, 1});
  CHECK(v.take<SendCtrl>().message.generation == lane.generation);
  v.hears(v.echo(1, 1, {7, 7}, 5));
  v.gives_nothing();
  v.hears(v.echo(1, 1, lane.generation, 1));
  v.gives(1, {1});
}

TEST_CASE("a lane that breaks is said to the sink and replaced at once by a new generation that starts at 0", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(3);
  v.given_sink();
  const Generation first = v.given_worker(1, 2, 2);
  v.gives(1, {1, 2});
  v.on(ventilator::LaneBroken{worker_id(1), first});
  CHECK(v.take<CloseLane>().generation == first);
  CHECK(v.take<wire::Gone>().generation == first);
  v.turn();
  const Generation second = v.take<OpenLane>().generation;
  CHECK(second > first);
  CHECK(v.take<SendCtrl>().message.limit == 0);
  v.gives_nothing();
  v.hears(v.echo(1, 2, second, 1));
  CHECK(v.gives(1, {3}).first_seq == 1);
}

TEST_CASE("news that a lane broke which is no longer in use, or of a stranger's lane, changes nothing", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1);
  v.on(ventilator::LaneBroken{worker_id(1), {1, 9}});
  v.on(ventilator::LaneBroken{worker_id(2), {1, 1}});
  v.on(ventilator::LaneBroken{worker_id(1), {}});
  CHECK(v.none());
}

TEST_CASE("a lane that never opens is given up after connect timeout and a heartbeat, and each wait for the next is longer", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  auto worker = v.worker(1);
  v.hears(worker);
  v.take<OpenLane>();
  v.take<SendCtrl>();
  std::vector<base::Duration> waits;
  base::TimePoint since = v.now;
  for (int i = 0; i < 160; ++i) {
    v.pass(250ms);
    v.hears(worker);  // it lives, but this lane does not reach it
    v.forget_beats();
    v.forget<wire::Gone>();
    v.forget<CloseLane>();
    if (!v.is<OpenLane>()) continue;
    v.take<OpenLane>();
    waits.push_back(v.now - since);
    since = v.now;
  }
  REQUIRE(waits.size() >= 2);
  CHECK(waits[0] >= 4s);
  CHECK(waits[0] <= 9s);
  CHECK(waits[1] > waits[0]);
  for (const auto wait : waits) CHECK(wait <= 2 * v.policy.lease + 2s);
}

TEST_CASE("a worker in a new session gets a new lane, and one of an older session is ignored", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  const Generation first = v.given_worker(1, 1, 1, 5);
  v.hears(v.worker(1, 1, 4));
  CHECK(v.core.ignored() == 1);
  CHECK(v.none());
  v.hears(v.worker(1, 1, 6));
  CHECK(v.take<CloseLane>().generation == first);
  const auto lane = v.take<OpenLane>();
  CHECK(lane.session == 6);
  CHECK(lane.generation > first);
  CHECK(v.take<SendCtrl>().message.session == 6);
}

TEST_CASE("a worker that says BYE loses its lane, gets nothing more and is forgotten", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  const Generation lane = v.given_worker(1, 1, 1);
  auto bye = v.echo(1, 1, lane, 1);
  bye.bye = true;
  v.hears(bye);
  v.take<CloseLane>();
  v.hears(v.worker(1));  // a STATE that came late
  CHECK(v.none());
  v.gives_nothing();
  v.pass(1s);
  v.forget_beats();
  CHECK(v.core.workers().size() == 0);
  bye.worker = worker_id(4);  // nor does the BYE of a stranger do anything
  v.hears(bye);
}

TEST_CASE("a worker that is heard no more for two leases loses its lane and is forgotten", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1, 1, 1);
  v.pass(19s);
  v.forget_beats();
  CHECK(v.none());
  v.pass(2s);
  v.forget_beats();
  v.take<CloseLane>();
  CHECK(v.core.workers().size() == 0);
}

TEST_CASE("a worker that is silent for six heartbeats while the sink is heard gets no job until it is heard again", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  const Generation lane = v.given_worker(1, 2, 4);
  v.gives(1, {1});
  v.pass(7s);
  v.forget_beats();
  v.hears(v.requeue({1, 1, 1}));  // it was lost on the only worker
  v.gives_nothing();
  v.hears(v.echo(1, 2, lane, 4));
  v.gives(1, {1});
}

// With the six heartbeats alone its job went to it a second time, was lost a second time, and had to run alone.
TEST_CASE("a lease shorter than six heartbeats ends after its worker is known to be silent", "[ventilator]") {
  ventilator::CoreConfig config;
  config.policy.lease = 3 * config.policy.heartbeat;
  VentilatorUnderTest v({}, config);
  v.given_jobs(1);
  v.given_sink();
  v.given_worker(1, 2, 4);
  v.gives(1, {1});
  v.pass(config.policy.lease);
  v.forget_beats();
  v.hears(v.requeue({1, 1, 1}));
  v.gives_nothing();
}

TEST_CASE("while the sink is silent nothing is concluded from the silence of workers", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1, 2, 4);
  v.pass(9s, false);
  v.forget_beats();
  v.given_jobs(1);
  v.gives(1, {1});
}

// ---- rule 7: restart of the head

TEST_CASE("after a restart jobs above the horizon go out at once, unfinished ones below it wait for one grace", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 2, .accepted = 3});
  v.given_sink();
  v.given_worker(1, 3, 3);
  v.gives(1, {3});
  v.pass(19s);
  v.hears(v.worker(1));
  v.forget_beats();
  CHECK(v.none());
  v.pass(1s);
  v.forget_beats();
  v.forget<wire::Assign>();
  CHECK(v.take<SendJobs>().attempts == std::vector<Attempt>{{1, 2, 2}, {2, 2, 3}});
}

TEST_CASE("the horizon in front of all accepted jobs is cut to them", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 4096, .accepted = 1});
  v.given_sink();
  v.given_jobs(2);
  v.given_worker(1, 2, 2);
  v.gives(1, {2});
}

TEST_CASE("the grace starts with the snapshot, not before", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1});
  v.pass(1min);
  v.hears(wire::Snapshot{.last = true});
  v.pass(10s);
  v.forget_beats();
  v.given_worker(1, 1, 1);
  v.pass(9s);
  v.forget_beats();
  CHECK(v.none());
}

TEST_CASE("a new sink epoch starts the grace again at its snapshot", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1});
  v.given_sink();
  const Generation lane = v.given_worker(1, 1, 1);
  v.pass(15s);
  v.sink_epoch = 2;
  v.hears(wire::Snapshot{.last = true});
  for (int i = 0; i < 15; ++i) {
    v.pass(1s);
    v.hears(v.echo(1, 1, lane, 1));
  }
  v.forget_beats();
  CHECK(v.none());
  v.pass(6s);
  v.forget_beats();
  v.forget<wire::Assign>();
  CHECK(v.take<SendJobs>().attempts.size() == 1);
}

TEST_CASE("three heartbeats without the sink start the grace again at the next snapshot", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1});
  v.given_sink();
  const Generation lane = v.given_worker(1, 1, 1);
  v.pass(15s);
  v.hears(v.echo(1, 1, lane, 1));
  v.pass(10s, false);
  v.hears(v.echo(1, 1, lane, 1));
  v.hears(wire::Snapshot{.last = true});
  for (int i = 0; i < 15; ++i) {
    v.pass(1s);
    v.hears(v.echo(1, 1, lane, 1));
  }
  v.forget_beats();
  v.forget<LookForEnd>();
  CHECK(v.none());
}

TEST_CASE("a run whose workers died with the ventilator has no grace", "[ventilator]") {
  ventilator::CoreConfig config;
  config.has_grace = false;
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1}, config);
  v.turn();
  v.forget_beats();
  v.hears(wire::Snapshot{.last = true});
  v.given_worker(1, 1, 1);
  v.gives(1, {1});
}

TEST_CASE("a job below the horizon is adopted by a lease that the sink reports, in a snapshot or with a worker, also after its grace", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 3, .accepted = 3});
  v.turn();
  v.forget_beats();
  v.hears(wire::Snapshot{.leases = {{{1, 1, 4}, worker_id(1)}}, .last = true});
  CHECK(v.take<wire::Assign>().items[0].attempt == Attempt{1, 1, 4});
  CHECK(v.core.jobs().find_assigned(1)->worker == worker_id(1));
  auto worker = v.worker(1, 3);
  worker.leases = {{2, 1, 5}};
  v.hears(worker);
  v.take<OpenLane>();
  v.take<SendCtrl>();
  CHECK(v.core.jobs().find_assigned(2)->attempt == Attempt{2, 1, 5});
  CHECK(v.core.workers().begin()->second.entry.in_flight == 2);
  v.pass(25s);
  v.clear();
  worker.leases = {{3, 1, 6}};
  v.hears(worker);
  v.clear();
  CHECK(v.core.jobs().find_assigned(3)->attempt == Attempt{3, 1, 6});
}

TEST_CASE("a job sent again in this epoch is not adopted by an older lease, nor is a finished, fresh, requeued or unknown one", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 2, .accepted = 3});
  v.given_sink();
  v.hears(v.requeue({1, 1, 1}));
  v.hears(v.done({2}));
  const Generation lane = v.given_worker(1, 1, 1);
  v.gives(1, {1});
  auto worker = v.echo(1, 1, lane, 1);
  worker.leases = {{1, 1, 1}, {2, 1, 2}, {3, 1, 3}, {0, 1, 1}, {9, 1, 1}};
  v.hears(worker);
  CHECK(v.core.jobs().find_assigned(1)->attempt == Attempt{1, 2, 1});
  CHECK(v.core.jobs().assigned().size() == 1);
}

TEST_CASE("a requeue of a job that waits for its grace ends the wait", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 2, .accepted = 2});
  v.given_sink();
  v.given_worker(1, 2, 2);
  v.gives_nothing();
  v.hears(v.requeue({2, 1, 7}));
  CHECK(v.gives(1, {2}).attempts[0] == Attempt{2, 2, 1});
}

// ---- section 6: jobs that must run alone

TEST_CASE("a job that must run alone gets a worker emptied for it, which gets no other until it has ended", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(1);
  v.given_sink();
  v.given_worker(1, 2, 4);
  v.gives(1, {1});
  v.given_jobs(3);
  v.hears(v.requeue({1, 1, 1}, true));
  v.turn();
  v.forget_beats();
  const auto assign = v.take<wire::Assign>();
  REQUIRE(assign.items.size() == 1);
  CHECK(assign.items[0].attempt == Attempt{1, 1, 2});
  CHECK(assign.items[0].alone);
  CHECK(v.take<SendJobs>().attempts == std::vector<Attempt>{{1, 1, 2}});
  v.gives_nothing();  // jobs 2 and 3 wait, though it has a window
  v.hears(v.done({1}));
  v.gives(1, {2, 3});
}

TEST_CASE("the least busy worker is reserved and first finishes what it has", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1, 4, 4);
  v.given_jobs(3);
  v.gives(1, {1, 2, 3});
  v.given_worker(2, 1, 9);
  v.given_jobs(4);
  v.gives(2, {4});
  v.hears(v.requeue({1, 1, 1}, true));
  v.given_jobs(5);
  v.gives(1, {5});  // not to the reserved one
  v.hears(v.done({4}));
  v.gives(2, {1});
}

TEST_CASE("at most half of the workers, but at least one, are reserved at a time", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(4);
  v.given_sink();
  for (unsigned n = 1; n <= 4; ++n) v.given_worker(n, 2, 3);
  v.turn();
  v.clear();
  for (base::JobId job = 1; job <= 4; ++job) v.hears(v.requeue(v.core.jobs().find_assigned(job)->attempt, true));
  v.turn();
  v.turn();
  v.clear();
  std::size_t reserved = 0;
  for (const auto& [id, slot] : v.core.workers()) reserved += slot.entry.is_reserved;
  CHECK(reserved == 2);
  CHECK(v.core.jobs().assigned().size() == 2);
}

TEST_CASE("a snapshot says which jobs must run alone", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1});
  v.turn();
  v.forget_beats();
  v.hears(wire::Snapshot{.ended = {{{1, 1, 2}, Outcome::Lost, true}, {{9, 1, 2}, Outcome::Lost, true}, {{0, 1, 2}, Outcome::Lost, true}}, .last = true});
  v.given_worker(1, 2, 2);
  for (int i = 0; i < 21; ++i) {
    v.pass(1s);
    v.hears(v.worker(1, 2));
  }
  v.forget_beats();
  const auto assign = v.take<wire::Assign>();
  CHECK(assign.items[0].alone);
  v.take<SendJobs>();
}

// ---- rule 12: the end

TEST_CASE("the end of input is said to the sink at once", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(7);
  v.given_sink();
  v.on(ventilator::InputEnded{true});
  v.turn();
  const auto open = v.take<wire::Open>();
  CHECK(open.total == 7u);
  CHECK(open.cut);
}

TEST_CASE("a ventilator that died between its commit of the end and the word to the workers gives it when it starts again", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1, .input_ended = true, .ended = true});
  v.turn();
  v.forget_beats();
  v.hears(wire::Snapshot{.finished = "\x01", .last = true});
  v.pass(1s);
  v.forget_beats();
  CHECK(v.none());  // nobody has been heard of yet: it stays
  v.hears(v.worker(1));
  v.take<OpenLane>();
  CHECK(v.take<SendCtrl>().message.complete);
  v.pass(2500ms);
  v.forget_beats();
  v.forget<SendCtrl>();
  CHECK(v.none());
  auto bye = v.worker(1);
  bye.bye = true;
  v.hears(bye);
  v.take<CloseLane>();
  v.turn();
  v.take<wire::Close>();
  v.take<Exit>();
}

TEST_CASE("with nobody left to be told it stays three heartbeats", "[ventilator]") {
  VentilatorUnderTest v({.epoch = 2, .horizon = 1, .accepted = 1, .input_ended = true, .ended = true});
  v.turn();
  v.pass(2750ms);
  v.forget_beats();
  CHECK(v.none());
  v.pass(250ms);
  v.forget_beats();
  v.take<wire::Close>();
  v.take<Exit>();
}

TEST_CASE("END is committed before a worker hears of it, and CLOSE follows when all have left", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1);
  v.on(ventilator::InputEnded{false});
  v.hears(wire::End{.total = 0, .failed = 0});
  v.take<CommitEnded>();
  v.turn();
  v.take<wire::Open>();
  CHECK(v.take<SendCtrl>().message.complete);
  auto bye = v.worker(1);
  bye.bye = true;
  v.hears(bye);
  v.take<CloseLane>();
  v.turn();
  v.take<wire::Close>();
  v.take<Exit>();
  v.hears(wire::End{});  // nothing reaches one that has left
  v.turn();
}

TEST_CASE("a worker that does not leave is waited for until it has been silent for three heartbeats", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_jobs(3);
  v.given_worker(1, 1, 0);
  v.on(ventilator::InputEnded{true});
  v.hears(wire::End{.total = 3, .failed = 2, .cut = true});
  const auto ended = v.take<CommitEnded>();
  CHECK(ended.total == 3);
  CHECK(ended.failed == 2);
  CHECK(ended.cut);
  v.pass(2750ms);
  v.forget<wire::Open>();
  v.forget<SendCtrl>();
  CHECK(v.none());
  v.pass(250ms);
  v.forget<wire::Open>();
  v.forget<SendCtrl>();
  v.take<wire::Close>();
  v.take<Exit>();
}

TEST_CASE("a worker that is heard and does not leave is waited for one lease, one that was silent before the end two heartbeats", "[ventilator]") {
  const bool is_heard = GENERATE(true, false);
  VentilatorUnderTest v;
  v.given_sink();
  const Generation lane = v.given_worker(1, 1, 1);
  v.on(ventilator::InputEnded{false});
  if (!is_heard) v.pass(4s);
  v.hears(wire::End{});
  const base::TimePoint since = v.now;
  while (!v.is<Exit>() && v.now < since + 20s) {
    v.pass(250ms);
    if (is_heard) v.hears(v.echo(1, 1, lane, 1));
    v.forget<wire::Open>();
    v.forget<SendCtrl>();
    v.forget<CommitEnded>();
    v.forget<wire::Close>();
  }
  v.take<Exit>();
  CHECK(v.now - since == (is_heard ? 10s : 2s));
}

TEST_CASE("an END of another number of jobs, or before the end of input, is counted and ignored", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.hears(wire::End{.total = 0});
  v.given_jobs(2);
  v.on(ventilator::InputEnded{false});
  v.hears(wire::End{.total = 1});
  CHECK(v.none());
  CHECK(v.core.ignored() == 2);
}

TEST_CASE("END said again is committed once", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1);
  v.on(ventilator::InputEnded{false});
  v.hears(wire::End{});
  v.hears(wire::End{});
  v.take<CommitEnded>();
}

TEST_CASE("a sink that is gone and left its mark ends the run like END", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_jobs(2);
  v.given_sink();
  v.on(ventilator::SinkHasEnded{1, false});
  const auto ended = v.take<CommitEnded>();
  CHECK(ended.total == 2);
  CHECK(ended.failed == 1);
  v.turn();
  v.forget_beats();
  v.take<wire::Close>();
  v.take<Exit>();
}

TEST_CASE("after the end nothing is dispatched", "[ventilator]") {
  VentilatorUnderTest v;
  v.given_sink();
  v.given_worker(1, 1, 1);
  v.on(ventilator::InputEnded{false});
  v.hears(wire::End{});
  v.take<CommitEnded>();
  v.given_jobs(1);
  v.turn();
  v.forget<wire::Open>();
  v.forget<SendCtrl>();
  CHECK(v.none());
}

}  // namespace
