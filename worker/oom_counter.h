// How many processes the kernel has ended for want of memory, as far as it tells: the memory cgroup's own count where there is one, else that of the whole system.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace worker {

// The file that counts for this process. `proc_cgroup` is a file like /proc/self/cgroup, `root` where the cgroup file systems are mounted, `system` the file to fall
// back to; empty if there is none of them. memory.events of version 2, memory.oom_control of version 1 and /proc/vmstat all have a line "oom_kill N".
std::string find_oom_counter(const std::string& proc_cgroup = "/proc/self/cgroup", const std::string& root = "/sys/fs/cgroup",
                             const std::string& system = "/proc/vmstat");

// Tells which attempts ended that way. A kill is given to one attempt only, and to none that began after it was counted; which of two attempts that were both
// ended by KILL at that time it was nobody can tell.
class OomCounter {
 public:
  explicit OomCounter(const std::string& path);  // may be empty
  ~OomCounter();
  OomCounter(const OomCounter&) = delete;
  OomCounter& operator=(const OomCounter&) = delete;

  // For each attempt when it begins: what has been counted by then, to be handed to take(). Reads the file at most ten times a second: a kill counted since the last
  // look is taken for one of now.
  std::uint64_t seen(base::TimePoint now);
  // For an attempt that ended by KILL: whether there was a kill since `seen` that no other attempt has taken.
  bool take(std::uint64_t seen);

 private:
  void look();
  int fd_ = -1;
  std::uint64_t count_ = 0;
  std::uint64_t taken_ = 0;  // all kills up to this one are some attempt's, or too old
  base::TimePoint next_look_{};
};

}  // namespace worker
