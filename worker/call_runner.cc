#include "worker/call_runner.h"

#include <iterator>
#include <system_error>
#include <utility>

#include "io/clock.h"
#include "wire/codec.h"

namespace worker {

base::Result<std::unique_ptr<CallRunner>> CallRunner::create(const HandlerRegistry& handlers, std::uint32_t slots) {
  auto done = io::Event::create();
  if (!done) return done.error();
  return std::unique_ptr<CallRunner>(new CallRunner(handlers, std::move(*done), slots));
}

CallRunner::CallRunner(const HandlerRegistry& handlers, io::Event done, std::uint32_t slots) : handlers_(handlers), done_(std::move(done)), slots_(slots) {}

CallRunner::~CallRunner() {
  for (const auto& slot : slots_) {
    if (!slot) continue;
    {
      const std::lock_guard lock(slot->mutex);
      slot->is_closing = true;
      slot->queue.clear();
    }
    slot->changed.notify_one();
    slot->thread.join();
  }
}

void CallRunner::start(const base::Attempt& attempt, std::uint32_t slot, base::Call&& call) {
  std::unique_ptr<Slot>& place = slots_.at(slot - 1);
  if (!place) {
    place = std::make_unique<Slot>();
    try {
      place->thread = std::thread([this, s = place.get()] { work(*s); });
    } catch (const std::system_error& error) {
      place.reset();
      return give_back(attempt, std::string("no thread for the call: ") + error.what());
    }
  }
  if (place->collected.empty()) filled_.push_back(place.get());
  place->collected.push_back({attempt, std::move(call)});
}

void CallRunner::give_back(const base::Attempt& attempt, std::string reason) {
  wire::Result result;
  result.attempt = attempt;
  result.outcome = base::Outcome::Returned;
  result.reason = std::move(reason);
  const std::lock_guard lock(results_mutex_);
  results_.push_back(std::move(result));
  done_.set();
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

void CallRunner::work(Slot& slot) {
  std::vector<Item> items;
  std::vector<wire::Result> results;
  while (true) {
    {
      std::unique_lock lock(slot.mutex);
      slot.changed.wait(lock, [&] { return slot.is_closing || !slot.queue.empty(); });
      if (slot.is_closing) return;
      items.swap(slot.queue);
    }
    for (const Item& item : items) results.push_back(run(item));
    items.clear();
    {
      const std::lock_guard lock(results_mutex_);
      std::move(results.begin(), results.end(), std::back_inserter(results_));
    }
    results.clear();
    done_.set();
  }
}

wire::Result CallRunner::run(const Item& item) const {
  wire::Result result;
  result.attempt = item.attempt;
  result.started_at = io::wall_now();
  const base::TimePoint start = io::now();
  auto value = handlers_.run(item.call);
  result.runtime_us = static_cast<std::uint64_t>((io::now() - start).count());
  result.finished_at = result.started_at + static_cast<base::WallTime>(result.runtime_us);
  auto printed = value ? wire::print_value(*value) : base::Result<std::string>(value.error());
  if (printed && !wire::is_binary(*value)) *printed += '\n';
  if (printed) {
    result.out = std::move(*printed);
    result.out_bytes = result.out.size();
  } else {
    result.outcome = base::Outcome::Failed;
    result.exit_code = 1;
    result.reason = printed.error().message;
  }
  return result;
}

void CallRunner::collect(std::vector<wire::Result>& results) {
  done_.clear();
  const std::lock_guard lock(results_mutex_);
  std::move(results_.begin(), results_.end(), std::back_inserter(results));
  results_.clear();
}

}  // namespace worker
