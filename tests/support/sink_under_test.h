// The sink's core for unit tests: builders for what came before, and its effects.
#pragma once

#include "sink/core.h"
#include "tests/support/core_under_test.h"

namespace support {

inline wire::Policy retries(std::uint32_t n) {
  wire::Policy policy;
  policy.retries = n;
  return policy;
}

class SinkUnderTest : public Taken<sink::Effect, sink::SendToVentilator> {
 public:
  explicit SinkUnderTest(const wire::Policy& policy = {}, const sink::CoreRecovery& recovered = {})
      : Taken("sink"), core(recovered), policy(policy) {}

  void on(sink::Event event) {
    core.on(std::move(event), now, effects);
    core.check_invariants();
  }
  void turn(bool drained = true) { on(sink::Turn{drained}); }
  // A message of the ventilator, stamped in order.
  template <typename M>
  void hears(M message) {
    message.stamp = {epoch, sink_epoch, ++seq};
    on(sink::Event(std::move(message)));
  }
  // Time with a drained Turn four times a heartbeat.
  void pass(base::Duration time) {
    for (const base::TimePoint end = now + time; now < end;) {
      now = std::min(end, now + policy.heartbeat / 4);
      turn();
    }
  }
  // The same while the worker says STATE each heartbeat.
  void pass_with(base::Duration time, wire::State state) {
    for (const base::TimePoint end = now + time; now < end;) {
      state.state_seq = ++state_seq;
      on(state);
      pass(std::min(policy.heartbeat, end - now));
    }
  }
  // ALIVE goes out each heartbeat, WORKER after each STATE: most tests are not about them.
  void forget_beats() {
    forget<wire::Alive>();
    forget<wire::Worker>();
  }

  // ---- builders
  wire::Open open(std::optional<std::uint64_t> total = {}) const {
    wire::Open message;
    message.endpoint = "v";
    message.policy = policy;
    message.total = total;
    return message;
  }
  // A ventilator that has been heard and answered.
  void given_ventilator(std::optional<std::uint64_t> total = {}) {
    hears(open(total));
    turn();
    clear();
  }
  wire::Assign assign(unsigned worker, const std::vector<base::Attempt>& attempts, bool alone = false, std::uint64_t session = 1,
                      base::Generation generation = {1, 1}) const {
    wire::Assign message;
    message.worker = worker_id(worker);
    message.session = session;
    message.generation = generation;
    for (const auto& attempt : attempts) message.items.push_back({attempt, alone, "cmd"});
    return message;
  }
  void given_assigned(unsigned worker, const std::vector<base::Attempt>& attempts, bool alone = false) {
    hears(assign(worker, attempts, alone));
    REQUIRE(none());
  }
  wire::State state(unsigned worker, const std::vector<base::Attempt>& running = {}, std::uint64_t session = 1, base::Generation generation = {1, 1}) {
    wire::State message;
    message.worker = worker_id(worker);
    message.session = session;
    message.state_seq = ++state_seq;
    message.endpoint = "w";
    message.host = "host";
    message.slots = 1;
    message.generation = generation;
    message.limit = 1;
    for (const auto& attempt : running) message.held.push_back({attempt, wire::Held::Phase::Running});
    return message;
  }
  wire::Results results(unsigned worker, const base::Attempt& attempt, base::Outcome outcome) const {
    wire::Results message;
    message.worker = worker_id(worker);
    message.session = 1;
    message.generation = {1, 1};
    message.limit = 1;
    message.host = "host";
    wire::Result result;
    result.attempt = attempt;
    result.outcome = outcome;
    result.slot = outcome == base::Outcome::Returned ? 0 : 1;
    message.items.push_back(result);
    return message;
  }
  // What a result led to, all of it: rows, their commit, and what was said behind it.
  struct Said {
    std::vector<sink::LogResult> finished;
    std::vector<sink::LogAttempt> attempts;
    std::vector<sink::UncountLoss> taken_back;
    std::vector<base::JobId> done;
    std::vector<wire::Requeued> requeued;
    std::vector<base::Attempt> confirmed;
  };
  Said said_after(base::Duration wait = 60ms) {
    now += wait;  // confirms are lazy
    turn();
    Said said;
    bool is_committed = true;
    for (auto& effect : effects) {
      if (auto* row = std::get_if<sink::LogResult>(&effect)) said.finished.push_back(*row), is_committed = false;
      else if (auto* other = std::get_if<sink::LogAttempt>(&effect)) said.attempts.push_back(*other), is_committed = false;
      else if (auto* back = std::get_if<sink::UncountLoss>(&effect)) said.taken_back.push_back(*back), is_committed = false;
      else if (std::holds_alternative<sink::Commit>(effect)) is_committed = true;
      else if (auto* send = std::get_if<sink::SendToVentilator>(&effect)) {
        if (!is_committed) FAIL("something was sent before the commit");
        if (auto* done = std::get_if<wire::Done>(&send->message)) {
          said.done.insert(said.done.end(), done->jobs.begin(), done->jobs.end());
          for (const auto& confirms : done->confirms) said.confirmed.insert(said.confirmed.end(), confirms.attempts.begin(), confirms.attempts.end());
        } else if (auto* requeue = std::get_if<wire::Requeue>(&send->message)) {
          said.requeued.insert(said.requeued.end(), requeue->items.begin(), requeue->items.end());
        }
      }
    }
    if (!is_committed) FAIL("rows without a commit");
    clear();
    return said;
  }
  Said said_of(unsigned worker, const base::Attempt& attempt, base::Outcome outcome) {
    on(results(worker, attempt, outcome));
    return said_after();
  }

  std::uint64_t epoch = 1, sink_epoch = 1, seq = 0, state_seq = 0;
  base::TimePoint now{1h};
  sink::Core core;
  const wire::Policy policy;
};

}  // namespace support
