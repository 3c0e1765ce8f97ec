// What a full disk means to the roles: wait for room, say so once, and do nothing meanwhile that depends on it.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace io {

// Calls `action` until it succeeds, again each second while its error is of kind Full, which `say` hears once. Returns any other error, and Full when
// `stop_fd` becomes readable.
base::Status insist(const std::function<base::Status()>& action, int stop_fd, const std::function<void(const std::string&)>& say);

}  // namespace io
