#include "worker/permits.h"

#include <algorithm>

namespace worker {

void Permits::note_sent(std::uint64_t state_seq, base::TimePoint at, base::Duration lease) {
  while (!sent_.empty() && at - sent_.front().second > lease) sent_.pop_front();  // an echo of it would permit nothing any more
  sent_.emplace_back(state_seq, at);
  last_sent_ = state_seq;
}

void Permits::note_echo(std::uint64_t state_seq, base::Duration lease) {
  while (!sent_.empty() && sent_.front().first < state_seq) sent_.pop_front();
  if (sent_.empty() || sent_.front().first != state_seq) return;
  echoed_since_ = sent_.front().second;
  for (auto& [attempt, permit] : permits_) {
    if (permit.listed_from <= state_seq) permit.until = echoed_since_ + lease;
  }
  find_soonest();
}

void Permits::add(const base::Attempt& attempt, base::Duration lease) {
  const Permit permit{last_sent_ + 1, echoed_since_ + lease};
  permits_.emplace(attempt, permit);
  soonest_ = std::min(soonest_, permit.until);
}

void Permits::erase(const base::Attempt& attempt) {
  if (permits_.erase(attempt) > 0 && permits_.empty()) soonest_ = base::kNever;
}

std::vector<base::Attempt> Permits::take_overdue(base::TimePoint now) {
  std::vector<base::Attempt> overdue;
  if (now < soonest_) return overdue;
  for (const auto& [attempt, permit] : permits_) {
    if (permit.until <= now) overdue.push_back(attempt);
  }
  for (const base::Attempt& attempt : overdue) permits_.erase(attempt);
  find_soonest();
  return overdue;
}

base::TimePoint Permits::until(const base::Attempt& attempt) const {
  const auto permit = permits_.find(attempt);
  return permit == permits_.end() ? base::kNever : permit->second.until;
}

void Permits::find_soonest() {
  soonest_ = base::kNever;
  for (const auto& [attempt, permit] : permits_) soonest_ = std::min(soonest_, permit.until);
}

}  // namespace worker
