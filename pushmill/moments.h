// Times as people write and read them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace pushmill {

// "2026-11-22 05:01:02" by the local clock; "-" for 0, a time nobody knows.
std::string clock_text(base::WallTime at);
// "05:01:02", with the day in front if that is not the day of `now`.
std::string clock_text(base::WallTime at, base::WallTime now);
// A span, coarsely: "3s", "5m12s", "3h02m", "2d04h".
std::string span_text(base::Duration span);
// Seconds with three decimals.
std::string seconds_text(std::int64_t microseconds);
// A moment: YYYY-MM-DD, with HH:MM or HH:MM:SS behind a blank or a T, by the local clock; or a span before `now`, as "2h30m".
base::Result<base::WallTime> parse_moment(std::string_view text, base::WallTime now);

}  // namespace pushmill
