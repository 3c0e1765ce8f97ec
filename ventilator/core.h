// The ventilator's decisions: which job goes to which worker when, and how it agrees with the sink after any loss or restart. Pure: it knows no socket,
// clock or disk. Its shell feeds it events and carries out the effects in order. The rules are numbered as in shared/wire/PROTOCOL.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "ventilator/events.h"
#include "ventilator/job_table.h"
#include "ventilator/worker_table.h"

namespace ventilator {

struct CoreConfig {
  std::string feedback_endpoint;
  wire::Policy policy;
  base::Duration retry_delay{0};  // after the first failure of a job; doubled with each further one, 64 times at most
  base::Duration connect_timeout{3'000'000};
  bool has_grace = true;  // false: the workers of an earlier life died with it, nothing is to be waited for
  std::uint64_t seed = 1;
};

struct Recovered {  // from jobs.db
  std::uint64_t epoch = 1;  // of this life: already durable
  base::JobId horizon = 0;
  base::JobId accepted = 0;
  bool input_ended = false;
  bool cut = false;
  bool ended = false;  // the run is over: what is left to do is to tell workers that may not know, and the sink
  std::uint64_t halts_over = 0;
};

class Core {
 public:
  Core(const CoreConfig& config, const Recovered& recovered);

  // Effects are added to the end of `effects`. REQUIRES: `now` never falls; a Turn after each batch of events and at next_deadline().
  void on(const Event& event, base::TimePoint now, Effects& effects);
  base::TimePoint next_deadline() const;
  void check_invariants() const;

  const JobTable& jobs() const { return jobs_; }
  const WorkerTable& workers() const { return workers_; }
  bool is_answered() const { return sink_epoch_ != 0 && now_ - answered_at_ <= heartbeats(3); }  // by the sink
  bool is_halting() const { return halt_.when != wire::HaltRule::When::Never; }  // nothing more is handed out, and the run is to stop
  // The exit status of a run that a halt has stopped before its end. None: it has not, or was to be drained.
  std::optional<std::uint32_t> halted() const { return is_halted_ && halt_.number > 0 ? std::optional(halt_.status) : std::nullopt; }
  std::uint64_t ignored() const { return ignored_; }  // messages that changed nothing: stale, repeated or absurd

 private:
  void on_event(const InputAccepted& event);
  void on_event(const InputEnded& event);
  void on_event(const wire::Worker& message);
  void on_event(const wire::Done& message);
  void on_event(const wire::Requeue& message);
  void on_event(const wire::Snapshot& message);
  void on_event(const wire::End& message);
  void on_event(const wire::Alive& message);
  void on_event(const wire::Stored& message);
  void on_event(const InputsDue& event);
  void on_event(const InputFaulty& event);
  void on_event(const LaneBroken& event);
  void on_event(const SinkHasEnded& event);
  void on_event(const DispatchesRecalled& event);
  void on_event(const Stop&);
  void on_event(const Drain&);
  void on_event(const Turn&);

  bool accept(const wire::Stamp& stamp);  // false: drop the message
  bool accept_answer(const wire::Stamp& stamp);
  wire::Stamp stamp();
  void become_finished(JobId job);
  void release(const Assignment& was);
  std::optional<base::TimePoint> due_after(const wire::Requeued& ended) const;
  void adopt(const Attempt& attempt, const WorkerId& worker);
  void open_lane(WorkerEntry& entry);
  void become_broken(WorkerEntry& entry);
  void update_lane(WorkerEntry& entry, std::uint64_t session, const Generation& generation, std::uint64_t limit);
  void update_inputs(WorkerEntry& entry, const wire::Worker& message);
  void send_inputs(WorkerEntry& entry);
  void tend_uplink();
  void tend_lanes();
  void tend_grace();
  void become_complete(std::uint64_t total, std::uint64_t failed, bool cut, const wire::Halt& halt);
  void tend_end();
  void note_halt(const wire::Halt& halt);
  void tend_halt();
  void send_open();
  void send_ctrl(WorkerEntry& entry);
  void assign_again();
  void dispatch();
  void dispatch_alone();
  void give(WorkerEntry& entry, JobId job, bool alone);
  void send_given();
  void commit_given();
  void note_news(WorkerEntry& entry);
  void send_news(bool beat);
  base::Duration grace() const;
  base::Duration heartbeats(int n) const { return config_.policy.heartbeat * n; }

  CoreConfig config_;
  const std::uint64_t epoch_;
  base::Random random_;
  base::AliveClock clock_;
  base::TimePoint now_{};  // alive time
  Effects* effects_ = nullptr;

  JobTable jobs_;
  WorkerTable workers_;
  JobId horizon_;               // durable; at or above every job that has been dispatched
  std::uint64_t last_n_ = 0;    // of attempts
  std::uint64_t last_g_ = 0;    // of generations
  std::optional<std::uint64_t> total_;
  bool cut_ = false;
  bool is_stopped_ = false;

  std::uint64_t sent_seq_ = 0;
  std::uint64_t sink_epoch_ = 0;
  std::uint64_t expected_seq_ = 0;
  bool wants_snapshot_ = true;
  bool has_gap_ = false;        // since the SNAPSHOT was asked for
  base::TimePoint heard_at_{};  // of the sink
  base::Backoff uplink_wait_;
  base::TimePoint answered_at_{};  // an OPEN, by the sink: what else it says does not prove that it hears us
  base::TimePoint uplink_at_{};  // since when the uplink is the present one
  base::TimePoint next_look_{};  // for the mark of a sink that has gone
  base::TimePoint next_heartbeat_{};
  base::TimePoint next_tending_{};  // of the lanes
  bool has_started_ = false;

  std::vector<WorkerEntry*> given_;   // with jobs in their outbox
  std::vector<WorkerId> has_news_;
  bool may_be_reserved_ = false;      // some worker is_reserved

  bool is_grace_over_;
  base::TimePoint grace_end_ = base::kNever;
  std::uint64_t grace_sink_epoch_ = 0;

  std::optional<base::TimePoint> complete_at_;
  std::uint64_t halts_over_;
  wire::Halt halt_;          // in force; number 0: of our own
  bool is_halted_ = false;   // and nothing is out any more; complete_at_ is since when
  bool was_complete_ = false;  // when this life began
  bool has_exited_ = false;
  std::uint64_t ignored_ = 0;
};

}  // namespace ventilator
