#include "sink/progress.h"

#include "tests/support/core_under_test.h"

namespace {

using base::Attempt;
using base::Outcome;
using sink::EndedAttempt;
using sink::JobRecord;
using sink::Progress;

TEST_CASE("only what is counted makes failures, losses and losses alone", "[progress]") {
  JobRecord record;
  record.ended = {
      {{1, 1, 1}, Outcome::Failed, true, false},  {{1, 1, 2}, Outcome::Failed, false, false}, {{1, 1, 3}, Outcome::Timeout, true, false},
      {{1, 1, 4}, Outcome::Lost, true, false},    {{1, 1, 5}, Outcome::Lost, false, true},    {{1, 1, 6}, Outcome::Returned, false, false},
      {{1, 1, 7}, Outcome::Cancelled, false, true},
  };
  CHECK(record.failures() == 2);
  CHECK(record.losses() == 1);
  CHECK(record.losses_alone() == 0);
  CHECK_FALSE(record.must_run_alone());
  record.ended.push_back({{1, 1, 8}, Outcome::Lost, true, true});
  CHECK(record.losses() == 2);
  CHECK(record.losses_alone() == 1);
  CHECK(record.must_run_alone());
}

TEST_CASE("attempts are found and erased by their whole name", "[progress]") {
  JobRecord record;
  record.current = {1, 2, 4};
  record.live.resize(2);
  record.live[0].attempt = {1, 1, 4};
  record.live[1].attempt = {1, 2, 4};
  CHECK(record.find_live({1, 2, 4}) == &record.live[1]);
  CHECK(record.find_live({1, 2, 5}) == nullptr);
  CHECK(record.find_ended({1, 2, 4}) == nullptr);
  record.erase_live({1, 1, 4});
  record.erase_live({1, 1, 4});
  REQUIRE(record.live.size() == 1);
  CHECK(record.live[0].attempt == Attempt{1, 2, 4});
}

TEST_CASE("a finished job is one bit, and its record is gone", "[progress]") {
  Progress progress;
  progress.get(3).current = {3, 1, 1};
  progress.become_finished(3, true);
  progress.become_finished(1, false);
  CHECK(progress.is_finished(3));
  CHECK_FALSE(progress.is_finished(2));
  CHECK_FALSE(progress.is_finished(0));
  CHECK(progress.finished() == 2);
  CHECK(progress.failed() == 1);
  CHECK(progress.find(3) == nullptr);
  progress.check_invariants();
}

}  // namespace
