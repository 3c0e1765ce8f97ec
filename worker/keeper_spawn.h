// Starts one process as posix_spawn does (the parent's memory is shared, not copied, until the exec), and says which step failed when one did. Called by
// the keeper's launcher; the keeper has one thread and every signal blocked.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>

namespace worker {

struct SpawnPlan {
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  int nice = 0;  // added to the keeper's own
  const char* directory = nullptr;  // nullptr: stay
  int in = -1, out = -1, err = -1;  // all above 2 and close-on-exec, like every other descriptor of the caller above 2
  sigset_t mask{};                  // of signals, for the command
  bool ignores_child_signal = false;
  rlimit open_files{};
  rlimit locks{};                   // the mark
  pid_t* group = nullptr;           // the new process's pid, which is its group's too, stands here before it takes its first step
};

struct SpawnOutcome {
  enum class Failed { Nothing, Fork, Directory, Exec };
  Failed failed = Failed::Nothing;
  int error = 0;
  pid_t pid = 0;  // a child of the caller, leader of its own process group; valid when nothing failed
};

SpawnOutcome spawn(const SpawnPlan& plan);

}  // namespace worker
