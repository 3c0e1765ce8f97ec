// Rows of values on their way from the sources to the jobs.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ventilator {

// Rows one behind the other, for one turn: the values point to what some source holds.
struct Rows {
  std::vector<std::string_view> values;
  std::vector<std::size_t> ends = {};  // of each row, in `values`
  std::deque<std::string> owned = {};  // what values point to that stands so in no source

  std::size_t size() const { return ends.size(); }
  std::span<const std::string_view> row(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends[index - 1];
    return std::span(values).subspan(begin, ends[index] - begin);
  }
  void end_row() { ends.push_back(values.size()); }
  void add(std::span<const std::string_view> row) {
    values.insert(values.end(), row.begin(), row.end());
    end_row();
  }
  void clear() {
    values.clear();
    ends.clear();
    owned.clear();
  }
};

// One that is kept.
using OwnedRow = std::vector<std::string>;

inline OwnedRow keep(std::span<const std::string_view> row) { return OwnedRow(row.begin(), row.end()); }

}  // namespace ventilator
