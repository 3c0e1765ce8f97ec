// What a worker has left that was killed together with its keeper: nobody is there any more who could end the processes of its attempts. Called at the next start.
#pragma once

#include <cstddef>
#include <string>

namespace worker {

// Ends, by KILL, all processes of attempts that ran under keepers whose tables in `directory` nobody has open, and removes the tables. How many there were. Waits
// until they are gone, and for another process that is just doing the same: afterwards the attempts can be run again.
std::size_t end_orphans(const std::string& directory);

}  // namespace worker
