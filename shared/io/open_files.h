// How many descriptors this process may have open, and who may use the last of them.
//
// ZeroMQ accepts whoever connects. Out of descriptors its listeners would spin (tcp) or abort the program (ipc), and a crowd of strangers would take them from
// files. So this program has an accept4() of its own, which ZeroMQ calls: a connection that would use one of the last kReservedFiles is hung up on at once, and
// its peer tries again later. Whoever needs descriptors for itself uses the reserve without asking.
#pragma once

#include <cstdint>

namespace io {

inline constexpr std::uint64_t kReservedFiles = 16;

// Raises the soft limit, often 1,024, to `count` or as far as the hard one lets it; never lowers it, and says what it is then. Commands are to have the limit that the caller had: whoever starts them has
// noted it before.
std::uint64_t allow_open_files(std::uint64_t count);

// As the limit is now.
std::uint64_t allowed_open_files();
// Whether another could be opened that leaves `spare` of them.
bool has_spare_files(std::uint64_t spare);

}  // namespace io
