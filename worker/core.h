// A worker's decisions: which job starts when, how many it asks for, what it says to the sink and when it begins a new session or leaves. Pure: it knows
// no socket, clock or process. It keeps each result until the sink has confirmed it.
#pragma once

#include <deque>
#include <memory>
#include <memory_resource>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "worker/events.h"
#include "worker/input_window.h"
#include "worker/output_store.h"
#include "worker/permits.h"
#include "worker/window.h"

namespace worker {

struct CoreConfig {
  base::WorkerId id;
  std::string host;
  std::uint32_t slots = 1;
  StartRules starts;
  bool has_relative_limit = false;  // it runs from the start of a job, so that none is started behind another
  wire::HaltRule halt = {};  // of the run, where it is known: what could make it stop is judged before more is started
  std::size_t output_window = 1u << 20;  // bytes of each output that may be read ahead of what is stored
  std::uint64_t input_window = 0;  // bytes of inputs that may be on their way here, at most; 0: this worker reads the files itself
  base::Duration heartbeat{1'000'000};  // until the run says otherwise
  base::Duration lease{10'000'000};
  base::Duration connect_timeout{3'000'000};
  base::Duration head_timeout{60'000'000};
  base::Duration hold_timeout{3'600'000'000};
  bool stops_without_head = false;  // head_timeout counts also while jobs run, and ends them
  std::uint64_t seed = 1;
};

class Core {
 public:
  static constexpr base::Duration kRoomPatience{1'000'000};  // at first; later as much as 30 times that

  explicit Core(const CoreConfig& config);

  // Effects are added to the end of `effects`. REQUIRES: `now` never falls; a Turn after each batch of events and at next_deadline().
  void on(Event&& event, base::TimePoint now, Effects& effects);
  base::TimePoint next_deadline() const;
  void check_invariants() const;

  const wire::Result& unconfirmed(const base::Attempt& attempt) const { return unconfirmed_.at(attempt).result; }
  // The same without a copy, for a moment: to be given back before the next event.
  wire::Result lend(const base::Attempt& attempt) { return std::move(unconfirmed_.at(attempt).result); }
  void give_back(wire::Result&& result) { unconfirmed_.at(result.attempt).result = std::move(result); }
  const OutputStore& outputs() const { return outputs_; }
  bool holds(const base::Attempt& attempt) const;
  bool holds_nothing() const { return queue_.empty() && unfed_.empty() && running_.empty() && unconfirmed_.empty(); }
  std::uint32_t slots() const { return usable_slots_; }  // that can run something
  std::uint32_t lost_slots() const { return lost_slots_; }
  std::size_t running() const { return running_.size(); }
  std::size_t queued() const { return queue_.size() + unfed_.size(); }
  // Jobs to hold at most, as of now. None wait here for their start to be allowed that others could begin.
  std::uint64_t window() const { return gate_.rules().is_none() ? window_.jobs(shortest_busy()) : usable_slots_; }
  bool has_head() const { return generation_ != base::Generation{}; }
  std::uint64_t session() const { return session_; }
  const base::Generation& generation() const { return generation_; }
  std::uint64_t limit() const { return limit_; }
  std::uint64_t received() const { return received_; }
  std::uint64_t input_limit() const { return inputs_.limit(); }
  std::uint64_t ignored() const { return ignored_; }  // frames that changed nothing

 private:
  struct Queued {
    base::Attempt attempt;
    std::string spec;
    base::TimePoint since;
  };
  struct Unfed {
    Queued job;
    std::uint64_t length = 0, kept = 0;  // of its input
  };
  struct Slot {
    std::uint32_t running = 0;
    std::uint32_t batch = 0;
    base::TimePoint since{};
    bool is_lost = false;
  };
  struct Unconfirmed {
    wire::Result result;
    std::uint64_t next_state = 0;  // number of the first STATE sent after it: once that is echoed and this is not confirmed, it was lost
  };

  void on_event(SessionOpened&& event);
  void on_event(wire::Job&& message);
  void on_event(wire::Ctrl&& message);
  void on_event(wire::Refused&& message);
  void on_event(wire::Free&& message);
  void on_event(wire::Input&& message);
  void on_event(Slots&& event);
  void on_event(Measured&& event);
  void on_event(NoRoom&&);
  void on_event(OutputRead&& event);
  void on_event(Ended&& event);
  void on_event(Stuck&& event);
  void on_event(Stop&&);
  void on_event(Turn&&);

