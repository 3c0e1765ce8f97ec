// Stops what this process's keepers run, for a user who stops the program, and lets it go on.
#pragma once

#include <sys/types.h>

#include <vector>

namespace worker {

using Paused = std::vector<pid_t>;

Paused pause_commands();  // those that had not been stopped
void continue_commands(const Paused& paused);

}  // namespace worker
