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

#include "worker/events.h"
#include "worker/keeper_protocol.h"
#include "worker/keeper_seats.h"
#include "worker/process_tree.h"
#include "wire/limits.h"

namespace worker {

// What commands are to inherit: the signals that were blocked and ignored when this program was called. To be taken before main changes any.
struct CallerSignals {
  sigset_t mask{};
  sigset_t ignored{};
  static CallerSignals of_this_process();
};

struct StuckAttempt {
  base::Attempt attempt;
  pid_t process = 0;
};

class KeeperRunner {
 public:
  struct Config {
    std::string keeper;  // path of the executable
    CallerSignals caller;
    std::size_t inline_output = wire::kInlineOutput;  // bytes of each stream that its result holds; more is given part by part
    std::size_t output_window = 1u << 20;             // bytes of each stream that are read before the first grant
    std::string tables;       // the directory for tables of what runs (keeper_seats.h); empty: they are not for a next start to find
    std::string oom_counter;  // as find_oom_counter() says
  };
  explicit KeeperRunner(Config config);
  // Ends everything that runs, without grace, and waits until it has ended, or what is left is stuck; what has not been collected is dropped.
  ~KeeperRunner();
  // Begins with that: several runners do it at once.
  void begin_to_end();
  bool has_timer() const { return timer_fd_ >= 0; }  // without one, for want of descriptors, it is of no use

  // Starts `command` as `attempt`. Every start gives exactly one result through collect(), whatever happens: a command that cannot be started is a failed
  // result with the shell's exit code (126, 127) and a reason; attempts that a dead keeper ran are results with outcome Lost; where
  // nothing can be run (no keeper can be started) the outcome is Returned.
  // `limit`: 0 for none; after it the whole process tree is ended and the outcome is Timeout.
  void start(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, base::Duration limit);
  // The same for a command that is to have these streams, and no time limit.
  void start_with_streams(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, const StreamPaths& streams);
  // Ends the whole process tree of a running attempt as its command says (term_seq); its result has outcome Cancelled. Unknown attempts are ignored.
  void kill(const base::Attempt& attempt);
  // What runs, and what is started behind this, is ended at `at` even if this process is stopped then. kNever: no such time.
  void run_until(base::TimePoint at);
  // A descriptor to poll for `events()` (poll(2) bits), or -1 while there is nothing to wait for; both may change after every call here.
  int fd() const;
  short events() const;
  // An output of a running attempt may be read up to `length`; beyond that its pipe is left to fill. At first that is Config::output_window.
  void grant(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t length);
  // To be called when the descriptor is ready: moves what was read of large outputs to the end of `outputs`, and what is finished to the end of
  // `results`, behind all of its outputs. Never blocks.
  // Filled in: attempt, outcome, exit_code, signal, slot, times, rusage, outputs (those that are not large) and their lengths, reason. `command` is left
  // to the caller.
  void collect(std::vector<OutputRead>& outputs, std::vector<wire::Result>& results);

  // Attempts started with streams whose command now has them, since the last call.
  std::vector<base::Attempt> take_launched() { return std::exchange(launched_, {}); }

  // Attempts that are being ended and have a process that does not go (TreeKiller::stuck()), since the last call: each is told once. Their results may never come.
  std::vector<StuckAttempt> take_stuck() { return std::exchange(stuck_, {}); }

  pid_t keeper_pid() const { return keeper_pid_; }  // 0: none runs

 private:
  struct Running {
    base::Attempt attempt;
    std::uint32_t slot = 0;
    base::WallTime started_at = 0;
    base::TimePoint started{};
    base::TermSeq term_seq;
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
    bool is_gone = false, is_told_stuck = false;
  };

  void hand_over(const Running& running, const base::Command& command, base::Duration limit, const StreamPaths& streams);
  void on_frame(FromKeeper frame, std::vector<OutputRead>& outputs, std::vector<wire::Result>& results);
  bool has_keeper(std::string& why_not);
  bool spawn_keeper(int socket, std::string& why_not);
  void on_keeper_gone();
  void wake_keeper() const;
  void sweep();
  void look_for_stuck(base::TimePoint now);
  void adopt_survivors(const ProcessTable& table);
  void reap_adopted();
  void finish_sweep();
  void add_result(const Running& running, base::Outcome outcome, std::string reason);
  void arm_timer(base::TimePoint at);

  Config config_;
  rlimit open_files_{};  // that commands are to have, whatever this process allows itself later
  int timer_fd_ = -1;
  pid_t keeper_pid_ = 0;
  std::unique_ptr<SharedSeats> seats_;
  std::unique_ptr<FrameChannel> channel_;                // none: no keeper, or it is gone and `is_sweeping_`
  base::TimePoint run_until_ = base::kNever;
  bool is_sweeping_ = false;
  bool is_sweep_stuck_ = false;                          // nothing is left for it to do
  base::TimePoint keeper_killed_at_{};                   // by us
  std::unordered_map<std::uint32_t, Running> running_;   // by seat
  std::vector<std::uint32_t> free_seats_;
  std::uint32_t next_seat_ = 0;
  std::vector<Leftover> leftovers_;
  std::deque<Waiting> waiting_;
  std::vector<base::Attempt> launched_;
  std::vector<StuckAttempt> stuck_;
  std::vector<wire::Result> ready_;                      // results that did not come from a keeper
  std::vector<pid_t> adopted_;                           // living children that came to us from dead keepers: of attempts that had ended well
};

// A runner's descriptor in an epoll, under the word `about`. renew() is to follow every call of the runner's: the number of a descriptor that it has closed
// could be another's next.
class KeeperWatch {
 public:
  void renew(int epoll, const KeeperRunner& runner, std::uint64_t about);

 private:
  int fd_ = -1;
  short events_ = 0;
};

}  // namespace worker
