#include "worker/pause.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace worker {

namespace {

constexpr int kPasses = 3;  // a process that is looked for may be starting another

struct Process { pid_t parent = 0; char state = 0; };

std::map<pid_t, Process> processes() {
  std::map<pid_t, Process> found;
  DIR* directory = ::opendir("/proc");
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    char path[32], line[512];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) continue;
    const std::size_t length = std::fread(line, 1, sizeof line - 1, file);
    std::fclose(file);
    line[length] = '\0';
    Process process;
    const char* behind = line;  // the name, which may hold anything
    for (const char* at = line; *at != '\0'; ++at)
      if (*at == ')') behind = at + 1;
    if (std::sscanf(behind, " %c %d", &process.state, &process.parent) == 2) found[pid] = process;
  }
  ::closedir(directory);
  return found;
}

// How far below this process; 0: it is none of ours. Our children are keepers, and theirs the commands.
int depth(const std::map<pid_t, Process>& known, pid_t pid) {
  const pid_t us = ::getpid();
  for (int depth = 0;; ++depth) {
    if (pid == us) return depth;
    const auto at = known.find(pid);
    if (at == known.end() || at->second.parent <= 1) return 0;
    pid = at->second.parent;
  }
}

}  // namespace

Paused pause_commands() {
  Paused paused;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto known = processes();
    for (const auto& [pid, process] : known) {
      if (depth(known, pid) < 2 || process.state == 'T' || process.state == 'Z') continue;
      if (std::find(paused.begin(), paused.end(), pid) == paused.end() && ::kill(pid, SIGSTOP) == 0) paused.push_back(pid);
    }
  }
  return paused;
}

void continue_commands(const Paused& paused) {
  for (const pid_t pid : paused) ::kill(pid, SIGCONT);
}

}  // namespace worker
