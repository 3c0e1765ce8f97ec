// The arguments of one job, made by the input and put into the template.
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/job.h"

namespace ventilator {

struct Arguments {
  base::JobId number = 1;                     // of the job as its user counts: {#}
  std::vector<std::string_view> values = {};  // {1}, {2}, ...: a value for each source or column, those of a further row behind those of the one before
  std::string_view stdin_bytes = {};          // of a command
  const base::InputFile* input = nullptr;     // what it reads behind these
  bool has_own_number = false;                // `number` is not the id of the job: its label has to say it
};

}  // namespace ventilator
