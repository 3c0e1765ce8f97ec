// How many rows make a job: one, or several that are put into one command line.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "ventilator/arguments.h"
#include "ventilator/rows.h"

namespace ventilator {

struct PackingOptions {
  bool packs = false;            // several rows can make a job
  std::size_t max_rows = 0;      // 0: as many as the line takes
  bool drops_values = false;     // a row makes a job without any value
  std::size_t max_length = 0;    // of the line, in bytes
  std::size_t spread_over = 0;   // the last rows make as many jobs, so that no slot is left without; 0: they do not
};

class Packing {
 public:
  // The bytes of the line that a job of these arguments has.
  using Length = std::function<std::size_t(const Arguments&)>;

  Packing(PackingOptions options, Length length) : options_(options), length_(std::move(length)) {}

  // What is packed is appended to `jobs`.
  void add(std::span<const std::string_view> row, std::deque<OwnedRow>& jobs);
  void end(std::deque<OwnedRow>& jobs);

 private:
  std::size_t growth(const OwnedRow& row) const;
  void emit(std::size_t count, std::deque<OwnedRow>& jobs);  // the first rows, fewer if they make too long a line

  PackingOptions options_;
  Length length_;
  std::deque<OwnedRow> rows_;  // that wait for more
  std::size_t line_ = 0;       // bytes of the line that they make
  std::size_t bytes_ = 0;      // of their values
};

}  // namespace ventilator
