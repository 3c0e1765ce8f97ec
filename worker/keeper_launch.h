// From a command to a running process: its environment, its three streams, with a shell or without, and what to tell the user when it cannot be started.
// Called by the keeper only.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "worker/direct_exec.h"
#include "worker/keeper_feed.h"
#include "worker/keeper_seats.h"
#include "worker/keeper_spawn.h"

namespace worker {

// Exit codes of commands that did not start, those of the shells. A directory that cannot be entered is 126 as well: 127 always means "not found".
inline constexpr int kCannotExecute = 126;
inline constexpr int kNotFound = 127;

struct Launched {
  pid_t pid;
  int out, err;  // ends to read from, close-on-exec, blocking; -1 when the command was given streams of the worker
  std::unique_ptr<Feed> feed = {};  // of its stdin, where that has to be written
};
struct CannotLaunch {
  int exit_code;
  std::string reason;
};
struct LaunchLater {  // the system is short of something at this moment
  std::string reason;
};
using Launch = std::variant<Launched, CannotLaunch, LaunchLater>;

class Launcher {
 public:
  // Reads the environment of this process and raises its own limit of open files; commands get the limit it had.
  explicit Launcher(const KeeperHello& hello);
  // The seat of the attempt, its serial number given, gets the group as SpawnPlan has it.
  Launch launch(const KeeperStart& start, SharedSeats& seats);

 private:
  struct Streams;
  struct Environment;
  SpawnOutcome spawn_argv(SpawnPlan& plan, const std::vector<std::string>& argv, const Environment& environment, const std::string& directory);
  SpawnOutcome spawn_line(SpawnPlan& plan, const KeeperStart& start, const Environment& environment);
  SpawnOutcome spawn_words(SpawnPlan& plan, const std::string& path, const std::vector<std::string>& words, const std::vector<const char*>& environment);

  KeeperHello hello_;
  sigset_t caller_mask_;
  bool ignores_child_signal_;
  bool may_go_direct_;  // no signal blocked or ignored, no name twice in the environment
  rlimit open_files_{}, locks_{};
  int null_ = -1;
  std::string outer_marks_;            // of keepers above this one
  std::vector<const char*> inherited_;  // our own environment without the names that are set for each command
};

}  // namespace worker
