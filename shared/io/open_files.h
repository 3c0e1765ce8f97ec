// How many descriptors this process may have open.
#pragma once

#include <cstdint>

namespace io {

// Raises the soft limit, often 1,024, to `count` or as far as the hard one lets it; never lowers it, and says what it is then. Commands are to have the limit that the caller had: whoever starts them has
// noted it before.
std::uint64_t allow_open_files(std::uint64_t count);

}  // namespace io
