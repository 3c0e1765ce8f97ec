// How many bytes of inputs a worker asks for ahead: as much as arrives in some tenths of a second, so that nothing else waits long behind them on a slow
// connection or for a slow disk. Pure.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace worker {

class InputWindow {
 public:
  explicit InputWindow(std::uint64_t most);  // bytes; 0: no inputs are taken

  void restart(bool in_midst);  // another connection, on which nothing has been received. `in_midst`: the one before broke while inputs were to come
  // All up to this byte of the generation.
  void note_received(std::uint64_t position, base::TimePoint now);
  std::uint64_t received() const { return received_; }
  std::uint64_t limit() const { return limit_; }  // rises by a quarter of the window at least, and falls by restart() only

 private:
  void raise(base::TimePoint now);

  const std::uint64_t most_, least_;
  std::uint64_t size_;
  std::uint64_t received_ = 0;
  std::uint64_t limit_;
  std::uint64_t timed_ = 0;  // the limit whose arrival is waited for
  base::TimePoint timed_since_{};
};

}  // namespace worker
