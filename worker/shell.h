// The worker's loop: it hands frames and ended jobs to the core and carries out what the core wants: sends, starts and kills.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cli/dropped_frames.h"
#include "cli/log.h"
#include "cli/reminder.h"
#include "io/monitor.h"
#include "io/reactor.h"
#include "io/socket.h"
#include "worker/amount.h"
#include "worker/call_runner.h"
#include "worker/coprocess_runner.h"
#include "worker/core.h"
#include "worker/input_store.h"
#include "worker/keeper_pool.h"
#include "worker/machine.h"
#include "worker/relative_limit.h"

namespace worker {

struct ShellConfig {
  std::string sink_endpoint;
  std::string listen;  // for the lane; empty: as io::default_listen says, anew for each session
  std::uint32_t slots = 1;
  std::string slots_file, load_file;  // that say another number of slots, another load, when they change; empty: none
  StartRules starts;
  wire::HaltRule halt = {};  // of the run, where it is known
  std::uint32_t limit_percent = 0;  // of what jobs usually take: a time limit. 0: none
  base::Duration head_timeout{60'000'000};
  base::Duration hold_timeout{3'600'000'000};
  bool stops_without_head = false;
  KeeperRunner::Config keeper;
  int stop_fd = -1;  // readable: end the jobs, hand in what is held, and leave
  int quit_fd = -1;  // readable: leave at once; what is held is given up, and the jobs are ended with this object. -1: there is none
};

class Shell {
 public:
  Shell(io::Context& context, ShellConfig config, const HandlerRegistry& handlers, const cli::Log& log);

  // Runs until the run is complete, the head is not found in time, or it was told to stop.
  base::Result<Exit::Why> run();
  // Threads of calls that would not end are left: they must not see this program's static objects go.
  bool has_lost_slots() const { return core_ && core_->lost_slots() > 0; }

 private:
  base::Status open_session();
  void reopen_session();
  void close_session();
  void receive();
  void collect();
  void fail(std::string reason);
  void feed(Event&& event);
  void carry_out(Effects& effects);
  void carry_out(OpenSession& effect);
  void carry_out(CloseSession& effect);
  void carry_out(SendState& effect);
  void carry_out(SendResults& effect);
  void carry_out(SendOutput& effect);
  void carry_out(Grant& effect);
  void carry_out(KeepInput& effect);
  void carry_out(DropInput& effect);
  void carry_out(SendBye& effect);
  void carry_out(Start& effect);
  void start_record(const Start& effect, base::Record&& record, base::Duration limit);
  void carry_out(Kill& effect);
  void carry_out(RunUntil& effect);
  void carry_out(LookAtMachine& effect);
  void carry_out(Exit& effect);
  void send(const wire::ToSink& message);
  void fail_unstarted(const Start& effect, const std::string& reason);
  void return_unstarted(const Start& effect, const std::string& reason);
  void give_words(wire::Result& result);
  bool is_remote() const;  // the ventilator's files are not to be seen here
  void look_at_slots();
  std::uint32_t most_slots() const;
  void note_ended(wire::Result& result);
  void note_stuck(const StuckAttempt& stuck);
  void kill(const base::Attempt& attempt);
  void end_overdue();
  void say_what_is_waited_for();

  io::Context& context_;
  ShellConfig config_;
  const cli::Log& log_;
  const HandlerRegistry& handlers_;
  std::unique_ptr<KeeperPool> commands_;
  std::unique_ptr<CallRunner> calls_;
  std::unique_ptr<CoprocessRunner> coprocesses_;  // none before the first record

  base::WorkerId id_;
  std::string host_;
  io::Reactor reactor_;
  std::optional<io::Pull> pull_;
  std::optional<io::Uplink> uplink_;
  io::Monitor link_;
  std::optional<Core> core_;
  base::RunId run_;  // zero until a lane has told it
  std::string no_room_;  // why the present session was refused
  Effects effects_;
  std::vector<Event> events_;  // that an effect led to
  struct Words {
    std::string command, label;
  };
  InputStore inputs_;
  MachineProbe machine_;
  AmountFile slots_file_, load_file_;
  RelativeLimit limit_;
  std::unordered_set<base::Attempt, base::HashAttempt> overdue_;  // being ended because of that limit
  std::unordered_map<base::Attempt, Words, base::HashAttempt> words_;  // of the commands that run, and of calls that have a label
  std::vector<wire::Result> results_;
  std::vector<Ended> ended_;  // calls
  std::vector<OutputRead> outputs_;
  std::vector<std::string> remarks_;
  io::Frame received_;
  cli::DroppedFrames dropped_{log_};
  cli::Reminder reminder_{log_};
  std::string frame_;
  base::TimePoint reopen_at_ = base::kNever;
  base::TimePoint next_word_{};
  base::TimePoint run_until_ = base::kNever;
  bool is_stopping_ = false;
  bool has_room_ = true;  // for inputs, as far as is known
  std::optional<base::Error> failure_;  // of a runner: nothing can be run here
  std::optional<Exit::Why> why_;
};

}  // namespace worker
