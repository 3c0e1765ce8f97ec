// In which ways an attempt can fail, and sets of these: what --retry-on and --no-retry-on name, and what the run's policy says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/job.h"
#include "base/result.h"

namespace base {

// A number of the protocol: an exit code itself; a signal, its time limit or its memory as below.
using Cause = std::uint32_t;
inline constexpr Cause kGreatestExitCode = 255;
inline constexpr Cause kSignalCause = 256;  // + the signal's number
inline constexpr Cause kGreatestSignal = 64;
inline constexpr Cause kTimeoutCause = 512;
inline constexpr Cause kOomCause = 513;
inline constexpr Cause kGreatestCause = kOomCause;

// Of an attempt that failed. Whatever numbers a worker says, it is one of the causes above.
Cause cause_of(Outcome outcome, std::int32_t exit_code, std::int32_t signal);

struct CauseRange {
  Cause first = 0, last = 0;
  bool operator==(const CauseRange&) const = default;
};

struct FailureSet {
  std::vector<CauseRange> ranges;  // ascending, none empty, none touching another; from a peer in any order

  static FailureSet all() { return {{{0, kGreatestCause}}}; }
  // A comma list of exit codes, ranges of them, signals (SIGSEGV), and the words signal (any), timeout and oom. Usage: names the word that is none of these.
  static Result<FailureSet> parse(std::string_view list);
  // The same as numbers, "0-255,512": for results.db. NotFound: `text` is no such list.
  std::string text() const;
  static Result<FailureSet> from_text(std::string_view text);

  bool contains(Cause cause) const;
  FailureSet without(const FailureSet& others) const;
  bool operator==(const FailureSet&) const = default;
};

}  // namespace base
