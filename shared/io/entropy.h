// Random bytes from the kernel: for ids, names and seeds. The cores never call it; they get a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/ids.h"

namespace io {

void fill_random(void* bytes, std::size_t size);
std::uint64_t random_seed();
std::string random_hex(std::size_t bytes);  // 2 * bytes lower-case digits
base::RunId new_run_id();
base::WorkerId new_worker_id();

}  // namespace io
