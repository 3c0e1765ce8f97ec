// Until when each attempt that a worker holds may run, in a run whose attempts must not overlap: a lease from the sending of the newest STATE of which it is
// known that the sink has read it and that it listed the attempt. Sooner than that the sink does not give it up. Owned by the core; on the monotonic clock,
// which a stopped process does not stop.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace worker {

class Permits {
 public:
  void note_sent(std::uint64_t state_seq, base::TimePoint at, base::Duration lease);  // a STATE that lists all that is held
  void note_echo(std::uint64_t state_seq, base::Duration lease);

  // Received just now. The ventilator, and so the sink, knew the newest echoed STATE when it was sent: it counts until one that lists the attempt is echoed.
  void add(const base::Attempt& attempt, base::Duration lease);
  void erase(const base::Attempt& attempt);
  // Those that may not run any more; they are forgotten here.
  std::vector<base::Attempt> take_overdue(base::TimePoint now);

  base::TimePoint until(const base::Attempt& attempt) const;  // kNever: unknown here
  base::TimePoint soonest() const { return soonest_; }        // of all, or earlier

 private:
  struct Permit {
    std::uint64_t listed_from = 0;  // number of the first STATE that lists it
    base::TimePoint until{};
  };
  void find_soonest();

  std::deque<std::pair<std::uint64_t, base::TimePoint>> sent_;  // STATEs of less than a lease ago, not echoed
  std::uint64_t last_sent_ = 0;
  base::TimePoint echoed_since_{};  // when the newest echoed STATE was sent
  std::unordered_map<base::Attempt, Permit, base::HashAttempt> permits_;
  base::TimePoint soonest_ = base::kNever;
};

}  // namespace worker
