#include "base/term_seq.h"

#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>

namespace base {
namespace {

constexpr std::uint32_t kMostSignal = 64;
constexpr std::uint32_t kMostWait = 3'600'000;
constexpr std::size_t kMostSteps = 64;

std::optional<std::uint32_t> number(std::string_view word) {
  std::uint32_t value = 0;
  const char* const end = word.data() + word.size();
  const auto read = std::from_chars(word.data(), end, value);
  return !word.empty() && read.ec == std::errc() && read.ptr == end ? std::optional(value) : std::nullopt;
}

std::optional<std::uint32_t> signal_of(std::string_view word) {
  if (const auto value = number(word)) return *value >= 1 && *value <= kMostSignal ? value : std::nullopt;
  if (word.starts_with("SIG")) word.remove_prefix(3);
  for (std::uint32_t signal = 1; signal <= kMostSignal; ++signal) {
    const char* name = sigabbrev_np(static_cast<int>(signal));
    if (name != nullptr && word == name) return signal;
  }
  return std::nullopt;
}

}  // namespace

const TermSeq kDefaultTermSeq{SIGTERM, 200, SIGTERM, 100, SIGTERM, 50, SIGKILL, 25};

Result<TermSeq> parse_term_seq(std::string_view text) {
  TermSeq sequence;
  for (bool is_last = false; !is_last;) {
    const std::size_t end = text.find(',');
    is_last = end == std::string_view::npos;
    const std::string_view word = text.substr(0, end);
    const bool is_signal = sequence.size() % 2 == 0;
    const auto value = is_signal ? signal_of(word) : number(word);
    if (!value || (!is_signal && *value > kMostWait)) {
      return Error{Error::Kind::Usage, "'" + std::string(word) + "' is not " +
                                           (is_signal ? "a signal: write names or numbers, as in TERM,200,KILL" : "a wait in milliseconds, an hour at most")};
    }
    sequence.push_back(*value);
    if (!is_last) text.remove_prefix(end + 1);
  }
  if (sequence.size() % 2 != 0) sequence.push_back(0);
  if (sequence.size() > 2 * kMostSteps) return Error{Error::Kind::Usage, "more than " + std::to_string(kMostSteps) + " signals"};
  return sequence;
}

bool is_term_seq(const TermSeq& sequence) {
  if (sequence.size() % 2 != 0 || sequence.size() > 2 * kMostSteps) return false;
  for (std::size_t i = 0; i < sequence.size(); i += 2) {
    if (sequence[i] < 1 || sequence[i] > kMostSignal || sequence[i + 1] > kMostWait) return false;
  }
  return true;
}

}  // namespace base
