// The options that say how commands are run: shell, directory, environment, niceness, time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "ventilator/template.h"

namespace ventilator {

struct CommandOptions {
  std::string shell;      // as given; empty: the one that called
  std::string directory;  // as given; empty: where the run was begun
  std::vector<std::string> environment;  // names of variables and functions that travel with each job; "_": all
  std::int32_t nice = 0;
  base::Duration timeout{0};
  std::uint32_t timeout_percent = 0;  // of what jobs usually take
  base::TermSeq term_seq;
  bool kill_leftovers = false;
};

void add_commands(CLI::App& app, CommandOptions& options);
// What does not fit beside the work that is not a command.
std::optional<cli::Leave> check_commands(const CLI::App& app, const CommandOptions& options, const cli::Work& work);

// `calling_shell`: where the options name none. The values of the environment are those of this process.
JobDefaults defaults_of(const CommandOptions& options, std::string calling_shell);

}  // namespace ventilator
