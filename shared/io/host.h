// The name of this host, for logs and locks.
#pragma once

#include <string>

namespace io {

std::string host_name();

}  // namespace io
