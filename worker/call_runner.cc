#include "worker/call_runner.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <system_error>
#include <utility>

#include "io/clock.h"
#include "wire/codec.h"

namespace worker {

using base::Outcome;

// What a slot's thread and the runner share.
struct CallRunner::Slot {
  struct Running {
    const Item* item = nullptr;  // the thread's, until it has returned
    base::TimePoint since;
    base::WallTime started_at;
  };
  std::mutex mutex;  // guards all but the token and the last two
  std::condition_variable changed;
  std::deque<Item> queue;
  std::vector<Ended> ended;
  std::optional<Running> running;
  std::optional<Outcome> stopped;    // why the running call was cancelled
  base::TimePoint give_up_at = base::kNever;
  bool is_closing = false;
  bool has_left = false;             // its thread
  CancelToken cancel;

  std::deque<Item> collected;  // the shell's own, until hand_over()
  std::thread thread;
};

namespace {

constexpr std::uint64_t kLongCall_us = 1000;  // not worth a wait for others

template <typename Running>
wire::Result result_of(const Running& running) {
  wire::Result result;
  result.attempt = running.item->attempt;
  result.command = wire::describe(running.item->call);
  result.started_at = running.started_at;
  result.runtime_us = static_cast<std::uint64_t>((io::now() - running.since).count());
  result.finished_at = running.started_at + static_cast<base::WallTime>(result.runtime_us);
  return result;
}

wire::Result unstarted(const base::Attempt& attempt, const base::Call& call, Outcome outcome, std::string reason) {
  wire::Result result;
  result.attempt = attempt;
  result.command = wire::describe(call);
  result.outcome = outcome;
  result.reason = std::move(reason);
  return result;
}

void take_value(const base::Result<std::string>& value, wire::Result& result) {
  auto printed = value ? wire::print_value(*value) : base::Result<std::string>(value.error());
  if (!printed) {
    result.outcome = Outcome::Failed;
    result.exit_code = 1;
    result.reason = printed.error().message;
    return;
  }
  if (!wire::is_binary(*value)) *printed += '\n';
  result.out = std::move(*printed);
  result.out_bytes = result.out.size();
}

// A slot's thread. It holds what it uses, so that it may outlive the runner.
template <typename Slot>
void work(const std::shared_ptr<Slot> slot, const std::shared_ptr<const HandlerRegistry> handlers, const std::shared_ptr<io::Event> done) {
  std::unique_lock lock(slot->mutex);
  while (true) {
    // Results of short calls are handed over together.
    if (!slot->ended.empty() && (slot->queue.empty() || slot->ended.back().result.runtime_us >= kLongCall_us)) done->set();
    slot->changed.wait(lock, [&] { return slot->is_closing || !slot->queue.empty(); });
    if (slot->is_closing) break;
    const auto item = std::move(slot->queue.front());
    slot->queue.pop_front();
    const typename Slot::Running running{&item, io::now(), io::wall_now()};
    slot->running = running;
    lock.unlock();
    const auto value = handlers->run(item.call, slot->cancel);
    wire::Result result = result_of(running);
    take_value(value, result);
    lock.lock();
    slot->running.reset();
    if (slot->stopped) {  // whatever it says now
      result.out.clear();
      result.out_bytes = 0;
      result.outcome = *slot->stopped;
      result.exit_code = -1;
      result.reason.clear();
      slot->stopped.reset();
      slot->give_up_at = base::kNever;
      slot->cancel.reset();
    }
    slot->ended.push_back({std::move(result)});
  }
  slot->has_left = true;
  slot->changed.notify_all();
}

}  // namespace

base::Result<std::unique_ptr<CallRunner>> CallRunner::create(const HandlerRegistry& handlers, std::uint32_t slots, base::Duration grace) {
  auto done = io::Event::create();
  if (!done) return done.error();
  return std::unique_ptr<CallRunner>(new CallRunner(handlers, std::make_shared<io::Event>(std::move(*done)), slots, grace));
}

CallRunner::CallRunner(const HandlerRegistry& handlers, std::shared_ptr<io::Event> done, std::uint32_t slots, base::Duration grace)
    : handlers_(std::make_shared<const HandlerRegistry>(handlers)), done_(std::move(done)), grace_(grace), slots_(slots) {}

CallRunner::~CallRunner() {
  for (const auto& slot : slots_) {
    if (!slot) continue;
    slot->cancel.cancel();
    const std::lock_guard lock(slot->mutex);
    slot->is_closing = true;
    slot->changed.notify_all();
  }
  const auto deadline = std::chrono::steady_clock::now() + grace_;
  for (const auto& slot : slots_) {
    if (!slot) continue;
    std::unique_lock lock(slot->mutex);
    const bool has_left = slot->changed.wait_until(lock, deadline, [&] { return slot->has_left; });
    lock.unlock();
    if (has_left) slot->thread.join();
    else slot->thread.detach();
  }
}

void CallRunner::start(const base::Attempt& attempt, std::uint32_t slot, base::Call&& call, base::Duration limit) {
  std::shared_ptr<Slot>& place = slots_.at(slot - 1);
  if (!place) {
    place = std::make_shared<Slot>();
    try {
      place->thread = std::thread(work<Slot>, place, handlers_, done_);
    } catch (const std::system_error& error) {
      place.reset();
      given_back_.push_back({unstarted(attempt, call, Outcome::Returned, std::string("no thread for the call: ") + error.what()), true});
      return done_->set();
    }
  }
  if (place->collected.empty()) filled_.push_back(place.get());
  place->collected.push_back({attempt, std::move(call), limit});
  if (limit > base::Duration::zero()) next_deadline_ = std::min(next_deadline_, io::now() + limit);
}

void CallRunner::hand_over() {
  for (Slot* slot : filled_) {
    {
      const std::lock_guard lock(slot->mutex);
      if (slot->queue.empty()) slot->queue.swap(slot->collected);
      else std::move(slot->collected.begin(), slot->collected.end(), std::back_inserter(slot->queue));
    }
    slot->collected.clear();
    slot->changed.notify_one();
  }
  filled_.clear();
}

void CallRunner::kill(const base::Attempt& attempt) {
  const auto is_it = [&](const Item& item) { return item.attempt == attempt; };
  for (const auto& slot : slots_) {
    if (!slot) continue;
    const std::lock_guard lock(slot->mutex);
    if (slot->running && slot->running->item->attempt == attempt) {
      if (slot->stopped) return;
      slot->stopped = Outcome::Cancelled;
      slot->give_up_at = io::now() + grace_;
      next_deadline_ = std::min(next_deadline_, slot->give_up_at);
      return slot->cancel.cancel();
    }
    for (std::deque<Item>* items : {&slot->queue, &slot->collected}) {
      const auto item = std::find_if(items->begin(), items->end(), is_it);
      if (item == items->end()) continue;
      given_back_.push_back({unstarted(attempt, item->call, Outcome::Cancelled, "cancelled before it was started")});
      items->erase(item);
      return done_->set();
    }
  }
}

void CallRunner::collect(std::vector<Ended>& ended) {
  done_->clear();
  for (const auto& slot : slots_) {
    if (!slot) continue;
    const std::lock_guard lock(slot->mutex);
    std::move(slot->ended.begin(), slot->ended.end(), std::back_inserter(ended));
    slot->ended.clear();
  }
  if (io::now() >= next_deadline_) watch_deadlines(ended);
  std::move(given_back_.begin(), given_back_.end(), std::back_inserter(ended));
  given_back_.clear();
}

void CallRunner::watch_deadlines(std::vector<Ended>& ended) {
  const base::TimePoint now = io::now();
  next_deadline_ = base::kNever;
  for (std::shared_ptr<Slot>& place : slots_) {
    if (!place) continue;
    const std::shared_ptr<Slot> slot = place;  // its mutex must not go while we hold it
    const std::lock_guard lock(slot->mutex);
    const bool is_limited = slot->running && slot->running->item->limit > base::Duration::zero();
    if (is_limited && !slot->stopped && now >= slot->running->since + slot->running->item->limit) {
      slot->stopped = Outcome::Timeout;
      slot->give_up_at = now + grace_;
      slot->cancel.cancel();
    }
    if (slot->stopped && now >= slot->give_up_at) {
      give_up(*slot, ended);
      std::erase(filled_, slot.get());
      slot->thread.detach();
      place.reset();
      continue;
    }
    if (slot->stopped) next_deadline_ = std::min(next_deadline_, slot->give_up_at);
    else if (is_limited) next_deadline_ = std::min(next_deadline_, slot->running->since + slot->running->item->limit);
    for (const Item& item : slot->queue) {  // they begin at any moment
      if (item.limit > base::Duration::zero()) next_deadline_ = std::min(next_deadline_, now + item.limit);
    }
  }
}

// The thread is left to itself: what it still does is handed in by nobody. What waited behind it goes back.
// REQUIRES: the slot's mutex is held, and a call runs and was stopped.
void CallRunner::give_up(Slot& slot, std::vector<Ended>& ended) {
  for (std::deque<Item>* items : {&slot.queue, &slot.collected}) {
    for (const Item& item : *items) ended.push_back({unstarted(item.attempt, item.call, Outcome::Returned, "the call before it would not end")});
    items->clear();
  }
  wire::Result result = result_of(*slot.running);
  result.outcome = *slot.stopped;
  result.exit_code = -1;
  result.reason = "the call did not end when it was told to, and its slot is lost";
  ended.push_back({std::move(result), true});
  slot.is_closing = true;
}

}  // namespace worker
