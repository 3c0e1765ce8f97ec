// What is written to standard output by the way of stdio is there, or it is known why not.
#pragma once

#include <cstdio>

#include "base/result.h"

namespace cli {

// Everything that was written to `out`, stdout or a temporary file, has gone there; else why not. Full: there is no room.
base::Status flush(std::FILE* out);

}  // namespace cli
