// The default options of `pushmill run`: those of the user's configuration file, and behind them those of the variable PUSHMILL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pushmill {

// The words of `text` as a shell splits them: blanks and line ends between, '...', "..." and \ quote, # begins a comment. Usage: a quote has no end.
base::Result<std::vector<std::string>> split_words(std::string_view text);

// The default options and behind them the words of a command line; those alone, if they say --plain. Usage: a default that cannot be split, or is no option.
base::Result<std::vector<std::string>> with_defaults(const std::vector<std::string>& words);

}  // namespace pushmill