  bool accept(const base::WorkerId& worker, std::uint64_t session, const base::Generation& generation, std::uint64_t limit_echo);
  void open_session();
  void send_state();
  void hold_result(wire::Result&& result);
  void hold_outputs(wire::Result& result);
  void send_outputs();
  bool may_wait() const;
  bool is_full() const;
  void return_queued(std::size_t keep, const char* reason);
  void return_unfed(const char* reason);
  void return_unfed(const base::Attempt& attempt, const char* reason);
  void restart_inputs();
  void give_back(const Queued& job, const char* reason);
  void return_all(const char* reason);
  void start_jobs();
  void start_in(std::uint32_t number, std::uint32_t most);
  void look_at_machine();
  void end_youngest();
  void count_slots();
  bool is_to_judge(base::Outcome outcome) const;
  void obey_halt(wire::HaltRule::When halt);
  void await_room(bool lacks_room);
  void forbid_overlap();
  void end_overdue();
  static void note_overdue(wire::Result& result);
  void renew_until();
  void tell_until(base::TimePoint at);
  void stop(const char* reason);
  void raise_limit();
  base::Duration shortest_busy() const;
  bool tend_exit();  // true: gone
  void exit(Exit::Why why);
  bool is_waiting_for_jobs() const { return running_.size() > stuck_.size(); }
  base::Duration heartbeats(int n) const { return heartbeat_ * n; }

  CoreConfig config_;
  base::Duration heartbeat_, lease_;
  base::Random random_;
  base::AliveClock clock_;
  base::TimePoint now_{};  // alive time
  base::TimePoint clock_now_{};  // monotonic time, in which this process may have been stopped
  bool has_started_ = false;
  Effects* effects_ = nullptr;

  std::uint64_t session_ = 0;
  std::uint64_t state_seq_ = 0;
  bool is_open_ = false;  // the session's sockets are there
  std::string endpoint_, key_;
  base::Generation generation_;
  std::uint64_t received_ = 0;  // greatest number seen in this generation
  std::uint64_t limit_ = 0;
  std::uint64_t announced_limit_ = 0;
  std::uint64_t measured_limit_ = 0;  // the refill that is being timed
  base::TimePoint measured_since_{};

  std::deque<Queued> queue_;
  std::deque<Unfed> unfed_;  // whose inputs are not whole; they come in this order
  base::TimePoint fed_at_{};  // the last one
  // Of the two maps below, which change with every job; it does not move when the core does.
  std::unique_ptr<std::pmr::unsynchronized_pool_resource> nodes_ = std::make_unique<std::pmr::unsynchronized_pool_resource>();
  std::pmr::unordered_map<base::Attempt, std::uint32_t, base::HashAttempt> running_{nodes_.get()};  // to its slot
  std::vector<Slot> slots_;                                                      // from 1; [0] unused
  std::uint32_t wanted_slots_;       // those up to this number may be used
  std::uint32_t free_slots_ = 0;     // of these
  std::uint32_t usable_slots_ = 0;   // likewise
  std::uint32_t lost_slots_ = 0;
  StartGate gate_;
  std::unordered_set<base::Attempt, base::HashAttempt> stuck_;    // of those that run: killed, and may never end
  std::unordered_set<base::Attempt, base::HashAttempt> evicted_;  // being ended to make room in memory
  std::unordered_set<base::Attempt, base::HashAttempt> to_judge_;  // ended, and perhaps what makes the run stop
  wire::HaltRule::When halt_ = wire::HaltRule::When::Never;       // as the newest CTRL says
  std::pmr::unordered_map<base::Attempt, Unconfirmed, base::HashAttempt> unconfirmed_{nodes_.get()};
  std::size_t unconfirmed_bytes_ = 0;
  std::vector<base::Attempt> to_send_;
  base::TimePoint held_since_{};               // the first of them
  base::TimePoint held_until_ = base::kNever;  // they wait for company
  InputWindow inputs_;
  std::uint64_t announced_input_limit_ = 0;
  OutputStore outputs_;
  std::vector<OutputStore::Part> parts_;
  Window window_;

  bool no_overlap_ = false;
  Permits permits_;  // while no_overlap_
  base::TimePoint told_until_ = base::kNever;
  std::unordered_set<base::Attempt, base::HashAttempt> overdue_;  // being ended because of that

  std::uint64_t echoed_ = 0;  // newest state_seq the sink has read
  base::TimePoint echoed_at_{};
  base::TimePoint session_at_{};
  base::TimePoint reopen_at_ = base::kNever;  // the next session, when there was no room
  base::TimePoint idle_since_{};  // holds nothing, or nothing that runs
  base::Backoff session_wait_;
  base::Backoff room_wait_{kRoomPatience, kRoomPatience * 30};
  base::TimePoint room_at_{};  // until then no job is asked for: the inputs that came found no room
  base::TimePoint next_heartbeat_{};
  bool state_due_ = false;

  bool is_complete_ = false;
  bool is_stopped_ = false;
  bool is_head_lost_ = false;  // why it is stopped
  base::TimePoint stopped_at_{};  // and nothing has run since
  bool has_exited_ = false;
  std::uint64_t ignored_ = 0;
};

}  // namespace worker
