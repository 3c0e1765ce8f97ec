// The ventilator's core for unit tests: builders for what came before, and its effects.
#pragma once

#include "tests/support/core_under_test.h"
#include "ventilator/core.h"

namespace support {

class VentilatorUnderTest : public Taken<ventilator::Effect, ventilator::SendToSink> {
 public:
  explicit VentilatorUnderTest(const ventilator::Recovered& recovered = {}, ventilator::CoreConfig config = {})
      : Taken("ventilator"), epoch(recovered.epoch), core((config.feedback_endpoint = "v", config), recovered), policy(config.policy) {}

  void on(const ventilator::Event& event) {
    core.on(event, now, effects);
    core.check_invariants();
  }
  void turn() { on(ventilator::Turn{}); }
  // A message of the sink, stamped in order.
  template <typename M>
  void hears(M message) {
    message.stamp = {epoch, sink_epoch, ++seq};
    on(ventilator::Event(std::move(message)));
  }
  // Time with a Turn four times a heartbeat. `sink_lives`: it answers each time.
  void pass(base::Duration time, bool sink_lives = true) {
    for (const base::TimePoint end = now + time; now < end;) {
      now = std::min(end, now + policy.heartbeat / 4);
      if (sink_lives) hears(wire::Alive{});
      turn();
    }
  }
  // OPEN, and CTRL without news, go out each heartbeat, and a silent sink gets a new uplink: most tests are not about them.
  void forget_beats() {
    forget<wire::Open>();
    forget<ventilator::RenewUplink>();
    forget<ventilator::SendCtrl>([](const ventilator::SendCtrl& ctrl) { return !ctrl.message.confirms.empty() || ctrl.message.complete; });
  }

  // ---- builders
  void given_jobs(base::JobId through) { on(ventilator::InputAccepted{through}); }
  void given_sink() {
    turn();
    hears(wire::Snapshot{.last = true});
    turn();
    forget_beats();
    REQUIRE(none());
  }
  // A worker whose lane is open and that has asked for `limit` jobs.
  base::Generation given_worker(unsigned n, std::uint32_t slots = 1, std::uint64_t limit = 1, std::uint64_t session = 1) {
    hears(worker(n, slots, session));
    const auto lane = take<ventilator::OpenLane>();
    take<ventilator::SendCtrl>();
    REQUIRE(none());
    if (limit > 0) hears(echo(n, slots, lane.generation, limit, session));
    return lane.generation;
  }
  wire::Worker worker(unsigned n, std::uint32_t slots = 1, std::uint64_t session = 1) const {
    wire::Worker message;
    message.worker = worker_id(n);
    message.session = session;
    message.state_seq = 1;
    message.endpoint = "w" + std::to_string(n);
    message.slots = slots;
    return message;
  }
  wire::Worker echo(unsigned n, std::uint32_t slots, const base::Generation& generation, std::uint64_t limit, std::uint64_t session = 1) const {
    wire::Worker message = worker(n, slots, session);
    message.generation = generation;
    message.limit = limit;
    return message;
  }
  // One Turn in which exactly these jobs go to worker n.
  ventilator::SendJobs gives(unsigned n, const std::vector<base::JobId>& jobs) {
    turn();
    forget_beats();
    forget<ventilator::RaiseHorizon>();
    const auto assign = take<wire::Assign>();
    const auto sent = take<ventilator::SendJobs>();
    REQUIRE(assign.worker == worker_id(n));
    REQUIRE(sent.worker == worker_id(n));
    std::vector<base::JobId> assigned, given;
    for (const auto& item : assign.items) assigned.push_back(item.attempt.job);
    for (const auto& attempt : sent.attempts) given.push_back(attempt.job);
    REQUIRE(assigned == jobs);
    REQUIRE(given == jobs);
    return sent;
  }
  void gives_nothing() {
    turn();
    forget_beats();
    REQUIRE(none());
  }
  wire::Done done(std::vector<base::JobId> jobs) const {
    wire::Done message;
    message.jobs = std::move(jobs);
    return message;
  }
  wire::Requeue requeue(const base::Attempt& attempt, bool alone = false) const {
    wire::Requeue message;
    message.items.push_back({attempt, base::Outcome::Lost, alone});
    return message;
  }

  const std::uint64_t epoch;
  std::uint64_t sink_epoch = 1, seq = 0;
  base::TimePoint now{1h};
  ventilator::Core core;
  const wire::Policy policy;
};

}  // namespace support
