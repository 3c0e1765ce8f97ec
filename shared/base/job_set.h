// A set of job numbers as a bitmap in pages: 1.25 MB for ten million dense jobs, one page for a stray number far away.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace base {

class JobSet {
 public:
  static constexpr std::uint64_t kPageJobs = 1 << 15;

  bool insert(JobId job);  // false: was there. REQUIRES: job >= 1
  bool contains(JobId job) const;
  std::uint64_t size() const { return size_; }
  JobId next_absent(JobId from) const;  // the smallest job >= from that is not in the set

  // The set as bitmaps for the wire: calls visit(first job, bytes) for runs of at most `max_bytes` bytes, lowest bit first, in order; empty stretches are left out.
  template <typename Visit>
  void for_each_bitmap(std::size_t max_bytes, Visit visit) const {
    for (const auto& [index, page] : pages_) {
      for (std::size_t at = 0; at < sizeof(Page); at += max_bytes) {
        const std::size_t bytes = std::min(max_bytes, sizeof(Page) - at);
        visit(1 + index * kPageJobs + at * 8, std::string_view(reinterpret_cast<const char*>(page->data()) + at, bytes));
      }
    }
  }

 private:
  using Page = std::array<std::uint64_t, kPageJobs / 64>;
  Page* find(std::uint64_t index) const;

  std::map<std::uint64_t, std::unique_ptr<Page>> pages_;
  mutable std::uint64_t last_index_ = ~0ull;  // jobs come nearly in order: the page used last is nearly always the right one
  mutable Page* last_page_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace base
