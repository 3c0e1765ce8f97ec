// GNU parallel's options as its users write them: abbreviated, with or without hyphens, by any of their names. What `pushmill run` has is written out in a
// form that its own parser knows; what it does not have is refused by name, never ignored. Which is which, the parser's list of options says.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options.h"

namespace pushmill {

// Rewrites the options in front of the command; those that are nobody's are left to the parser.
std::optional<cli::Leave> settle_gnu_options(const CLI::App& app, std::vector<std::string>& arguments);

}  // namespace pushmill
