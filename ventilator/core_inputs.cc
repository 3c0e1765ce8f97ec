// The inputs of jobs, to workers that do not see the files: as far as the worker has asked for, one behind the other, each from its beginning.
#include <algorithm>

#include "ventilator/core.h"

namespace ventilator {

namespace {
constexpr std::uint64_t kMostAhead = 64u << 20;  // bytes that one word of a worker can call for; they wait in our memory
}  // namespace

void Core::update_inputs(WorkerEntry& entry, const wire::Worker& message) {
  if (!entry.is_open() || message.session != entry.session || message.generation != entry.lane->generation) return;
  Lane& lane = *entry.lane;
  lane.input_limit = std::max(lane.input_limit, std::min(message.input_limit, lane.input_sent + kMostAhead));
  send_inputs(entry);
}

void Core::on_event(const InputsDue& event) {
  WorkerEntry* entry = workers_.find(event.worker);
  if (entry == nullptr || !entry->is_open() || entry->lane->generation != event.generation) return;
  for (const InputDue& due : event.items) {
    if (due.length > 0) entry->lane->feeds.push_back({due.attempt, due.length});
  }
  send_inputs(*entry);
}

// Also that of a job which has ended elsewhere: its worker holds it, and waits.
void Core::send_inputs(WorkerEntry& entry) {
  Lane& lane = *entry.lane;
  while (!lane.feeds.empty() && lane.input_sent < lane.input_limit) {
    Lane::Feed& feed = lane.feeds.front();
    const std::uint64_t length = std::min(lane.input_limit - lane.input_sent, feed.length - feed.sent);
    effects_->push_back(SendInput{entry.id, entry.session, lane.generation, lane.input_sent, feed.attempt, feed.sent, length});
    lane.input_sent += length;
    feed.sent += length;
    if (feed.sent == feed.length) lane.feeds.pop_front();
  }
}

void Core::on_event(const InputFaulty& event) {
  WorkerEntry* entry = workers_.find(event.worker);
  if (entry == nullptr || !entry->lane || entry->lane->generation != event.generation) return;
  std::erase_if(entry->lane->feeds, [&](const Lane::Feed& feed) { return feed.attempt == event.attempt; });
}

}  // namespace ventilator
