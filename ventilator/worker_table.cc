#include "ventilator/worker_table.h"

#include "base/check.h"

namespace ventilator {

WorkerEntry* WorkerTable::find(const base::WorkerId& id) {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second.entry;
}

WorkerEntry& WorkerTable::add(const base::WorkerId& id, base::Backoff wait) {
  const auto [it, inserted] = entries_.emplace(id, Slot{WorkerEntry(wait), std::nullopt});
  CHECK_INVARIANT(inserted);
  it->second.entry.id = id;
  return it->second.entry;
}

void WorkerTable::erase(const base::WorkerId& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  if (it->second.ready) ready_.erase(*it->second.ready);
  entries_.erase(it);
}

void WorkerTable::refresh(WorkerEntry& entry) {
  Slot& slot = entries_.find(entry.id)->second;
  if (slot.ready) ready_.erase(*slot.ready);
  slot.ready.reset();
  if (entry.is_ready()) {
    slot.ready = rank(entry);
    ready_.insert(*slot.ready);
  }
}

WorkerEntry* WorkerTable::best() { return ready_.empty() ? nullptr : find(std::get<2>(*ready_.rbegin())); }

void WorkerTable::check_invariants() const {
  std::size_t ready = 0;
  for (const auto& [id, slot] : entries_) {
    CHECK_INVARIANT(slot.entry.id == id);
    CHECK_INVARIANT(slot.ready.has_value() == slot.entry.is_ready());
    if (slot.ready) CHECK_INVARIANT(*slot.ready == rank(slot.entry));
    ready += slot.ready.has_value();
    if (!slot.entry.lane) continue;
    const Lane& lane = *slot.entry.lane;
    CHECK_INVARIANT(lane.last_seq <= lane.limit);
    CHECK_INVARIANT(lane.input_sent <= lane.input_limit);
    for (const Lane::Feed& feed : lane.feeds) CHECK_INVARIANT(feed.sent < feed.length);
  }
  CHECK_INVARIANT(ready == ready_.size());
}

}  // namespace ventilator
