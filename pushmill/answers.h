// The subcommands that answer questions about a run, live, ended or broken off, and those that clear up after it. Each is in the file of its name; the value
// is the exit status.
#pragma once

#include "base/result.h"
#include "pushmill/options_answers.h"

namespace pushmill {

base::Result<int> log(const LogOptions& options);
base::Result<int> output(const OutputOptions& options);
base::Result<int> why(const JobOptions& options);
base::Result<int> status(const StatusOptions& options);
base::Result<int> runs(const RunsOptions& options);
base::Result<int> remove(const RemoveOptions& options);
base::Result<int> sql(const SqlOptions& options);
base::Result<int> retry(const RetryOptions& options);
base::Result<int> debug(const JobOptions& options);  // returns only if the job could not be started

}  // namespace pushmill
