// Text from users, peers and files, safe on one line of a terminal or log.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Control characters as C escapes (\n, \t, \x1b); everything else as it is.
std::string one_line(std::string_view text);

}  // namespace base
