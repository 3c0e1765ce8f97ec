// What is UTF-8: shortest forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace base {

// The length of the UTF-8 sequence that `text` begins with; 0: none does.
std::size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace base
