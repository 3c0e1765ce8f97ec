// The command line of the worker program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "cli/options.h"
#include "worker/options_starts.h"

namespace worker {

struct Options {
  std::string sink, listen;
  StartOptions starts;
  base::Duration head_timeout{60'000'000};
  base::Duration hold_timeout{3'600'000'000};
  bool stops_without_head = false;
  bool insecure = false;
};

std::optional<cli::Leave> parse(const std::vector<std::string>& arguments, Options& options);

}  // namespace worker
