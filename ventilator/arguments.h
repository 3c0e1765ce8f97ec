// The arguments of one job, made by the input and put into the template.
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.h"

namespace ventilator {

struct Arguments {
  base::JobId number = 1;                     // of the job as its user counts: {#}
  std::vector<std::string_view> values = {};  // {1}, {2}, ...: a value for each source or column, those of a further row behind those of the one before
  bool has_own_number = false;                // `number` is not the id of the job: its label has to say it
};

}  // namespace ventilator
