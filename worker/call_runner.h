// Runs calls on slot threads, handed over in batches: one wake-up for many short calls. Owned by the worker's shell; a thread starts with its slot's first call.
// A call that is cancelled, or over its time limit, is told so by its token and given a grace to return. One that does not is reported without it, and
// its slot is lost: nobody can end a thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/time.h"
#include "io/signals.h"
#include "wire/messages.h"
#include "worker/events.h"
#include "worker/handlers.h"

namespace worker {

class CallRunner {
 public:
  // `grace`: from the cancelling of a call to giving up its slot.
  static base::Result<std::unique_ptr<CallRunner>> create(const HandlerRegistry& handlers, std::uint32_t slots, base::Duration grace = base::Duration(1'000'000));
  ~CallRunner();  // cancels what runs and waits for it; drops what has not begun. Threads of lost slots are left behind

  // Calls of one slot run one after the other. Nothing runs before hand_over(). `limit`: 0 for none.
  void start(const base::Attempt& attempt, std::uint32_t slot, base::Call&& call, base::Duration limit);
  void hand_over();
  // Its result has outcome Cancelled. Unknown attempts are ignored.
  void kill(const base::Attempt& attempt);
  int fd() const { return done_->fd(); }  // readable when there is something to collect
  base::TimePoint next_deadline() const { return next_deadline_; }  // when to collect() in any case
  void collect(std::vector<Ended>& ended);  // with `command`

 private:
  struct Item {
    base::Attempt attempt;
    base::Call call;
    base::Duration limit;
  };
  struct Slot;
  CallRunner(const HandlerRegistry& handlers, std::shared_ptr<io::Event> done, std::uint32_t slots, base::Duration grace);
  void watch_deadlines(std::vector<Ended>& ended);
  static void give_up(Slot& slot, std::vector<Ended>& ended);

  const std::shared_ptr<const HandlerRegistry> handlers_;  // shared, as the next is, with threads that may outlive this
  const std::shared_ptr<io::Event> done_;
  const base::Duration grace_;
  std::vector<std::shared_ptr<Slot>> slots_;
  std::vector<Slot*> filled_;
  std::vector<Ended> given_back_;
  base::TimePoint next_deadline_ = base::kNever;
};

}  // namespace worker
