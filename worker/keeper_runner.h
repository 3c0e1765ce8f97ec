// Runs commands through a keeper process: starts it at the first command, hands it commands, collects results, and when it was killed ends what it left
// behind before the attempts are reported lost. Owned and called by the worker's shell, from one thread.
// It makes this process a subreaper, so that what a killed keeper leaves comes to us, and it reaps nothing but its own keeper and those processes.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "worker/keeper_protocol.h"
#include "worker/process_runner.h"
#include "worker/process_tree.h"
#include "wire/limits.h"

namespace worker {

// What commands are to inherit: the signals that were blocked and ignored when this program was called. To be taken before main changes any.
struct CallerSignals {
  sigset_t mask{};
  sigset_t ignored{};
  static CallerSignals of_this_process();
};

class KeeperRunner : public ProcessRunner {
 public:
  struct Config {
    std::string keeper;  // path of the executable
    CallerSignals caller;
    std::size_t inline_output = wire::kInlineOutput;  // bytes of each stream that its result holds; more is given part by part
    std::size_t output_window = 1u << 20;             // bytes of each stream that are read before the first grant
    base::Duration grace{200'000};                    // between TERM and KILL
  };
  explicit KeeperRunner(Config config);
  // Ends everything that runs and waits until it has ended (grace and a little more); what has not been collected is dropped.
  ~KeeperRunner() override;
  bool has_timer() const { return timer_fd_ >= 0; }  // without one, for want of descriptors, it is of no use

  void start(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, base::Duration limit) override;
  // The same for a command that is to have these streams, and no time limit.
  void start_with_streams(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, const StreamPaths& streams);
  void kill(const base::Attempt& attempt) override;
  int fd() const override;
  short events() const override;
  void grant(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t length) override;
  void collect(std::vector<OutputRead>& outputs, std::vector<wire::Result>& results) override;

  // Attempts started with streams whose command now has them, since the last call.
  std::vector<base::Attempt> take_launched() { return std::exchange(launched_, {}); }

  pid_t keeper_pid() const { return keeper_pid_; }  // 0: none runs

 private:
  struct Running {
    base::Attempt attempt;
    std::uint32_t slot = 0;
    base::WallTime started_at = 0;
    base::TimePoint started{};
  };
  struct Waiting {  // for the dead keeper's processes to be gone
    Running running;
    base::Command command;
    base::Duration limit;
    StreamPaths streams;
  };
  struct Leftover {
    Running running;
    TreeKiller killer;
    bool is_gone = false;
  };

  void hand_over(const Running& running, const base::Command& command, base::Duration limit, const StreamPaths& streams);
  void on_frame(FromKeeper frame, std::vector<OutputRead>& outputs, std::vector<wire::Result>& results);
  bool has_keeper(std::string& why_not);
  bool spawn_keeper(int socket, std::string& why_not);
  void on_keeper_gone();
  void sweep();
  void adopt_survivors(const ProcessTable& table);
  void reap_adopted();
  void finish_sweep();
  void add_result(const Running& running, base::Outcome outcome, std::string reason);
  void arm_timer(base::TimePoint at);

  Config config_;
  rlimit open_files_{};  // that commands are to have, whatever this process allows itself later
  int timer_fd_ = -1;
  pid_t keeper_pid_ = 0;
  std::string token_;
  std::unique_ptr<SharedGroups> groups_;
  std::unique_ptr<FrameChannel> channel_;                // none: no keeper, or it is gone and `is_sweeping_`
  bool is_sweeping_ = false;
  std::unordered_map<std::uint32_t, Running> running_;   // by seat
  std::vector<std::uint32_t> free_seats_;
  std::uint32_t next_seat_ = 0;
  std::vector<Leftover> leftovers_;
  std::deque<Waiting> waiting_;
  std::vector<base::Attempt> launched_;
  std::vector<wire::Result> ready_;                      // results that did not come from a keeper
  std::vector<pid_t> adopted_;                           // living children that came to us from dead keepers: of attempts that had ended well
};

}  // namespace worker
