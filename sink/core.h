// The sink's decisions: which result becomes a job's row, which attempt is lost and goes out again, what is confirmed when, and when the run has ended.
// Pure: it knows no socket, clock or disk. Rows collect in effects; whatever depends on them leaves only behind their Commit.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "sink/events.h"
#include "sink/progress.h"

namespace sink {

struct CoreRecovery {  // from results.db, beside the jobs in Core::recover_*
  std::uint64_t sink_epoch = 1;  // of this life: already durable
  std::optional<wire::Policy> policy;
  std::uint64_t emitted = 0;     // jobs
  std::optional<LogEnded> ended;  // the run is over: what is left to do is to tell a ventilator that may not know. One whose input was cut may go on
  std::uint64_t moved = 0;  // numbers that `emitted` counts and no row has: a user's retry took them away
  std::optional<LogHalt> halt = {};  // the newest
  bool in_job_order = false;  // what `emitted` counts: the first jobs, or any
};

class Core {
 public:
  explicit Core(const CoreRecovery& recovered);
  // Before the first event, what results.db holds.
  void recover_finished(JobId job, bool failed);
  void recover_ended(const EndedAttempt& ended);  // of a job that is not finished
  void recover_retried(JobId job, std::uint64_t least_epoch);  // likewise: attempts of earlier epochs are void
  // An output's file, behind both of these. False: it is of no use.
  bool recover_output(const Attempt& attempt, wire::OutputStream stream, std::uint64_t length);

  // Effects are added to the end of `effects`. REQUIRES: `now` never falls; a Turn after each batch of events and at next_deadline().
  void on(Event&& event, base::TimePoint now, Effects& effects);
  base::TimePoint next_deadline() const;
  void check_invariants() const { progress_.check_invariants(); }

  const Progress& progress() const { return progress_; }
  base::TimePoint now() const { return now_; }  // of the last event, as the times in progress()
  base::Duration heartbeat() const { return policy_.heartbeat; }
  const std::optional<std::uint64_t>& total() const { return total_; }
  bool is_cut() const { return cut_; }
  bool has_ended() const { return ended_at_.has_value(); }
  // The halt in force: the run is to stop, or has stopped, before its end.
  std::optional<wire::Halt> halt() const { return is_halting() || (is_closing_ && halt_.halt.number > 0) ? std::optional(halt_.halt) : std::nullopt; }
  bool has_heard_ventilator() const { return ventilator_epoch_ != 0; }
  std::size_t workers() const { return workers_.size(); }
  bool knows(const WorkerId& worker) const { return workers_.contains(worker); }
  std::size_t heard_workers() const;  // in the last two leases, as far as the ventilator keeps lanes
  bool wants_output(const Attempt& attempt);  // neither its job nor itself has come to an end that counts
  const LiveAttempt* find_live(const Attempt& attempt);  // none: not known, or it has ended
  std::uint64_t ignored() const { return ignored_; }        // messages that changed nothing
  std::uint64_t superseded() const { return superseded_; }  // results that came after their job was finished

 private:
  struct WorkerRecord {
    std::uint64_t session = 0;
    std::uint64_t state_seq = 0;
    std::string endpoint, key, host;
    std::uint32_t slots = 0;
    Generation generation;
    std::uint64_t limit = 0;
    std::uint64_t input_limit = 0;
    std::vector<Attempt> held;  // as of the newest STATE
    base::TimePoint heard_at{};
    std::optional<base::TimePoint> gone_at;  // the ventilator says that its lane broke
    bool has_news = false;  // a WORKER message is due
    bool bye = false;
  };
  void on_event(wire::State&& message);
  void on_event(wire::Results&& message);
  void on_event(wire::Bye&& message);
  void on_event(wire::Output&& message);
  void on_event(wire::Open&& message);
  void on_event(wire::Assign&& message);
  void on_event(wire::Gone&& message);
  void on_event(wire::Close&& message);
  void on_event(OutputsEmitted&& event);
  void on_event(FeedbackBroken&&);
  void on_event(VentilatorComes&&);
  void on_event(Stop&&);
  void on_event(Turn&& event);

