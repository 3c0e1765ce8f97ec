// The command line of the sink program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "io/database.h"
#include "io/lock.h"
#include "sink/options_output.h"

namespace sink {

struct Options {
  std::vector<std::string> listen;
  std::string run_directory, joblog;
  bool keep_order = false;
  KeepOutput keep_output = KeepOutput::All;
  OutputOptions output;
  io::Durability durability = io::Durability::Power;
  io::TakeOver take_over = io::TakeOver::No;
  bool insecure = false;
};

std::optional<cli::Leave> parse(const std::vector<std::string>& arguments, Options& options);

}  // namespace sink
