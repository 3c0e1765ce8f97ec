#include "cli/durations.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>

namespace cli {

using base::Error;

namespace {

constexpr double kMaxMicroseconds = 1e15;  // some 31 years: as much as the protocol takes
constexpr double kMaxBytes = 9007199254740992.0;  // 8 PiB

Error bad(const char* what, std::string_view text, const char* example) {
  return {Error::Kind::Usage, "bad " + std::string(what) + " '" + std::string(text) + "': write it like " + example};
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Takes a number without sign or exponent off the front.
std::optional<double> take_number(std::string_view& text) {
  if (text.empty() || (!is_digit(text.front()) && text.front() != '.')) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_letter(text[size])) ++size;
  const auto letters = text.substr(0, size);
  text.remove_prefix(size);
  return letters;
}

std::optional<double> microseconds_of(std::string_view unit) {
  std::string name;
  for (const char c : unit) name += lower(c);
  if (name == "ms") return 1e3;
  if (name.empty() || name == "s") return 1e6;
  if (name == "m") return 60e6;
  if (name == "h") return 3600e6;
  if (name == "d") return 86400e6;
  return std::nullopt;
}

std::optional<double> bytes_of(std::string_view factor) {
  if (factor.empty()) return 1.0;
  const bool is_binary = factor.size() == 2 && lower(factor[1]) == 'i';
  if (factor.size() > 1 && !is_binary) return std::nullopt;
  const std::size_t power = std::string_view("kmgtp").find(lower(factor[0]));
  if (power == std::string_view::npos) return std::nullopt;
  const bool is_capital = factor[0] != lower(factor[0]);
  return std::pow(is_binary || is_capital ? 1024.0 : 1000.0, static_cast<double>(power + 1));
}

}  // namespace

base::Result<base::Duration> parse_duration(std::string_view text) {
  const Error error = bad("duration", text, "10, 1.5s, 200ms, 5m or 1h30m");
  std::string_view rest = without_blanks(text);
  if (rest.empty()) return error;
  double total = 0;
  while (!rest.empty()) {
    const auto number = take_number(rest);
    if (!number) return error;
    const auto name = take_letters(rest);
    const auto unit = microseconds_of(name);
    rest = without_blanks(rest);
    if (!unit || (name.empty() && !rest.empty())) return error;  // only the last number may go without: 1m30
    total += *number * *unit;
  }
  if (!(total < kMaxMicroseconds)) return Error{Error::Kind::Usage, "duration '" + std::string(text) + "' is too long"};
  const auto rounded = std::llround(total);
  if (rounded == 0 && total > 0) return Error{Error::Kind::Usage, "duration '" + std::string(text) + "' is below a microsecond"};
  return base::Duration(rounded);
}

base::Result<std::uint64_t> parse_size(std::string_view text) {
  const Error error = bad("size", text, "4096, 64K, 1.5M or 1G");
  std::string_view rest = without_blanks(text);
  const auto number = take_number(rest);
  if (!number) return error;
  const auto factor = bytes_of(take_letters(rest));
  if (!factor || !rest.empty()) return error;
  const double bytes = *number * *factor;
  if (!(bytes < kMaxBytes)) return Error{Error::Kind::Usage, "size '" + std::string(text) + "' is too large"};
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace cli
