// The options that say what the replacement strings of a template are and how values are put in, for the programs that begin runs.
#pragma once

#include <optional>

#include "cli/options.h"
#include "ventilator/template.h"

namespace ventilator {

// REQUIRES: `options` lives until the command line is parsed; then check_template().
void add_template(CLI::App& app, ReplacementOptions& options);
// What does not fit together, in the options, the words of the command and the templates of the labels.
std::optional<cli::Leave> check_template(const WorkOptions& work);

}  // namespace ventilator
