// --halt: when a run is to stop before its end.
#pragma once

#include <string_view>

#include "base/result.h"
#include "wire/messages.h"

namespace CLI {
class App;
}

namespace ventilator {

// never; soon or now, then fail, success or done, then N or N%: "soon,fail=3%". And GNU parallel's older words: 0, 1, 2, -1, -2 and N%. Usage: anything else.
base::Result<wire::HaltRule> parse_halt(std::string_view text);

void add_halt(CLI::App& app, wire::HaltRule& rule);

}  // namespace ventilator
