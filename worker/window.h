// How many jobs a worker asks for ahead: its slots when jobs are long against the time a refill takes, more when they are short. Pure.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace worker {

// While there is more to run, results wait so long for others: handing in and asking for jobs one by one costs more than short jobs do.
inline constexpr base::Duration kResultsWait{4'000};

class Window {
 public:
  explicit Window(std::uint32_t slots) : slots_(slots) {}
  void set_slots(std::uint32_t slots) { slots_ = slots > 0 ? slots : 1; }

  void note_refill(base::Duration time);                       // from asking for more to the first frame that answers
  void note_feed(base::Duration time);                         // for the input of one job to arrive
  void note_slot(base::Duration busy, std::uint32_t jobs);     // a slot was busy so long with so many jobs
  void note_size(std::size_t bytes);                           // of a job's spec

  // Jobs to hold at most. `busy`: how long the slot that is busy for the shortest time has been so, when all are; 0 otherwise.
  std::uint64_t jobs(base::Duration busy) const;
  // How many jobs a free slot takes at once from `queued`: one, unless they are so short that the handing over would cost more than the work.
  std::uint32_t batch(std::uint64_t queued) const;
  // How long a job may wait unstarted while all slots are busy before it is returned.
  base::Duration patience() const;

 private:
  double job_us(base::Duration busy) const;

  std::uint32_t slots_;
  double refill_us() const { return answer_us_ + feed_us_; }
  double answer_us_ = 1000;
  double feed_us_ = 0;
  double job_us_ = 0;  // 0: none ended yet
  double size_ = 0;
};

}  // namespace worker
