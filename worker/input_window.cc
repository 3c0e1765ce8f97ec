#include "worker/input_window.h"

#include <algorithm>

namespace worker {

namespace {
constexpr std::uint64_t kDoublings = 7;  // from the least to the most
constexpr base::Duration kQuick{250'000}, kSlow{1'000'000};
}  // namespace

InputWindow::InputWindow(std::uint64_t most)
    : most_(most), least_(most == 0 ? 0 : std::max<std::uint64_t>(most >> kDoublings, 1)), size_(std::min(most, least_ * 4)), limit_(size_) {}

// Perhaps because so much was on its way that nothing else came through.
void InputWindow::restart(bool in_midst) {
  if (in_midst) size_ = std::max(size_ / 2, least_);
  received_ = timed_ = 0;
  limit_ = size_;
}

void InputWindow::note_received(std::uint64_t position, base::TimePoint now) {
  received_ = std::max(received_, position);
  if (timed_ != 0 && received_ >= timed_) {
    const base::Duration time = now - timed_since_;
    if (time < kQuick) size_ = std::min(size_ * 2, most_);
    else if (time > kSlow) size_ = std::max(size_ / 2, least_);
    timed_ = 0;
  }
  raise(now);
}

void InputWindow::raise(base::TimePoint now) {
  const std::uint64_t limit = received_ + size_;
  if (limit < limit_ + (size_ + 3) / 4) return;
  limit_ = limit;
  if (timed_ != 0) return;
  timed_ = limit;
  timed_since_ = now;
}

}  // namespace worker
