// The options that say how jobs are shown and where their outputs go, as far as that depends on their arguments: what goes into the labels of the jobs. What
// the sink then does with a label has its options in sink/options_output.h.
#pragma once

#include <optional>

#include "cli/options.h"
#include "ventilator/labels.h"

namespace ventilator {

// REQUIRES: `options` lives until the command line is parsed; then check_label().
void add_label(CLI::App& app, LabelOptions& options);
// What does not fit together.
std::optional<cli::Leave> check_label(LabelOptions& options);

}  // namespace ventilator
