#include "sink/progress.h"

#include <algorithm>

#include "base/check.h"

namespace sink {

namespace {
constexpr std::size_t kRemembered = 32;  // ended attempts of a job. What is told again of an older one is only logged again, to no effect
}  // namespace

LiveAttempt* JobRecord::find_live(const Attempt& attempt) {
  const auto it = std::find_if(live.begin(), live.end(), [&](const LiveAttempt& l) { return l.attempt == attempt; });
  return it == live.end() ? nullptr : &*it;
}

EndedAttempt* JobRecord::find_ended(const Attempt& attempt) {
  const auto it = std::find_if(ended.begin(), ended.end(), [&](const EndedAttempt& e) { return e.attempt == attempt; });
  return it == ended.end() ? nullptr : &*it;
}

void JobRecord::erase_live(const Attempt& attempt) {
  std::erase_if(live, [&](const LiveAttempt& l) { return l.attempt == attempt; });
}

void JobRecord::add_ended(const EndedAttempt& attempt) {
  ended.push_back(attempt);
  if (ended.size() <= kRemembered) return;
  const auto oldest = std::find_if(ended.begin(), ended.end(), [](const EndedAttempt& e) { return e.outcome != Outcome::Lost; });  // a loss may be taken back
  if (oldest == ended.end()) return;
  ++forgotten;
  forgotten_failures += oldest->counted;
  ended.erase(oldest);
}

void JobRecord::note(const Attempt& attempt) {
  if (attempt <= current) return;
  current = attempt;
  for (LiveAttempt& l : live) l.leased = false;
}

std::uint32_t JobRecord::failures() const {
  const auto failed = std::count_if(ended.begin(), ended.end(), [](const EndedAttempt& e) { return e.counted && e.outcome != Outcome::Lost; });
  return forgotten_failures + static_cast<std::uint32_t>(failed);
}

std::uint32_t JobRecord::losses() const {
  return static_cast<std::uint32_t>(std::count_if(ended.begin(), ended.end(), [](const EndedAttempt& e) { return e.counted && e.outcome == Outcome::Lost; }));
}

std::uint32_t JobRecord::losses_alone() const {
  return static_cast<std::uint32_t>(
      std::count_if(ended.begin(), ended.end(), [](const EndedAttempt& e) { return e.counted && e.alone && e.outcome == Outcome::Lost; }));
}

JobRecord* Progress::find(JobId job) {
  const auto it = records_.find(job);
  return it == records_.end() ? nullptr : &it->second;
}

bool Progress::is_void(const Attempt& attempt) const {
  const auto it = records_.find(attempt.job);
  return it != records_.end() && it->second.is_void(attempt);
}

void Progress::become_finished(JobId job, bool failed) {
  const bool inserted = finished_.insert(job);
  CHECK_INVARIANT(inserted);
  failed_ += failed;
  records_.erase(job);
}

void Progress::check_invariants() const {
  CHECK_INVARIANT(failed_ <= finished_.size());
  for (const auto& [job, record] : records_) {
    CHECK_INVARIANT(!finished_.contains(job));
    for (const LiveAttempt& live : record.live) {
      CHECK_INVARIANT(live.attempt.job == job && live.attempt <= record.current && !record.is_void(live.attempt));
      CHECK_INVARIANT(!live.leased || live.attempt == record.current);
      for (const EndedAttempt& ended : record.ended) CHECK_INVARIANT(ended.attempt != live.attempt);
    }
    for (std::size_t i = 0; i < record.ended.size(); ++i) {
      for (std::size_t k = i + 1; k < record.ended.size(); ++k) CHECK_INVARIANT(record.ended[i].attempt != record.ended[k].attempt);
    }
  }
}

}  // namespace sink
