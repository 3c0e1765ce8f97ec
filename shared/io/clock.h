// The two clocks of the shells. Cores get their time handed in.
#pragma once

#include <chrono>

#include "base/time.h"

namespace io {

inline base::TimePoint now() { return std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()); }

inline base::WallTime wall_now() {  // for logs and rows only
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace io
