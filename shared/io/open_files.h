// How many descriptors this process may have open.
#pragma once

namespace io {

// Raises the soft limit, often 1,024, to the hard one: a ventilator needs two descriptors for each worker, a sink one. Not for a process that starts users' commands, which
// are to have the limit that the caller had.
void allow_many_open_files();

}  // namespace io
