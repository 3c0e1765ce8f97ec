#include "base/failures.h"

#include <string.h>  // sigabbrev_np

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>

namespace base {
namespace {

std::optional<Cause> number(std::string_view text, Cause least, Cause most) {
  Cause value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

// "3" or "3-5".
std::optional<CauseRange> range(std::string_view word, Cause least, Cause most) {
  const auto dash = word.find('-');
  const auto first = number(word.substr(0, dash), least, most);
  const auto last = dash == word.npos ? first : number(word.substr(dash + 1), least, most);
  if (!first || !last || *first > *last) return std::nullopt;
  return CauseRange{*first, *last};
}

std::optional<CauseRange> named(std::string_view word) {
  if (word == "signal") return CauseRange{kSignalCause + 1, kSignalCause + kGreatestSignal};
  if (word == "timeout") return CauseRange{kTimeoutCause, kTimeoutCause};
  if (word == "oom") return CauseRange{kOomCause, kOomCause};
  if (!word.starts_with("SIG")) return std::nullopt;
  for (Cause signal = 1; signal <= kGreatestSignal; ++signal) {
    const char* name = sigabbrev_np(static_cast<int>(signal));
    if (name != nullptr && word.substr(3) == name) return CauseRange{kSignalCause + signal, kSignalCause + signal};
  }
  return std::nullopt;
}

FailureSet set_of(const std::function<bool(Cause)>& has) {
  FailureSet set;
  for (Cause cause = 0; cause <= kGreatestCause; ++cause) {
    if (!has(cause)) continue;
    if (!set.ranges.empty() && set.ranges.back().last + 1 == cause) set.ranges.back().last = cause;
    else set.ranges.push_back({cause, cause});
  }
  return set;
}

// `take` reads each word; the first that it cannot read is `bad`.
std::optional<FailureSet> read_list(std::string_view list, const std::function<std::optional<CauseRange>(std::string_view)>& take, std::string_view& bad) {
  FailureSet found;
  for (bool more = true; more;) {
    const auto comma = list.find(',');
    const std::string_view word = list.substr(0, comma);
    const auto taken = take(word);
    if (!taken) return bad = word, std::nullopt;
    found.ranges.push_back(*taken);
    more = comma != list.npos;
    if (more) list.remove_prefix(comma + 1);
  }
  return set_of([&](Cause cause) { return found.contains(cause); });
}

}  // namespace

Cause cause_of(Outcome outcome, std::int32_t exit_code, std::int32_t signal) {
  if (outcome == Outcome::Timeout) return kTimeoutCause;
  if (outcome == Outcome::Oom) return kOomCause;
  if (signal > 0) return kSignalCause + std::min(static_cast<Cause>(signal), kGreatestSignal);
  return exit_code < 0 ? kGreatestExitCode : std::min(static_cast<Cause>(exit_code), kGreatestExitCode);
}

Result<FailureSet> FailureSet::parse(std::string_view list) {
  std::string_view bad;
  const auto set = read_list(list, [](std::string_view word) {
    const auto codes = range(word, 1, kGreatestExitCode);
    return codes ? codes : named(word);
  }, bad);
  if (set) return *set;
  return Error{Error::Kind::Usage, "'" + std::string(bad) + "' is not an exit code from 1 to 255, a range of them (3-5), a signal (SIGSEGV; signal for any), "
                                   "timeout or oom"};
}

Result<FailureSet> FailureSet::from_text(std::string_view text) {
  if (text.empty()) return FailureSet{};
  std::string_view bad;
  if (const auto set = read_list(text, [](std::string_view word) { return range(word, 0, kGreatestCause); }, bad)) return *set;
  return Error{Error::Kind::NotFound, "'" + std::string(bad) + "' is no cause of a failure"};
}

std::string FailureSet::text() const {
  std::string text;
  for (const CauseRange& range : ranges) {
    text += (text.empty() ? "" : ",") + std::to_string(range.first);
    if (range.last > range.first) text += "-" + std::to_string(range.last);
  }
  return text;
}

bool FailureSet::contains(Cause cause) const {
  return std::any_of(ranges.begin(), ranges.end(), [cause](const CauseRange& range) { return range.first <= cause && cause <= range.last; });
}

FailureSet FailureSet::without(const FailureSet& others) const {
  return set_of([&](Cause cause) { return contains(cause) && !others.contains(cause); });
}

}  // namespace base
