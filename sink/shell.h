// The sink's loop: it hands messages to the core, collects rows, commits them, and only then sends what rests on them. Outputs leave through the writer's
// thread, never here.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counts.h"
#include "cli/dropped_frames.h"
#include "cli/log.h"
#include "cli/reminder.h"
#include "io/reactor.h"
#include "io/run_directory.h"
#include "io/signals.h"
#include "io/socket.h"
#include "sink/core.h"
#include "sink/input_files.h"
#include "sink/joblog.h"
#include "sink/output_writer.h"
#include "sink/result_log.h"
#include "sink/status_file.h"

namespace sink {

struct ShellConfig {
  std::vector<std::string> listen;
  std::string run_directory;  // open, ours
  io::TakeOver take_over = io::TakeOver::No;
  io::Durability durability = io::Durability::Power;
  std::string joblog;         // path; empty: none
  Order order = Order::Completion;
  KeepOutput keep = KeepOutput::All;
  Presentation how;
  std::string table, folder;  // OutputWriter::Config
  int out = 1, err = 2;
  bool is_embedded = false;   // the ventilator is in this process, with the same directory
  int stop_fd = -1;           // readable: commit what is there, and leave
  io::Event* reader_left = nullptr;  // set when nobody reads the outputs any more; none: the run goes on, and its outputs are in its directory
};

class Shell {
 public:
  Shell(io::Context& context, ShellConfig config, const cli::Log& log, base::Counts& counts);
  ~Shell();

  // Opens the databases and binds. The value is the exit status of a run that has ended already and whose ventilator has left. Busy: another sink has the run.
  base::Result<std::optional<int>> open();
  // Runs until the run is complete (its exit status) or until told to stop (none). REQUIRES: open() returned no status.
  base::Result<std::optional<int>> run();

  // Behind run() without a status: that of a run that has stopped before its end.
  std::optional<int> halted() const;
  const std::vector<std::string>& endpoints() const { return endpoints_; }

 private:
  base::Status recover();
  base::Status recover_outputs();
  void receive();
  void receive(std::string_view frame);
  void refuse_foreign(std::string_view frame);
  bool has_room_for(const base::WorkerId& worker) const;
  void refuse(const wire::State& state, const base::RunId& run, const std::string& reason, base::Duration pause);
  std::optional<base::Error> why_not_ours(const base::RunId& run, const wire::Open& open) const;
  void close_refusal();
  void feed(Event&& event);
  void carry_out(Effects& effects);
  void carry_out(LogResult& effect);
  void carry_out(LogAttempt& effect);
  void carry_out(const UncountLoss& effect);
  void carry_out(const LogPolicy& effect);
  void carry_out(const LogEmitted& effect);
  void carry_out(const LogEnded& effect);
  void carry_out(const LogHalt& effect);
  void carry_out(const TakeBackEnd&);
  void carry_out(const WriteOutput& effect);
  void carry_out(const Commit& effect);
  void carry_out(const DropOutput& effect);
  void carry_out(const OpenFeedback& effect);
  void carry_out(const SendToVentilator& effect);
  void carry_out(const Exit& effect);
  bool write_joblog();
  bool insist(const std::function<base::Status()>& action);  // false: it failed for good, and failure_ says why
  void look_at_writer();
  void tell_live();
  void say_what_is_waited_for();
  void look_for_ventilator();  // which may be busy with its input before it says a word

  io::Context& context_;
  ShellConfig config_;
  const cli::Log& log_;
  base::Counts& counts_;

  std::optional<io::Lock> lock_;
  std::unique_ptr<ResultLog> results_;
  std::optional<Joblog> joblog_;
  bool has_joblog_lines_ = false;  // since the last Commit
  std::optional<OutputFiles> files_;
  std::optional<InputFiles> inputs_;
  std::unique_ptr<OutputWriter> writer_;  // reads both
  std::optional<StatusFile> status_;
  std::string host_;

  io::Reactor reactor_;
  std::optional<io::Pull> pull_;
  std::vector<std::string> endpoints_;
  std::optional<io::Lane> feedback_;
  std::optional<io::Lane> refusal_;  // to a worker of another run; thrown away once it has gone out
  std::optional<Core> core_;
  base::RunId run_;  // zero until the ventilator's first OPEN
  Effects effects_;
  using LiveOutputs = std::map<base::Attempt, std::array<std::uint64_t, wire::kOutputStreams>>;  // their lengths
  LiveOutputs written_, live_;              // since the last Commit; before it, and not yet told to the writer
  std::vector<OutputWriter::Freed> freed_;  // by the emission that the next Commit says
  io::Frame received_;
  cli::DroppedFrames dropped_{log_};
  cli::Reminder reminder_{log_};
  std::string frame_;
  bool is_feedback_broken_ = false;
  base::TimePoint next_word_{};
  base::TimePoint next_look_{};
  base::TimePoint next_refusal_{};
  bool is_drained_ = true;
  bool has_reader_left_ = false;
  bool has_exited_ = false;
  std::optional<int> exit_status_;
  std::optional<base::Error> failure_;
  bool has_given_up_ = false;  // the failure is a full disk on which it was told to stop
};

}  // namespace sink
