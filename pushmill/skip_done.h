// --skip-done: a run directory takes more jobs behind those that it has, but for what succeeded there already.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "io/lock.h"
#include "ventilator/done_jobs.h"

namespace pushmill {

// Readies the run in `directory` for one more call: it has not ended, what has failed counts no more and may come again, and the call's template and origin
// are the run's. What an earlier call accepted and did not finish is still to be run. The value is what this call leaves out; none: there is no run yet.
// Conflict: what is unfinished is of another template.
base::Result<std::optional<ventilator::DoneJobs>> go_on(const std::string& directory, const std::string& template_text, const std::string& origin, io::TakeOver take_over);

// What the call that was interrupted left out, and what it had accepted itself.
base::Result<ventilator::DoneJobs> done_so_far(const std::string& directory);
// What a call now would leave out. Reads only.
base::Result<ventilator::DoneJobs> done_now(const std::string& directory);

}  // namespace pushmill
