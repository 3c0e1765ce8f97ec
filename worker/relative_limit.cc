#include "worker/relative_limit.h"

#include <algorithm>

namespace worker {

namespace {
constexpr std::size_t kRemembered = 1001;
constexpr std::size_t kFewest = 3;  // successes that make a median
constexpr std::int64_t kLeast = 1'000'000;  // us; a busy machine holds up short jobs for longer than they take
}  // namespace

void RelativeLimit::note_started(const base::Attempt& attempt, base::TimePoint now) {
  if (is_set()) running_[attempt] = now;
}

void RelativeLimit::note_ended(const base::Attempt& attempt, bool is_ok, base::Duration runtime) {
  running_.erase(attempt);
  if (!is_set() || !is_ok) return;
  if (recent_.size() == kRemembered) {
    sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), recent_.front()));
    recent_.pop_front();
  }
  recent_.push_back(runtime.count());
  sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), runtime.count()), runtime.count());
}

base::Duration RelativeLimit::limit() const {
  if (!is_set() || sorted_.size() < kFewest) return base::Duration::zero();
  return base::Duration(std::max(kLeast, sorted_[sorted_.size() / 2] * percent_ / 100));
}

base::TimePoint RelativeLimit::next_deadline() const {
  const base::Duration most = limit();
  base::TimePoint at = base::kNever;
  if (most == base::Duration::zero()) return at;
  for (const auto& [attempt, since] : running_) at = std::min(at, since + most);
  return at;
}

std::vector<base::Attempt> RelativeLimit::take_overdue(base::TimePoint now) {
  std::vector<base::Attempt> overdue;
  const base::Duration most = limit();
  if (most == base::Duration::zero()) return overdue;
  for (const auto& [attempt, since] : running_) {
    if (now - since >= most) overdue.push_back(attempt);
  }
  for (const base::Attempt& attempt : overdue) running_.erase(attempt);
  return overdue;
}

}  // namespace worker
