// As much of JSON (RFC 8259) as records and answers of coprocesses need. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace worker {

// `text` as a JSON string with its quotes. REQUIRES: it is UTF-8.
void append_json_string(std::string_view text, std::string& json);

// What a checker found: `fault` says why it is not exactly one JSON value; `error` is the value of the outermost object's key "error", a string as its text,
// anything else but null as it stands.
struct JsonVerdict {
  std::optional<std::string> fault;
  std::optional<std::string> error;
};
// Strict: no comments, no trailing commas, no bytes that are not UTF-8, no nesting deeper than 512.
JsonVerdict check_json(std::string_view text);

}  // namespace worker
