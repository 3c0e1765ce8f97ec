#include "ventilator/job_table.h"

#include "tests/support/core_under_test.h"

namespace {

using base::Attempt;
using support::worker_id;
using ventilator::Assignment;
using ventilator::JobTable;

Assignment assignment(base::JobId job, std::uint64_t n, std::uint64_t epoch = 1) { return {{job, epoch, n}, worker_id(1), 1, {1, 1}, false}; }

TEST_CASE("fresh jobs come in input order", "[job_table]") {
  JobTable table(3, 0);
  for (base::JobId job = 1; job <= 3; ++job) {
    CHECK(table.next(true) == job);
    CHECK(table.next(true) == job);  // it stays pending until it is assigned
    table.assign(assignment(job, job));
    table.check_invariants();
  }
  CHECK(table.next(true) == 0);
  table.accept(4);
  CHECK(table.next(true) == 4);
}

TEST_CASE("jobs that came back go before fresh ones, the lowest first", "[job_table]") {
  JobTable table(4, 0);
  for (base::JobId job = 1; job <= 3; ++job) table.next(true), table.assign(assignment(job, job));
  CHECK(table.requeue({3, 1, 3})->attempt == Attempt{3, 1, 3});
  CHECK(table.requeue({2, 1, 2}));
  CHECK(table.next(true) == 2);
  table.check_invariants();
}

TEST_CASE("a job that is finished while it waits to go out again goes out no more", "[job_table]") {
  JobTable table(2, 0);
  table.next(true), table.assign(assignment(1, 1));
  table.requeue({1, 1, 1});
  CHECK_FALSE(table.finish(1));
  CHECK(table.next(true) == 2);
  table.check_invariants();
}

TEST_CASE("jobs at or below the horizon wait until the grace is over", "[job_table]") {
  JobTable table(5, 3);
  CHECK(table.next(false) == 4);
  CHECK(table.next(true) == 1);
  table.assign(assignment(1, 1));
  table.finish(2);
  CHECK(table.next(true) == 3);
  table.assign(assignment(3, 2));
  CHECK(table.next(true) == 4);
  table.check_invariants();
}

TEST_CASE("finishing a job twice gives its assignment once", "[job_table]") {
  JobTable table(1, 0);
  table.next(true), table.assign(assignment(1, 1));
  CHECK(table.finish(1));
  CHECK_FALSE(table.finish(1));
  CHECK(table.finished() == 1);
  table.check_invariants();
}

TEST_CASE("of two attempts only the newer one's requeue brings a job back", "[job_table]") {
  JobTable table(1, 0);
  table.next(true), table.assign(assignment(1, 5));
  CHECK_FALSE(table.requeue({1, 1, 4}));
  CHECK(table.find_assigned(1) != nullptr);
  CHECK(table.requeue({1, 1, 6}));  // one we do not know of is newer than ours: ours has ended, too
  CHECK(table.next(true) == 1);
  table.check_invariants();
}

TEST_CASE("a lease older than an attempt known to have ended is not adopted, and one newer than ours is", "[job_table]") {
  JobTable table(2, 2);
  table.requeue({1, 1, 5});
  CHECK_FALSE(table.adopt({1, 1, 4}, worker_id(1)).taken);
  CHECK(table.adopt({2, 1, 4}, worker_id(1)).taken);
  CHECK_FALSE(table.adopt({2, 1, 4}, worker_id(2)).taken);
  const auto newer = table.adopt({2, 1, 6}, worker_id(2));
  CHECK(newer.taken);
  CHECK(newer.was->attempt == Attempt{2, 1, 4});
  CHECK(table.find_assigned(2)->worker == worker_id(2));
  table.check_invariants();
}

TEST_CASE("a lease for a fresh job, for job 0 or for one beyond those accepted is not adopted", "[job_table]") {
  JobTable table(2, 1);
  CHECK_FALSE(table.adopt({2, 1, 1}, worker_id(1)).taken);
  CHECK_FALSE(table.adopt({0, 1, 1}, worker_id(1)).taken);
  CHECK_FALSE(table.adopt({3, 1, 1}, worker_id(1)).taken);
  table.check_invariants();
}

TEST_CASE("a bitmap finishes what it names and no job that was not accepted", "[job_table]") {
  JobTable table(10, 0);
  table.next(true), table.assign(assignment(1, 1));
  table.finish(3);
  std::vector<base::JobId> newly;
  std::size_t assigned = 0;
  table.finish_bitmap(1, std::string("\x05\xff", 2), [&](base::JobId job, const auto& was) {
    newly.push_back(job);
    assigned += was.has_value();
  });
  CHECK(newly == std::vector<base::JobId>{1, 9, 10});
  CHECK(assigned == 1);
  CHECK(table.finished() == 4);
  table.finish_bitmap(0, "\x01", [&](base::JobId, const auto&) { FAIL("job 0"); });
  table.check_invariants();
}

TEST_CASE("a job that must run alone is not among the others", "[job_table]") {
  JobTable table(2, 0);
  table.next(true), table.assign(assignment(1, 1));
  table.need_alone(1);
  table.requeue({1, 1, 1});
  CHECK(table.next(true) == 2);
  CHECK(table.next_alone(true) == 1);
  table.assign(assignment(1, 2));
  CHECK(table.next_alone(true) == 0);
  table.finish(1);
  CHECK(table.next_alone(true) == 0);
  table.check_invariants();
}

TEST_CASE("one that must run alone waits for its grace like the others", "[job_table]") {
  JobTable table(2, 2);
  table.need_alone(1);
  CHECK(table.next_alone(false) == 0);
  CHECK(table.next(true) == 2);
  CHECK(table.next_alone(true) == 1);
  table.check_invariants();
}

base::TimePoint at(int second) { return base::TimePoint{} + std::chrono::seconds(second); }

TEST_CASE("delayed jobs come back when they are due, and until then the next due time is known", "[job_table]") {
  JobTable table(3, 0);
  for (base::JobId job = 1; job <= 3; ++job) table.next(true), table.assign(assignment(job, job));
  CHECK(table.next_due() == base::kNever);
  table.requeue({1, 1, 1}, at(20));
  table.requeue({2, 1, 2}, at(10));
  table.requeue({3, 1, 3});
  table.check_invariants();
  CHECK(table.next_due() == at(10));
  CHECK(table.next(true) == 3);
  table.assign(assignment(3, 4));
  CHECK(table.next(true) == 0);
  table.wake(at(10));
  CHECK(table.next(true) == 2);
  CHECK(table.next_due() == at(20));
  table.wake(at(25));
  CHECK(table.next(true) == 1);
  CHECK(table.next_due() == base::kNever);
  table.check_invariants();
}

TEST_CASE("a delayed job that must run alone waits for its time as well", "[job_table]") {
  JobTable table(1, 0);
  table.next(true), table.assign(assignment(1, 1));
  table.need_alone(1);
  table.requeue({1, 1, 1}, at(10));
  CHECK(table.next_alone(true) == 0);
  table.wake(at(10));
  CHECK(table.next_alone(true) == 1);
}

TEST_CASE("a delayed job is out again when a lease of a later attempt is reported, and pending no more", "[job_table]") {
  JobTable table(1, 0);
  table.next(true), table.assign(assignment(1, 1));
  table.requeue({1, 1, 1}, at(10));
  CHECK(table.adopt({1, 1, 2}, worker_id(2)).taken);
  table.check_invariants();
  CHECK(table.next_due() == base::kNever);
  table.wake(at(10));
  CHECK(table.next(true) == 0);
}

TEST_CASE("a job that was called lost and then failed is delayed if it has not gone out yet", "[job_table]") {
  JobTable table(1, 0);
  table.next(true), table.assign(assignment(1, 2));
  table.requeue({1, 1, 2});
  table.requeue({1, 1, 1}, at(10));  // an older one says nothing of now
  CHECK(table.next(true) == 1);
  table.requeue({1, 1, 2}, at(10));
  table.check_invariants();
  CHECK(table.next(true) == 0);
  CHECK(table.next_due() == at(10));
}

TEST_CASE("a job that waits for the grace and is held back becomes delayed behind it", "[job_table]") {
  JobTable table(3, 3);
  table.hold_back(1, at(10));
  table.hold_back(2, at(20));
  table.need_alone(2);
  CHECK(table.next_due() == base::kNever);
  CHECK(table.next(true) == 3);
  table.check_invariants();
  CHECK(table.next_due() == at(10));
  CHECK(table.next_alone(true) == 0);
  table.wake(at(20));
  CHECK(table.next(true) == 1);
  CHECK(table.next_alone(true) == 2);
}

TEST_CASE("the jobs below the horizon of which nothing is known yet are listed", "[job_table]") {
  JobTable table(6, 5);
  table.finish(1);
  table.adopt({2, 1, 2}, worker_id(1));
  table.requeue({4, 1, 4});
  CHECK(table.waiting() == std::vector<base::JobId>{3, 5});
}

}  // namespace
