// Figures of a run for those who only look on (the progress line): written by the roles' threads, read by any.
#pragma once

#include <atomic>
#include <cstdint>

namespace base {

struct Counts {
  std::atomic<std::uint64_t> accepted{0};   // jobs read from the input so far
  std::atomic<bool> is_input_ended{false};  // accepted is the total
  std::atomic<std::uint64_t> finished{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> emitted{0};    // jobs whose outputs were written
  std::atomic<std::uint64_t> running{0};    // on workers, as far as the ventilator knows
};

}  // namespace base
