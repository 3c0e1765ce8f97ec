// Durations and sizes as users write them. Errors are of kind Usage and name the text.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace cli {

// Numbers with a unit, added up: 1.5s, 200ms, 5m, 1h30m, "1h 30m", 2d. Without a unit: seconds. As in GNU parallel capitals are the same, so
// that 5M is five minutes. Zero is allowed, what rounds to less than a microsecond otherwise is not.
base::Result<base::Duration> parse_duration(std::string_view text);

// A number of bytes, with a factor as GNU parallel has them: K M G T P are powers of 1024, k m g t p of 1000; Ki and so on of 1024.
base::Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace cli
