#include "ventilator/packing.h"

#include <iterator>

#include "wire/limits.h"

namespace ventilator {

namespace {

Arguments arguments_of(const OwnedRow& row) { return {1, {row.begin(), row.end()}}; }

}  // namespace

// Each further row makes the line longer by as much as it does behind itself.
std::size_t Packing::growth(const OwnedRow& row) const {
  Arguments arguments = arguments_of(row);
  const std::size_t once = length_(arguments);
  arguments.values.insert(arguments.values.end(), row.begin(), row.end());
  const std::size_t twice = length_(arguments);
  return twice > once ? twice - once : 0;
}

void Packing::add(std::span<const std::string_view> row, std::deque<OwnedRow>& jobs) {
  OwnedRow kept = keep(row);
  std::size_t bytes = 0;
  for (const std::string& value : kept) bytes += value.size();
  if (!rows_.empty()) {
    const std::size_t more = growth(kept);
    // However little of them the template uses, what waits is bounded.
    if (rows_.size() == options_.max_rows || line_ + more > options_.max_length || bytes_ + bytes > wire::kMaxJob) emit(rows_.size(), jobs);
    else line_ += more;
  }
  if (rows_.empty()) line_ = length_(arguments_of(kept)), bytes_ = 0;
  bytes_ += bytes;
  rows_.push_back(std::move(kept));
  // To be spread they wait until it is seen whether they are the last ones.
  if (rows_.size() == options_.max_rows && options_.spread_over == 0) emit(rows_.size(), jobs);
}

void Packing::end(std::deque<OwnedRow>& jobs) {
  const std::size_t slots = options_.spread_over;
  const std::size_t count = slots == 0 || rows_.empty() ? rows_.size() : (rows_.size() + slots - 1) / slots;
  while (!rows_.empty()) emit(std::min(count, rows_.size()), jobs);
}

void Packing::emit(std::size_t count, std::deque<OwnedRow>& jobs) {
  const auto join = [this](std::size_t number) {
    OwnedRow values;
    for (std::size_t i = 0; i < number; ++i) values.insert(values.end(), rows_[i].begin(), rows_[i].end());
    return values;
  };
  OwnedRow values = join(count);
  // A template that uses two values in one word grows faster than its rows.
  while (count > 1 && length_(arguments_of(values)) > options_.max_length) values = join(count -= (count + 7) / 8);
  jobs.push_back(std::move(values));
  rows_.erase(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(count));
  line_ = bytes_ = 0;
  if (rows_.empty()) return;
  line_ = length_(arguments_of(join(rows_.size())));
  for (const OwnedRow& row : rows_)
    for (const std::string& value : row) bytes_ += value.size();
}

}  // namespace ventilator
