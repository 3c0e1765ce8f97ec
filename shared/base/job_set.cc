#include "base/job_set.h"

#include <bit>

namespace base {

JobSet::Page* JobSet::find(std::uint64_t index) const {
  if (index == last_index_) return last_page_;
  const auto it = pages_.find(index);
  if (it == pages_.end()) return nullptr;
  last_index_ = index;
  last_page_ = it->second.get();
  return last_page_;
}

bool JobSet::insert(JobId job) {
  const std::uint64_t index = (job - 1) / kPageJobs, bit = (job - 1) % kPageJobs;
  Page* page = find(index);
  if (page == nullptr) {
    page = (pages_[index] = std::make_unique<Page>()).get();
    page->fill(0);
  }
  std::uint64_t& word = (*page)[bit / 64];
  const std::uint64_t mask = 1ull << (bit % 64);
  if ((word & mask) != 0) return false;
  word |= mask;
  ++size_;
  return true;
}

bool JobSet::contains(JobId job) const {
  if (job == 0) return false;
  const std::uint64_t bit = (job - 1) % kPageJobs;
  const Page* page = find((job - 1) / kPageJobs);
  return page != nullptr && ((*page)[bit / 64] >> (bit % 64) & 1) != 0;
}

JobId JobSet::next_absent(JobId from) const {
  for (JobId job = from;;) {
    const std::uint64_t bit = (job - 1) % kPageJobs;
    const Page* page = find((job - 1) / kPageJobs);
    if (page == nullptr) return job;
    const std::uint64_t absent = ~(*page)[bit / 64] >> (bit % 64);
    if (absent != 0) return job + static_cast<JobId>(std::countr_zero(absent));
    job += 64 - bit % 64;
  }
}

}  // namespace base
