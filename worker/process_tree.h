// Finds and ends all processes of an attempt, whatever they did to hide: new groups and sessions, double forks, blocked TERM. Used by the keeper, and by
// the worker when the keeper was killed. It relies on its caller being a subreaper: every process of an attempt is then a descendant of the caller, and
// what lost its parents is still told apart by the mark in its environment. Only a process that cleared its environment, left its group and its session
// and lost all its parents before the end began can pass for somebody else's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

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

// One reading of /proc: the descendants of a process.
class ProcessTable {
 public:
  explicit ProcessTable(pid_t root);
  pid_t root() const { return root_.pid; }
  const Process& root_process() const { return root_; }
  const std::vector<Process>& descendants() const { return descendants_; }  // by pid
  // The marks in the environment of a descendant: words separated by blanks, none if it cannot be read. Read once.
  const std::string& marks(std::size_t index) const;

 private:
  Process root_;
  std::vector<Process> descendants_;
  mutable std::vector<std::string> marks_;
  mutable std::vector<bool> has_read_marks_;
};

// Whose processes are meant.
struct Tree {
  pid_t group = 0;           // the group that the attempt's leader was started in; 0: not known
  std::string mark;          // as attempt_mark() made it
  std::string stray_token;   // not empty: also children of the table's root that carry no mark with this token and started
  std::uint64_t stray_since = 0;  // no earlier than this tick
};

// Ends one tree: TERM to each process as it is found, KILL after the grace, until two readings in a row find none alive. (One is not enough: a process
// in the middle of an exec shows no environment, and one forked during the reading may be missed.)
class TreeKiller {
 public:
  TreeKiller(Tree tree, base::Duration grace, base::TimePoint now) : tree_(std::move(tree)), next_step_(now), kill_at_(now + grace) {}

  // Signals what `table` shows; to be called again at next_step(), with a new table. `is_group_pinned`: the leader is the caller's child and not reaped,
  // so the group's number cannot belong to anybody else. True: nothing is left that we may signal.
  bool step(const ProcessTable& table, base::TimePoint now, bool is_group_pinned);
  base::TimePoint next_step() const { return next_step_; }
  bool has_killed() const { return has_killed_; }       // TERM was not enough
  bool has_left_some() const { return !foreign_.empty(); }  // processes of another user, which we may not signal
  // Dead processes of the tree that are children of the table's root: for the caller to reap.
  const std::vector<pid_t>& dead_children() const { return dead_children_; }

 private:
  struct Name {
    pid_t pid;
    std::uint64_t start_ticks;
    bool operator==(const Name&) const = default;
  };
  std::vector<std::size_t> members(const ProcessTable& table) const;
  bool is_seed(const ProcessTable& table, std::size_t index) const;
  void send(const Process& process, int signal);

  Tree tree_;
  base::Duration wait_{1000};
  base::TimePoint next_step_;
  base::TimePoint kill_at_;
  int empty_readings_ = 0;
  bool has_killed_ = false;
  std::vector<Name> known_;    // members found so far: they stay members when their parents die
  std::vector<Name> foreign_;
  std::vector<pid_t> dead_children_;
};

}  // namespace worker
