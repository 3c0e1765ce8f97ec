// Tells a handler that its result is no longer wanted: its time limit has passed, the worker is to stop, or the run is over.
#pragma once

#include <condition_variable>
#include <mutex>

#include "base/time.h"

namespace worker {

class CancelToken {
 public:
  bool is_cancelled() const {
    const std::lock_guard lock(mutex_);
    return is_cancelled_;
  }
  // Sleeps; true: it was cancelled meanwhile (or before).
  bool wait_for(base::Duration time) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return is_cancelled_; });
  }
  void cancel() {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    changed_.notify_all();
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = false;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool is_cancelled_ = false;
};

}  // namespace worker
