#include "ventilator/row_source.h"

#include "wire/limits.h"

namespace ventilator {

namespace {
bool ends_with_blank(std::string_view record) { return record.ends_with(' ') || record.ends_with('\t'); }
}  // namespace

RowSource::State RowSource::read(std::size_t max_records, std::size_t max_bytes, Rows& rows) {
  rows.clear();
  if (has_ended_) return State::End;
  const State state = source_.read(max_records, max_bytes, records_);
  for (const std::string_view record : records_) {
    if (!take(record, rows)) {
      has_ended_ = true;
      return rows.size() > 0 ? State::More : State::End;
    }
  }
  if (state == State::End && continued_) {
    has_ended_ = true;
    columns_->add(rows.owned.emplace_back(std::move(*continued_)), rows);
    return State::More;
  }
  return state;
}

bool RowSource::take(std::string_view record, Rows& rows) {
  if (rules_.skips_first) {
    rules_.skips_first = false;
    return true;
  }
  if (rules_.has_header) {
    rules_.has_header = false;
    Rows header;
    columns_->add(record, header);
    names_.assign(header.values.begin(), header.values.end());
    return true;
  }
  if (rules_.joins_continued) {
    const bool is_too_long = continued_ && continued_->size() > wire::kMaxJob;  // and is refused as it is
    if (ends_with_blank(record) && !is_too_long) {
      if (!continued_) continued_.emplace();
      continued_->append(record);
      return true;
    }
    if (continued_) {
      std::string& whole = rows.owned.emplace_back(std::move(*continued_));
      continued_.reset();
      record = whole.append(record);
    }
  }
  if (rules_.end && record == *rules_.end) return false;
  if (rules_.skips_blank && is_blank(record)) return true;
  columns_->add(record, rows);
  return true;
}

}  // namespace ventilator
