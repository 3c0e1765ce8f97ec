// The ventilator's loop: it reads the input, spools it, hands messages to the core and carries out what the core wants, in order: commits, then sends.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/counts.h"
#include "cli/dropped_frames.h"
#include "cli/log.h"
#include "cli/reminder.h"
#include "io/marks.h"
#include "io/monitor.h"
#include "io/reactor.h"
#include "io/run_directory.h"
#include "io/socket.h"
#include "ventilator/core.h"
#include "ventilator/done_jobs.h"
#include "ventilator/downlink.h"
#include "ventilator/input.h"
#include "ventilator/spool.h"
#include "ventilator/template.h"

namespace ventilator {

struct ShellConfig {
  std::string sink_endpoint;
  std::string listen;         // for the sink's feedback
  std::string run_directory;  // open, ours
  io::TakeOver take_over = io::TakeOver::No;
  std::string origin;         // Origin::encode(), kept by a new run
  io::Durability durability = io::Durability::Power;
  bool is_live = false;  // the sink shows outputs of jobs that run, and needs their words and labels for it
  wire::Policy policy;
  base::Duration retry_delay{0};
  std::uint64_t spool_bytes = 1ull << 30;  // read ahead of dispatch
  bool is_embedded = false;   // the workers live and die with this process
  int stop_fd = -1;           // readable: hand out nothing more, and leave
  int drain_fd = -1;          // readable: hand out nothing more, go on confirming; -1: there is none
  int finish_fd = -1;         // readable: hand out nothing more, and leave when what runs has ended; -1: there is none
};

class Shell {
 public:
  // `source`: none when an interrupted run is only to be finished. `done`: all of the source follows behind the jobs accepted before, but for what is done;
  // else it must begin with them.
  Shell(io::Context& context, ShellConfig config, std::optional<Template> job_template, std::optional<Input> source, std::optional<DoneJobs> done, const cli::Log& log,
        base::Counts& counts);

  // Opens the run directory's databases and sees whether template and input fit the run that is in them. The value is the exit status of a run that had
  // ended already. Errors: Conflict when they do not fit, Busy when another ventilator has the run. May wait for input; `interrupt_fd`, when readable, ends
  // that, and run() then returns at once.
  base::Result<std::optional<int>> open(int interrupt_fd);
  // Runs until the run is complete (its exit status), or until told to stop, or halted (none). REQUIRES: open() returned no status.
  base::Result<std::optional<int>> run();
  // Behind run(): the exit status of a run that a halt has stopped before its end.
  std::optional<int> halted() const { return core_ && core_->halted() ? std::optional(static_cast<int>(*core_->halted())) : std::nullopt; }

 private:
  std::optional<io::EndMark> end_mark() const;  // of a sink that has gone; none when the input has gone on since
  base::Status match_input(int interrupt_fd);
  bool goes_on_behind_cut() const;
  base::Status open_uplink();
  void say_cut(const std::string& reason) const;
  void end_input(bool cut, const std::string& reason);
  void forget_blocks();
  bool may_read() const;
  bool is_done(const Arguments& arguments);
  void store_blocks();
  JobSource::State next_jobs();
  void read_input();
  void append(std::vector<std::string>& specs);
  void receive();
  void feed(const Event& event);
  void carry_out(Effects& effects);
  void carry_out(const SendToSink& effect);
  void carry_out(const OpenLane& effect);
  void carry_out(const CloseLane& effect);
  void carry_out(const SendJobs& effect);
  void carry_out(const SendInput& effect);
  void carry_out(const SendCtrl& effect);
  void carry_out(const SendFree& effect);
  void carry_out(const RaiseHorizon& effect);
  void carry_out(const CommitDispatches& effect);
  void carry_out(const RecallDispatches& effect);
  void carry_out(const CommitEnded& effect);
  void carry_out(const CommitHaltsOver& effect);
  void carry_out(const RenewUplink& effect);
  void carry_out(const LookForEnd& effect);
  void carry_out(const Exit& effect);
  void send_on_lane(const base::WorkerId& worker, const base::Generation& generation, const wire::ToWorker& message);
  void note_broken(const base::WorkerId& worker, const base::Generation& generation);
  void insist(const std::function<base::Status()>& action);  // what fails for good ends the loop: failure_
  void say_what_is_waited_for();

  io::Context& context_;
  ShellConfig config_;
  std::optional<Template> template_;
  std::optional<Input> source_;
  std::optional<DoneJobs> done_;
  const cli::Log& log_;
  base::Counts& counts_;

  std::optional<io::Lock> lock_;
  std::optional<Spool> spool_;
  std::vector<std::string> surplus_;   // specs read behind the accepted ones while the input was compared
  std::uint64_t left_out_ = 0;         // jobs of the input that were done
  bool has_read_ = false;
  bool is_source_at_end_ = false;
  bool is_interrupted_ = false;        // while the input was compared
  std::string source_error_;
  std::uint64_t bytes_ahead_ = 0;      // spooled in this life and not dispatched
  std::deque<std::uint64_t> blocks_ahead_;  // bytes of those that jobs of this life read and that are on the disk, or their outputs are: oldest first
  struct Appended {
    base::JobId newest = 0;
    std::uint64_t bytes = 0;
  };
  std::deque<Appended> specs_ahead_;   // of those bytes: each batch that was spooled, until its newest job has gone out
  base::JobId forgotten_ = 0;          // jobs whose blocks count no more; at first those of earlier lives

  io::Reactor reactor_;
  int input_fd_ = -1;                  // that is watched
  std::optional<io::Pull> feedback_;
  std::optional<io::Uplink> uplink_;  // none: it could not be opened
  io::Monitor link_;
  std::optional<LaneDownlink> downlink_;
  std::optional<Core> core_;
  Effects effects_;
  std::vector<LaneBroken> broken_;
  io::Frame received_;
  cli::DroppedFrames dropped_{log_};
  cli::Reminder reminder_{log_};
  std::string frame_;
  base::TimePoint next_word_{};
  base::TimePoint next_lane_line_{};
  bool is_stopping_ = false;
  bool has_exited_ = false;
  std::optional<int> exit_status_;
  std::optional<base::Error> failure_;
  bool has_given_up_ = false;  // the failure is a full disk on which it was told to stop
};

}  // namespace ventilator
