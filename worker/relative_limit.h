// The time limit of jobs that is given as a share of what jobs usually take: the median of those that succeeded here lately. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace worker {

class RelativeLimit {
 public:
  explicit RelativeLimit(std::uint32_t percent) : percent_(percent) {}  // 0: no limit
  bool is_set() const { return percent_ > 0; }

  void note_started(const base::Attempt& attempt, base::TimePoint now);
  void note_ended(const base::Attempt& attempt, bool is_ok, base::Duration runtime);

  base::Duration limit() const;  // a second at least; zero: too few have succeeded for one
  base::TimePoint next_deadline() const;
  std::vector<base::Attempt> take_overdue(base::TimePoint now);  // each once

 private:
  const std::uint32_t percent_;
  std::deque<std::int64_t> recent_;     // us, in the order of their ends
  std::vector<std::int64_t> sorted_;    // the same
  std::unordered_map<base::Attempt, base::TimePoint, base::HashAttempt> running_;  // since when
};

}  // namespace worker