  bool accept(const wire::Stamp& stamp);  // false: drop the message
  void judge_input(const wire::Open& message);
  void judge_feedback(const wire::Open& message);
  bool is_plausible(const Attempt& attempt) const;
  void take_result(wire::Result&& result, const WorkerId& worker, const std::string& host);
  void end_attempt(JobRecord& record, wire::Result&& result, const WorkerId& worker, const std::string& host);
  bool is_whole(const wire::Result& result) const;
  bool is_hopeless(const wire::Result& result);
  void drop_outputs(const Attempt& attempt);
  void drop_losing_outputs(const wire::Result& winner);
  void lose(const LiveAttempt& live, const char* reason);
  void lease(JobRecord& record, const Attempt& attempt, const WorkerId& worker);
  void take_back(JobRecord& record, const EndedAttempt& ended);
  bool is_last(const JobRecord& record, const EndedAttempt& ended, bool is_retried) const;
  void judge_returned(const WorkerId& id, const WorkerRecord& worker);
  bool is_returned(const LiveAttempt& live, const WorkerRecord& worker) const;
  void end_returned(JobId job, const Attempt& attempt);
  void note_news(const WorkerId& id, WorkerRecord& worker);
  void judge_leases();
  void tend_end();
  bool is_halting() const { return halt_.halt.number > 0 && !halt_.is_over; }
  void note_failure(const wire::Result& result);
  void become_finished(JobId job, bool failed);
  void judge_halt();
  void end_halt(std::uint64_t halts_over);
  bool is_all_emitted() const;
  void confirm(const WorkerId& worker, const Attempt& attempt);

  void log(Effect&& row);
  void log_emitted();
  void flush();
  void send(wire::ToVentilator&& message);
  void send_stored();
  void send_done();
  void send_snapshot();
  void send_workers();
  base::Duration heartbeats(int n) const { return policy_.heartbeat * n; }

  const std::uint64_t sink_epoch_;
  wire::Policy policy_;
  bool has_policy_;
  base::AliveClock clock_;
  base::TimePoint now_{};  // alive time
  base::TimePoint started_{};
  bool has_started_ = false;
  Effects* effects_ = nullptr;

  Progress progress_;
  std::unordered_map<WorkerId, WorkerRecord, base::HashId128> workers_;
  std::map<Attempt, std::array<std::uint64_t, wire::kOutputStreams>> outputs_;  // lengths of the files of unfinished jobs
  std::map<Attempt, base::TimePoint> incomplete_since_;  // results whose outputs are not all here

  std::uint64_t ventilator_epoch_ = 0;
  std::uint64_t expected_seq_ = 0;
  std::uint64_t sent_seq_ = 0;
  std::string feedback_endpoint_;
  bool is_feedback_broken_ = true;
  base::TimePoint opened_at_{};  // the last OPEN
  std::optional<base::TimePoint> unheard_since_;  // the ventilator asks as one that does not hear us
  bool needs_snapshot_ = false;
  base::TimePoint snapshot_at_{};  // of the last one
  bool has_sent_snapshot_ = false;

  // What leaves with the next flush.
  std::size_t open_rows_ = 0;
  std::vector<JobId> done_;
  std::vector<wire::Requeued> requeued_;
  std::map<WorkerId, wire::Limit> limits_;
  std::map<WorkerId, std::vector<Attempt>> confirms_;  // may wait a little for company
  std::size_t confirms_held_ = 0;
  base::TimePoint confirms_due_ = base::kNever;
  std::vector<WorkerId> news_;
  std::map<WorkerId, std::map<std::pair<Attempt, wire::OutputStream>, std::uint64_t>> stored_;
  bool has_written_ = false;  // outputs, since the last Commit
  std::vector<DropOutput> dropped_;
  bool snapshot_due_ = false;
  bool alive_due_ = false;
  bool confirms_now_ = false;

  base::TimePoint next_judging_{};
  base::TimePoint next_heartbeat_{};
  std::optional<std::uint64_t> total_;
  bool cut_ = false;
  LogHalt halt_;  // the newest
  std::uint32_t last_status_[3] = {1, 0, 1};  // of the last job that failed, that succeeded, that did either
  bool is_closing_ = false;  // the ventilator has gone before the end
  const bool in_job_order_;
  std::uint64_t emitted_ = 0;
  const std::uint64_t moved_;
  std::uint64_t logged_emitted_ = 0;
  bool is_end_logged_ = false;
  std::optional<base::TimePoint> ended_at_;
  bool has_exited_ = false;
  std::uint64_t ignored_ = 0;
  std::uint64_t superseded_ = 0;
};

}  // namespace sink
