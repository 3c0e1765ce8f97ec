#include "base/job_set.h"

#include <catch2/catch.hpp>

#include <set>

#include "base/random.h"

namespace {

using base::JobId;
using base::JobSet;

TEST_CASE("a job is inserted once", "[job_set]") {
  JobSet set;
  CHECK(set.insert(5));
  CHECK_FALSE(set.insert(5));
  CHECK(set.contains(5));
  CHECK_FALSE(set.contains(4));
  CHECK_FALSE(set.contains(0));
  CHECK(set.size() == 1);
}

TEST_CASE("a stray number far away costs one page", "[job_set]") {
  JobSet set;
  CHECK(set.insert(~0ull));
  CHECK(set.insert(1));
  CHECK(set.contains(~0ull));
  CHECK_FALSE(set.contains(~0ull - 1));
  std::size_t bytes = 0;
  set.for_each_bitmap(4096, [&](JobId, std::string_view bits) { bytes += bits.size(); });
  CHECK(bytes == 2 * JobSet::kPageJobs / 8);
}

TEST_CASE("the next absent job is found over words and pages", "[job_set]") {
  JobSet set;
  CHECK(set.next_absent(1) == 1);
  for (JobId job = 1; job <= 2 * JobSet::kPageJobs + 70; ++job) set.insert(job);
  CHECK(set.next_absent(1) == 2 * JobSet::kPageJobs + 71);
  CHECK(set.next_absent(63) == 2 * JobSet::kPageJobs + 71);
  CHECK(set.next_absent(5 * JobSet::kPageJobs) == 5 * JobSet::kPageJobs);
}

TEST_CASE("the last job of a page, and of a set that ends with it, is no exception", "[job_set]") {
  JobSet set;
  for (JobId job = 1; job <= JobSet::kPageJobs; ++job) set.insert(job);
  CHECK(set.next_absent(1) == JobSet::kPageJobs + 1);
  CHECK(set.contains(JobSet::kPageJobs));
  CHECK_FALSE(set.contains(JobSet::kPageJobs + 1));
}

TEST_CASE("bitmaps hold the set, lowest bit first, in runs of at most the bytes asked for", "[job_set]") {
  base::Random random(11);
  for (const std::size_t max_bytes : {1u, 7u, 1000u, 4096u, 65536u}) {
    JobSet set;
    std::set<JobId> expected;
    for (int i = 0; i < 500; ++i) {
      const JobId job = 1 + random.below(4 * JobSet::kPageJobs);
      CHECK(set.insert(job) == expected.insert(job).second);
    }
    std::set<JobId> seen;
    JobId last = 0;
    bool is_in_order = true, is_small = true;
    set.for_each_bitmap(max_bytes, [&](JobId first, std::string_view bits) {
      is_in_order &= first > last;
      is_small &= bits.size() <= max_bytes;
      last = first + bits.size() * 8 - 1;
      for (std::size_t i = 0; i < bits.size() * 8; ++i) {
        if ((static_cast<unsigned char>(bits[i / 8]) >> (i % 8) & 1) != 0) seen.insert(first + i);
      }
    });
    CHECK(is_in_order);
    CHECK(is_small);
    CHECK(seen == expected);
    CHECK(set.size() == expected.size());
  }
}

}  // namespace
