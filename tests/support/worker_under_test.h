// The worker's core for unit tests: builders for what came before, and its effects.
#pragma once

#include "tests/support/core_under_test.h"
#include "worker/core.h"

namespace support {

inline worker::CoreConfig worker_config(std::uint32_t slots) {
  worker::CoreConfig config;
  config.id = worker_id(1);
  config.host = "host";
  config.slots = slots;
  return config;
}

class WorkerUnderTest : public Taken<worker::Effect, worker::SendState> {
 public:
  explicit WorkerUnderTest(std::uint32_t slots = 1) : WorkerUnderTest(worker_config(slots)) {}
  explicit WorkerUnderTest(const worker::CoreConfig& config) : Taken("worker"), core(config), config(config) {}

  void on(worker::Event event) {
    core.on(std::move(event), now, effects);
    core.check_invariants();
  }
  void turn() { on(worker::Turn{}); }
  // Time with a Turn four times a heartbeat. `head_lives`: a CTRL each heartbeat echoes the newest STATE.
  void pass(base::Duration time, bool head_lives = true) {
    for (const base::TimePoint end = now + time; now < end;) {
      now = std::min(end, now + config.heartbeat / 4);
      note_states();
      if (head_lives && core.has_head()) on(ctrl());
      turn();
    }
    note_states();
  }
  // STATE goes out each heartbeat: most tests are not about it.
  void forget_states() {
    note_states();
    forget<wire::State>();
  }

  // ---- builders
  void given_session(std::uint64_t session = 1) {
    turn();
    opens(session);
    forget_states();
    REQUIRE(none());
  }
  void opens(std::uint64_t session) {
    REQUIRE(take<worker::OpenSession>().session == session);
    on(worker::SessionOpened{"w" + std::to_string(session), "key"});
    turn();
  }
  // A worker that a lane has reached: it has answered the generation with a STATE.
  void given_head() {
    given_session();
    on(ctrl());
    turn();
    forget_states();
    REQUIRE(none());
  }
  wire::Ctrl ctrl() {
    wire::Ctrl message;
    message.worker = config.id;
    message.session = core.session();
    message.generation = generation;
    message.limit = core.limit();
    message.state_seq = state_seq;
    return message;
  }
  wire::Job job(const std::vector<base::Attempt>& attempts, std::uint64_t first_seq = 0) {
    wire::Job message;
    message.worker = config.id;
    message.session = core.session();
    message.generation = generation;
    message.limit = core.limit();
    message.first_seq = first_seq != 0 ? first_seq : core.received() + 1;
    for (const auto& attempt : attempts) message.items.push_back({attempt, "spec"});
    return message;
  }
  // A job that runs.
  void given_running(const base::Attempt& attempt) {
    on(job({attempt}));
    turn();
    forget_states();
    REQUIRE(take<worker::Start>().attempt == attempt);
    REQUIRE(none());
  }
  void given_unconfirmed(const base::Attempt& attempt) {
    given_running(attempt);
    on(ended(attempt));
    turn();
    take<worker::SendResults>();
    forget_states();
    REQUIRE(none());
  }
  worker::Ended ended(const base::Attempt& attempt, base::Outcome outcome = base::Outcome::Ok) const {
    worker::Ended event;
    event.result.attempt = attempt;
    event.result.outcome = outcome;
    return event;
  }
  wire::Ctrl confirming(std::vector<base::Attempt> attempts) {
    wire::Ctrl message = ctrl();
    message.confirms = std::move(attempts);
    return message;
  }

  base::Generation generation{1, 1};
  std::uint64_t state_seq = 0;  // of the newest STATE seen
  base::TimePoint now{1h};
  worker::Core core;
  const worker::CoreConfig config;

 private:
  void note_states() {
    for (const auto& effect : effects) {
      if (const auto* send = std::get_if<worker::SendState>(&effect)) state_seq = std::max(state_seq, send->message.state_seq);
    }
  }
};

}  // namespace support
