// `pushmill run --dry-run`: says what would be run.
#pragma once

#include "base/result.h"
#include "pushmill/options.h"

namespace pushmill {

// Prints the line of each job, as `shell` would get it, on standard output; of a call or a coprocess the record. Runs nothing and makes no run directory.
base::Result<int> dry_run(const RunOptions& options, const std::string& shell);

}  // namespace pushmill
