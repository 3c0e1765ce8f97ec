// The workers the ventilator knows, the lane to each, and who gets the next job: most free slots first, then most free window.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/backoff.h"
#include "base/ids.h"
#include "base/time.h"
#include "wire/messages.h"

namespace ventilator {

struct Lane {
  enum class Phase { Opening, Open, Broken };
  base::Generation generation;
  Phase phase = Phase::Opening;
  base::TimePoint since{};         // of the phase
  bool was_open = false;
  std::uint64_t last_seq = 0;      // jobs sent in this generation
  std::uint64_t limit = 0;         // jobs the worker has asked for in this generation
  std::uint64_t echoed_limit = 0;  // the last one sent back to it
  std::uint64_t input_limit = 0;   // bytes of inputs the worker has asked for in this generation
  std::uint64_t input_sent = 0;    // of these
  struct Feed {
    base::Attempt attempt;
    std::uint64_t length = 0, sent = 0;
  };
  std::deque<Feed> feeds = {};  // inputs that are not all sent, in the order of their jobs
};

struct WorkerEntry {
  base::WorkerId id;
  std::uint64_t session = 0;
  std::string endpoint;
  std::string key;
  std::uint32_t slots = 0;
  std::uint64_t state_seq = 0;  // newest the sink has read: echoed in CTRL
  std::vector<base::Attempt> confirms;  // to be passed on
  std::optional<Lane> lane;
  base::Backoff lane_wait;
  base::TimePoint heard_at{};
  bool takes_inputs = false;    // it does not see the files of inputs
  std::uint64_t in_flight = 0;  // jobs assigned to it
  bool has_left = false;        // said BYE
  bool is_reserved = false;     // for a job that must run alone: gets no other
  bool is_silent = false;       // others are heard and it is not: gets nothing until it is
  bool has_news = false;        // a limit to echo or confirms to pass on; it is in the core's list of these
  std::vector<wire::Assigned> outbox;  // given in this turn

  explicit WorkerEntry(base::Backoff wait) : lane_wait(wait) {}
  bool is_open() const { return lane && lane->phase == Lane::Phase::Open && !has_left; }
  std::uint64_t free_window() const { return is_open() && lane->limit > lane->last_seq ? lane->limit - lane->last_seq : 0; }
  bool is_ready() const { return free_window() > 0 && !is_reserved && !is_silent; }
  std::int64_t free_slots() const { return static_cast<std::int64_t>(slots) - static_cast<std::int64_t>(in_flight); }
};

class WorkerTable {
 public:
  WorkerEntry* find(const base::WorkerId& id);
  WorkerEntry& add(const base::WorkerId& id, base::Backoff wait);
  void erase(const base::WorkerId& id);
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  std::size_t size() const { return entries_.size(); }

  // To be called after a change of slots, in_flight, the lane or its numbers, is_reserved or is_silent. Costs a logarithm of the number of workers.
  void refresh(WorkerEntry& entry);
  WorkerEntry* best();  // whom the next job goes to; null: nobody has room

  void check_invariants() const;

 private:
  using Rank = std::tuple<std::int64_t, std::uint64_t, base::WorkerId>;  // best last
  static Rank rank(const WorkerEntry& entry) { return {entry.free_slots(), entry.free_window(), entry.id}; }

  struct Slot {
    WorkerEntry entry;
    std::optional<Rank> ready;  // its place in ready_
  };
  std::unordered_map<base::WorkerId, Slot, base::HashId128> entries_;
  std::set<Rank> ready_;
};

}  // namespace ventilator
