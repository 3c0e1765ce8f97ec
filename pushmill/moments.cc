#include "pushmill/moments.h"

#include <cstdio>
#include <ctime>

#include "cli/durations.h"

namespace pushmill {

namespace {

std::tm local(base::WallTime at) {
  const auto seconds = static_cast<std::time_t>(at / 1'000'000);
  std::tm time{};
  ::localtime_r(&seconds, &time);
  return time;
}

std::string text_of(const std::tm& time, const char* format) {
  char text[40];
  return {text, std::strftime(text, sizeof text, format, &time)};
}

}  // namespace

std::string clock_text(base::WallTime at) { return at == 0 ? "-" : text_of(local(at), "%F %T"); }

std::string clock_text(base::WallTime at, base::WallTime now) {
  if (at == 0) return "-";
  const std::tm then = local(at), today = local(now);
  return text_of(then, then.tm_yday == today.tm_yday && then.tm_year == today.tm_year ? "%T" : "%F %T");
}

std::string span_text(base::Duration span) {
  const long long seconds = std::max<long long>(0, span.count() / 1'000'000);
  char text[48];
  if (seconds < 60) std::snprintf(text, sizeof text, "%llds", seconds);
  else if (seconds < 3600) std::snprintf(text, sizeof text, "%lldm%02llds", seconds / 60, seconds % 60);
  else if (seconds < 48 * 3600) std::snprintf(text, sizeof text, "%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
  else std::snprintf(text, sizeof text, "%lldd%02lldh", seconds / 86400, seconds / 3600 % 24);
  return text;
}

std::string seconds_text(std::int64_t microseconds) {
  char text[48];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(microseconds) / 1e6);
  return text;
}

base::Result<base::WallTime> parse_moment(std::string_view text, base::WallTime now) {
  const std::string whole(text);
  std::tm time{};
  for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    time = {};
    const char* end = ::strptime(whole.c_str(), format, &time);
    if (end == nullptr || *end != '\0') continue;
    time.tm_isdst = -1;
    return static_cast<base::WallTime>(std::mktime(&time)) * 1'000'000;
  }
  const auto span = cli::parse_duration(text);
  if (span) return now - span->count();
  return base::Error{base::Error::Kind::Usage, "'" + whole + "' is neither a time (2026-11-22 05:01) nor a span before now (2h30m)"};
}

}  // namespace pushmill
