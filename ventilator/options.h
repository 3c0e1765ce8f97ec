// The command line of the ventilator program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "io/database.h"
#include "io/lock.h"
#include "ventilator/options_commands.h"
#include "ventilator/options_input.h"
#include "ventilator/options_pipe.h"
#include "ventilator/options_policy.h"
#include "ventilator/options_template.h"

namespace ventilator {

struct Options {
  std::string sink, listen, run_directory;
  InputOptions input;
  PipeOptions pipe;
  cli::Work work;
  std::vector<std::string> words;  // of the command template
  PolicyOptions policy;
  ReplacementOptions replacements;
  LabelOptions label;
  CommandOptions commands;
  bool is_live = false;
  std::uint64_t spool_bytes = 1ull << 30;
  io::Durability durability = io::Durability::Power;
  io::TakeOver take_over = io::TakeOver::No;
  bool insecure = false;

  WorkOptions job_work() const {
    WorkOptions made{words, work.call, work.coprocess, work.framing, replacements, label};
    made.replacements.is_filter = pipe.is_on();
    return made;
  }
};

std::optional<cli::Leave> parse(const std::vector<std::string>& arguments, Options& options);

// The same in two steps, for a caller that parses many command lines with one app. REQUIRES: `options` are those that the app was made with, and as new.
void add_options(CLI::App& app, Options& options);
std::optional<cli::Leave> parse(CLI::App& app, const std::vector<std::string>& arguments, Options& options);

}  // namespace ventilator
