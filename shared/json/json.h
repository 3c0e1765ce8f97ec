// JSON (RFC 8259): answers of coprocesses, arguments of calls, what the front prints and reads. The only user of nlohmann-json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace json {

using Value = nlohmann::ordered_json;  // members stay in their order

inline constexpr int kMostNesting = 512;

// Exactly one value, blanks around it allowed, of at most so many arrays and objects inside each other. An error (Usage) says what is wrong and where.
base::Result<Value> parse(std::string_view text, int most_nesting = kMostNesting);

// On one line. Bytes of strings that are not UTF-8 become U+FFFD: give such strings as bytes().
std::string print(const Value& value);
// `text` as a JSON string with its quotes, appended. REQUIRES: it is UTF-8.
void append_string(std::string_view text, std::string& json);

// A string if they are UTF-8, else {"base64": "..."}.
Value bytes(std::string_view bytes);

// As one msgpack value: arrays, maps by name, strings (str), integers, float32 or float64, bools and nil.
std::string to_msgpack(const Value& value);

}  // namespace json
