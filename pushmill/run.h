// `pushmill run`: all three roles as threads of one process, over inproc. It composes them and decides nothing that they should decide.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/signals.h"
#include "pushmill/options.h"
#include "worker/keeper_runner.h"

namespace pushmill {

// `words`: the command line behind `run`, kept with the run so that it can be resumed. The value is the exit status.
base::Result<int> run(const RunOptions& options, const std::vector<std::string>& words);
// Whether `run` began the run in a directory, so that `resume` can go on with it; else ventilator and sink did.
base::Result<bool> was_begun_by_run(const std::string& directory);
// Continues the run in a directory with the command line it was begun with.
base::Result<int> resume(const ResumeOptions& options);

}  // namespace pushmill
