// Bytes in JSON: what is UTF-8 is a string, anything else {"base64": "..."}. So nothing is lost, and nothing has to be guessed.
#pragma once

#include <string>
#include <string_view>

namespace base {

void append_json_bytes(std::string_view bytes, std::string& json);
// RFC 4648, with padding, in one line.
void append_base64(std::string_view bytes, std::string& text);

}  // namespace base
