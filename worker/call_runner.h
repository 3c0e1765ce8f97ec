// Runs calls on slot threads, handed over in batches: one wake-up for many short calls. Owned by the worker's shell; a thread starts with its slot's first call.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "io/signals.h"
#include "wire/messages.h"
#include "worker/handlers.h"

namespace worker {

class CallRunner {
 public:
  static base::Result<std::unique_ptr<CallRunner>> create(const HandlerRegistry& handlers, std::uint32_t slots);
  ~CallRunner();  // waits for the calls that run; drops those that have not begun

  // Calls of one slot run one after the other. Nothing runs before hand_over().
  void start(const base::Attempt& attempt, std::uint32_t slot, base::Call&& call);
  void hand_over();
  int fd() const { return done_.fd(); }  // readable when there is something to collect
  void collect(std::vector<wire::Result>& results);

 private:
  struct Item {
    base::Attempt attempt;
    base::Call call;
  };
  struct Slot {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Item> queue;  // guarded by mutex, as is the next
    bool is_closing = false;
    std::vector<Item> collected;  // the shell's own, until hand_over()
    std::thread thread;
  };

  CallRunner(const HandlerRegistry& handlers, io::Event done, std::uint32_t slots);
  void give_back(const base::Attempt& attempt, std::string reason);
  void work(Slot& slot);
  wire::Result run(const Item& item) const;

  const HandlerRegistry& handlers_;
  io::Event done_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> filled_;
  std::mutex results_mutex_;
  std::vector<wire::Result> results_;
};

}  // namespace worker
