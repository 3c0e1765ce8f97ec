// What a worker has left that was killed together with its keeper: nobody is there any more who could end the processes of its attempts. Called at the next start.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace worker {

struct Orphans {
  std::size_t ended = 0;
  pid_t stuck = 0;  // one that was killed and does not end (TreeKiller::stuck()); 0: none. Its table stays
};

// Ends, by KILL, all processes of attempts that ran under keepers whose tables in `directory` nobody has open, and removes the tables. Waits
// until they are gone or stuck, and for another process that is just doing the same: afterwards the attempts can be run again.
Orphans end_orphans(const std::string& directory);

}  // namespace worker
