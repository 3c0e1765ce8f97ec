#include "worker/start_gate.h"

#include <algorithm>
#include <cmath>

namespace worker {

namespace {
constexpr base::Duration kMeasureEvery{200'000};
constexpr std::uint32_t kAny = ~0u;
}  // namespace

void StartGate::note(const Machine& machine, base::TimePoint now) {
  machine_ = machine;
  if (machine.load) rules_.load = machine.load;
  measure_at_ = now + kMeasureEvery;
  started_ = 0;
  is_short_ = rules_.free_memory > 0 && machine.free_memory < rules_.free_memory / 2;
}

void StartGate::note_started(base::TimePoint now) {
  ++started_;
  delayed_until_ = now + rules_.delay;
}

std::uint32_t StartGate::room(base::TimePoint now) const {
  if (now < delayed_until_) return 0;
  std::uint32_t room = rules_.delay > base::Duration::zero() ? 1 : kAny;
  if (!rules_.needs_measures()) return room;
  if (!machine_ || now >= measure_at_) return 0;  // what is known is too old
  if (machine_->free_memory < rules_.free_memory || (rules_.no_swap && machine_->is_swapping)) return 0;
  if (!rules_.load) return room;
  const double left = std::ceil(*rules_.load - machine_->running) - started_;
  return left <= 0 ? 0 : std::min(room, static_cast<std::uint32_t>(std::min(left, 1e6)));
}

base::TimePoint StartGate::opens_at(base::TimePoint now) const {
  if (now < delayed_until_) return delayed_until_;
  return measure_at();
}

bool StartGate::take_shortage() {
  const bool is_short = is_short_;
  is_short_ = false;
  return is_short;
}

}  // namespace worker
