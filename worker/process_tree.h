// Finds and ends all processes of an attempt, whatever they did to hide: new groups and sessions, double forks, cleared environments, blocked TERM. Used by the
// keeper, by the worker when the keeper was killed, and at a start for what a worker killed with its keeper has left. A caller that is a subreaper has them all
// below itself; whose each is, its mark tells.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/term_seq.h"
#include "base/time.h"
#include "worker/process_mark.h"

namespace worker {

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  std::uint64_t start_ticks = 0;  // pid and start name a process for ever; the pid alone may be used again
  bool is_dead = false;           // a zombie
  bool is_stopped = false;
};

std::optional<Process> read_process(pid_t pid);  // none: there is none

// One reading of /proc: the descendants of a process, or all processes.
class ProcessTable {
 public:
  explicit ProcessTable(pid_t root);  // 0: all
  pid_t root() const { return root_.pid; }
  const Process& root_process() const { return root_; }
  const std::vector<Process>& descendants() const { return descendants_; }  // by pid
  const Marks& marks(std::size_t index) const;  // of a descendant; read once

 private:
  Process root_;
  std::vector<Process> descendants_;
  mutable std::vector<std::optional<Marks>> marks_;
};

// Whose processes are meant.
struct Tree {
  pid_t group = 0;  // the group that the attempt's leader was started in; 0: not known
  Mark mark = 0;
};

// Until a process that does not end after KILL counts as stuck. What is told to stop may take 10 s in all (a container is killed then), and steps before KILL and
// words to the sink come on top of this; what only has much memory to give back ends in less.
inline constexpr base::Duration kStuckAfter{3'000'000};

// Ends one tree: each process gets, as it is found, the signal of the step that its sequence has reached, and all of them that of the next step when its time has
// come; KILL at last, until two readings in a row find none alive and none that died since. (One is not enough: a process in the middle of an exec shows no
// environment, and one forked during the reading may be missed.)
class TreeKiller {
 public:
  TreeKiller(Tree tree, const base::TermSeq& sequence, base::TimePoint now);

  // Signals what `table` shows; to be called again at next_step(), with a new table. `is_group_pinned`: the leader is the caller's child and not reaped,
  // so the group's number cannot belong to anybody else. True: nothing is left that we may signal.
  bool step(const ProcessTable& table, base::TimePoint now, bool is_group_pinned);
  void hurry(base::TimePoint now);  // KILL from now on
  base::TimePoint next_step() const { return next_step_; }
  int last_signal() const { return last_signal_; }  // that was sent to any of them; 0: none was
  std::size_t found() const { return found_; }  // living processes, up to now
  // A process that KILL was sent to kStuckAfter ago, where nothing lives in the tree but such: it waits in the kernel, for a file system that does not answer perhaps,
  // and may do so for ever. Nobody can do more; when it wakes up it ends without another step of its own. 0: there is none.
  pid_t stuck() const { return stuck_; }
  bool has_left_some() const { return !foreign_.empty(); }  // processes of another user, which we may not signal
  // Dead processes of the tree that are children of the table's root: for the caller to reap.
  const std::vector<pid_t>& dead_children() const { return dead_children_; }

 private:
  struct Name {
    pid_t pid;
    std::uint64_t start_ticks;
    auto operator<=>(const Name&) const = default;
  };
  std::vector<std::size_t> members(const ProcessTable& table) const;
  bool is_seed(const ProcessTable& table, std::size_t index) const;
  void send(const Process& process, int signal);
  void strike_children(pid_t root);

  Tree tree_;
  base::TermSeq sequence_;  // ends with a KILL that has no end
  std::size_t at_ = 0;      // the step it has reached: its signal
  bool has_begun_ = false;
  base::Duration wait_{1000};
  base::TimePoint next_step_;
  base::TimePoint step_ends_;
  int empty_readings_ = 0;
  int last_signal_ = 0;
  std::size_t found_ = 0;
  std::set<Name> known_;       // members found so far: they stay members when their parents die
  std::vector<Name> foreign_;
  std::map<Name, base::TimePoint> killed_;  // when each was sent its first KILL
  pid_t stuck_ = 0;
  std::vector<pid_t> dead_children_;
};

}  // namespace worker
