// What the surroundings of the process say: how many slots it should use, and which shell called it.
#pragma once

#include <string>

#include "base/result.h"

namespace cli {

// The least of the CPUs this process may run on, the CPU quota of its cgroup and of those above it (rounded up), and SLURM_CPUS_PER_TASK;
// at least 1.
unsigned default_slots();

// The quota in CPUs, rounded up; 0: none. `proc_cgroup` is a file like /proc/self/cgroup, `root` where the cgroup file systems are mounted.
unsigned cgroup_cpus(const std::string& proc_cgroup, const std::string& root);

// The shell that runs commands, an absolute path: $PARALLEL_SHELL, else the parent process if it is a shell, else $SHELL, else /bin/sh. A $PARALLEL_SHELL that
// cannot be executed is an error: another shell would run the jobs otherwise than they are meant.
base::Result<std::string> calling_shell();

// An absolute path for what a user wrote as a shell, a path or a name to be found in PATH; empty: it is none that can run.
std::string find_shell(const std::string& shell);

}  // namespace cli
