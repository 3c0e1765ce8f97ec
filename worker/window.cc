#include "worker/window.h"

#include <algorithm>
#include <cmath>

#include "wire/limits.h"

namespace worker {

namespace {
constexpr double kWeight = 0.2;             // of a new observation
constexpr double kLongJob = 20;             // refill times: a job so long needs nothing ahead
constexpr double kShortJob_us = 100;        // handing one job to a slot costs about as much
constexpr double kBatch_us = static_cast<double>(kResultsWait.count());  // of work handed over at once
constexpr base::Duration kPatience{100'000};  // at least: a job in a queue that moves is not worth moving

double blend(double old, double now) { return old == 0 ? now : old + kWeight * (now - old); }
}  // namespace

void Window::note_refill(base::Duration time) { answer_us_ = blend(answer_us_, std::max(1.0, static_cast<double>(time.count()))); }

void Window::note_feed(base::Duration time) { feed_us_ = blend(feed_us_, static_cast<double>(time.count())); }

void Window::note_slot(base::Duration busy, std::uint32_t jobs) {
  job_us_ = blend(job_us_, std::max(0.5, static_cast<double>(busy.count()) / std::max(1u, jobs)));
}

void Window::note_size(std::size_t bytes) { size_ = blend(size_, static_cast<double>(bytes)); }

double Window::job_us(base::Duration busy) const { return std::max(job_us_, static_cast<double>(busy.count())); }

std::uint64_t Window::jobs(base::Duration busy) const {
  const double job = job_us(busy);
  // Until a job has ended nothing is known: that one has just begun does not make it short.
  if (job_us_ == 0 || job >= kLongJob * refill_us()) return slots_;
  double jobs = slots_ + std::ceil(slots_ * (refill_us() + static_cast<double>(kResultsWait.count())) / job);
  if (size_ > 0) jobs = std::min(jobs, std::floor(static_cast<double>(wire::kMaxUnconfirmedBytes) / size_));
  return static_cast<std::uint64_t>(std::clamp(jobs, static_cast<double>(slots_), static_cast<double>(std::max<std::size_t>(slots_, wire::kMaxWindow))));
}

std::uint32_t Window::batch(std::uint64_t queued) const {
  if (job_us_ == 0 || job_us_ > kShortJob_us) return 1;
  const auto share = static_cast<double>(queued / slots_ + 1);
  return static_cast<std::uint32_t>(std::clamp(std::min(share, kBatch_us / job_us_), 1.0, 512.0));
}

base::Duration Window::patience() const {
  return std::max(kPatience, base::Duration(static_cast<std::int64_t>(kLongJob * refill_us())));
}

}  // namespace worker
