#include "ventilator/combination.h"

#include <algorithm>
#include <utility>

namespace ventilator {

// ---- linked sources

LinkedSources::LinkedSources(std::vector<RowSource> sources, Shorter shorter) : shorter_(shorter) {
  for (RowSource& source : sources) members_.push_back({std::move(source)});
}

int LinkedSources::fd() const {
  if (members_.size() == 1) return members_[0].source.fd();
  const std::size_t member = needed();
  return member == members_.size() ? -1 : members_[member].source.fd();
}

std::size_t LinkedSources::needed() const {
  if (is_over()) return members_.size();
  const auto found = std::find_if(members_.begin(), members_.end(), [this](const Member& member) { return lacks_row(member); });
  return static_cast<std::size_t>(found - members_.begin());
}

// With nothing more to be read for it.
bool LinkedSources::is_over() const {
  const auto is_spent = [this](const Member& member) { return member.has_ended && member.count() <= next_; };
  if (shorter_ == Shorter::Ends && next_ > 0) return std::any_of(members_.begin(), members_.end(), is_spent);
  return std::all_of(members_.begin(), members_.end(), is_spent);
}

bool LinkedSources::has_row() const {
  const auto has_next = [this](const Member& member) { return member.count() > next_ || (next_ == 0 && member.has_ended); };
  const auto has_any = [this](const Member& member) { return member.count() > next_; };
  if (std::none_of(members_.begin(), members_.end(), has_any)) return false;
  if (shorter_ == Shorter::Ends) return std::all_of(members_.begin(), members_.end(), has_next);
  return std::none_of(members_.begin(), members_.end(), [this](const Member& member) { return lacks_row(member); });
}

LinkedSources::State LinkedSources::read(std::size_t max_records, std::size_t max_bytes, Rows& rows) {
  if (members_.size() == 1) return members_[0].source.read(max_records, max_bytes, rows);
  rows.clear();
  if (const std::size_t needed = this->needed(); needed < members_.size()) {
    Member& member = members_[needed];
    const State state = member.source.read(max_records, max_bytes, read_);
    if (state == State::Error) {
      failed_ = needed;
      return state;
    }
    member.has_ended = state == State::End;
    for (std::size_t i = 0; i < read_.size(); ++i) member.rows.push_back(keep(read_.row(i)));
  }
  // What was given last time is dropped now: when nobody is to repeat it.
  for (Member& member : members_) {
    const bool repeats = shorter_ == Shorter::Repeats && std::any_of(members_.begin(), members_.end(), [&](const Member& other) { return &other != &member && !other.has_ended; });
    if (repeats || (shorter_ == Shorter::Repeats && member.has_ended)) continue;
    while (member.dropped < next_ && !member.rows.empty()) member.rows.pop_front(), ++member.dropped;
  }
  std::size_t bytes = 0;
  for (; rows.size() < max_records && bytes < max_bytes && has_row(); ++next_) {
    for (const Member& member : members_) {
      if (member.count() == 0) {
        rows.values.emplace_back();
        continue;
      }
      const std::size_t number = member.count() > next_ ? next_ : next_ % member.count();
      for (const std::string& value : member.rows[number - member.dropped]) {
        rows.values.push_back(value);
        bytes += value.size();
      }
    }
    rows.end_row();
  }
  return rows.size() == 0 && is_over() ? State::End : State::More;
}

std::vector<std::string> LinkedSources::names() const {
  std::vector<std::string> names;
  for (const Member& member : members_) names.insert(names.end(), member.source.names().begin(), member.source.names().end());
  return names;
}

std::string LinkedSources::text() const {
  std::string text;
  for (const Member& member : members_) text += (text.empty() ? "" : ", ") + member.source.text();
  return text;
}

// ---- combinations

int Combination::fd() const {
  if (is_keeping()) return groups_[keeping_].fd();
  return next_outer_ < outer_.size() || has_ended_ ? -1 : groups_[0].fd();
}

Combination::State Combination::keep_more(std::size_t max_rows, std::size_t max_bytes) {
  Rows read;
  const State state = groups_[keeping_].read(max_rows, max_bytes, read);
  for (std::size_t i = 0; i < read.size(); ++i) kept_[keeping_].push_back(keep(read.row(i)));
  if (state == State::Error) {
    failed_ = keeping_;
    return state;
  }
  if (state == State::End && ++keeping_ == groups_.size()) end_keeping();
  return State::More;
}

// One that has no row has one of an empty value, unless none has.
void Combination::end_keeping() {
  has_rows_ = std::any_of(kept_.begin() + 1, kept_.end(), [](const auto& rows) { return !rows.empty(); });
  for (auto rows = kept_.begin() + 1; rows != kept_.end(); ++rows) {
    if (rows->empty()) rows->push_back({""});
  }
}

bool Combination::advance() {
  for (std::size_t group = groups_.size(); --group > 0;) {
    if (++position_[group] < kept_[group].size()) return true;
    position_[group] = 0;
  }
  return false;
}

Combination::State Combination::read(std::size_t max_rows, std::size_t max_bytes, Rows& rows) {
  if (groups_.size() == 1) return groups_[0].read(max_rows, max_bytes, rows);
  rows.clear();
  if (is_keeping()) return keep_more(max_rows, max_bytes);
  if (next_outer_ == outer_.size()) {
    if (has_ended_) return State::End;
    next_outer_ = 0;
    const State state = groups_[0].read(max_rows, max_bytes, outer_);
    if (state == State::Error) {
      failed_ = 0;
      return state;
    }
    has_ended_ = state == State::End;
    if (has_ended_ && !has_streamed_ && has_rows_) outer_.add(std::vector<std::string_view>{""});
    has_streamed_ |= outer_.size() > 0;
  }
  for (std::size_t bytes = 0; next_outer_ < outer_.size() && rows.size() < max_rows && bytes < max_bytes;) {
    const std::size_t begin = rows.values.size();
    const auto row = outer_.row(next_outer_);
    rows.values.insert(rows.values.end(), row.begin(), row.end());
    for (std::size_t group = 1; group < groups_.size(); ++group) {
      const OwnedRow& kept = kept_[group][position_[group]];
      rows.values.insert(rows.values.end(), kept.begin(), kept.end());
    }
    rows.end_row();
    for (std::size_t i = begin; i < rows.values.size(); ++i) bytes += rows.values[i].size();
    if (!advance()) ++next_outer_;
  }
  return has_ended_ && rows.size() == 0 ? State::End : State::More;
}

std::vector<std::string> Combination::names() const {
  std::vector<std::string> names;
  for (const LinkedSources& group : groups_) {
    const auto more = group.names();
    names.insert(names.end(), more.begin(), more.end());
  }
  return names;
}

std::string Combination::text() const {
  std::string text;
  for (const LinkedSources& group : groups_) text += (text.empty() ? "" : ", ") + group.text();
  return text;
}

}  // namespace ventilator
