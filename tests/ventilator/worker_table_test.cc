#include "ventilator/worker_table.h"

#include "tests/support/core_under_test.h"

namespace {

using namespace std::chrono_literals;
using support::worker_id;
using ventilator::Lane;
using ventilator::WorkerEntry;
using ventilator::WorkerTable;

WorkerEntry& given_worker(WorkerTable& table, unsigned n, std::uint32_t slots, std::uint64_t limit) {
  WorkerEntry& entry = table.add(worker_id(n), base::Backoff(1s, 10s));
  entry.slots = slots;
  entry.lane = Lane{.generation = {1, n}, .phase = Lane::Phase::Open, .limit = limit};
  table.refresh(entry);
  table.check_invariants();
  return entry;
}

TEST_CASE("nobody is best in an empty table or among workers without room", "[worker_table]") {
  WorkerTable table;
  CHECK(table.best() == nullptr);
  given_worker(table, 1, 4, 0);
  CHECK(table.best() == nullptr);
}

TEST_CASE("free slots come before free window", "[worker_table]") {
  WorkerTable table;
  given_worker(table, 1, 2, 100);
  given_worker(table, 2, 3, 1);
  CHECK(table.best()->id == worker_id(2));
}

TEST_CASE("a window is used also when no slot is free", "[worker_table]") {
  WorkerTable table;
  WorkerEntry& entry = given_worker(table, 1, 1, 5);
  entry.in_flight = 3;
  entry.lane->last_seq = 3;
  table.refresh(entry);
  CHECK(table.best() == &entry);
  entry.lane->last_seq = 5;
  table.refresh(entry);
  CHECK(table.best() == nullptr);
  table.check_invariants();
}

TEST_CASE("a worker that is reserved, has left, or whose lane is not open is not best", "[worker_table]") {
  WorkerTable table;
  WorkerEntry& entry = given_worker(table, 1, 1, 5);
  entry.is_reserved = true;
  table.refresh(entry);
  CHECK(table.best() == nullptr);
  entry.is_reserved = false;
  entry.has_left = true;
  table.refresh(entry);
  CHECK(table.best() == nullptr);
  entry.has_left = false;
  entry.lane->phase = Lane::Phase::Broken;
  table.refresh(entry);
  CHECK(table.best() == nullptr);
  entry.lane->phase = Lane::Phase::Open;
  table.refresh(entry);
  CHECK(table.best() == &entry);
  table.check_invariants();
}

TEST_CASE("a worker that is forgotten is not found, twice over", "[worker_table]") {
  WorkerTable table;
  given_worker(table, 1, 1, 1);
  table.erase(worker_id(1));
  table.erase(worker_id(1));
  CHECK(table.find(worker_id(1)) == nullptr);
  CHECK(table.best() == nullptr);
  CHECK(table.size() == 0);
  table.check_invariants();
}

}  // namespace
