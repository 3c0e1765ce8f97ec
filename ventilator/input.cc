#include "ventilator/input.h"

#include <memory>
#include <utility>

#include "base/random.h"

namespace ventilator {

namespace {

Combination combination_of(JobSource source) {
  std::vector<RowSource> members;
  members.emplace_back(std::move(source), RecordRules(), std::make_shared<const Columns>());
  std::vector<LinkedSources> groups;
  groups.emplace_back(std::move(members), LinkedSources::Shorter::Ends);
  return Combination(std::move(groups));
}

}  // namespace

Input::Input(JobSource source) : rows_(combination_of(std::move(source))) {}

Input::Input(Blocks blocks) : blocks_(std::move(blocks)), rows_(combination_of(JobSource::list({}))) {}

Input Input::numbered(std::vector<std::string> records, std::vector<base::JobId> numbers) {
  Input input(JobSource::list(std::move(records)));
  input.numbers_ = std::move(numbers);
  return input;
}

void Input::serve(Template& made, std::uint64_t seed) {
  template_ = &made;
  length_ = [&made](const Arguments& arguments) { return made.length(arguments); };
  seed_ = seed;
}

int Input::fd() const {
  if (blocks_) return blocks_->fd();
  return next_shuffled_ || error_ ? -1 : rows_.fd();
}

Input::State Input::next_rows(std::size_t max_rows, std::size_t max_bytes) {
  if (!is_shuffled_) return rows_.read(max_rows, max_bytes, read_);
  if (!next_shuffled_) {
    const State state = rows_.read(max_rows, max_bytes, read_);
    for (std::size_t i = 0; i < read_.size(); ++i) shuffled_.push_back(keep(read_.row(i)));
    read_.clear();
    if (state != State::End) return state;
    base::Random random(seed_);
    for (std::size_t i = shuffled_.size(); i > 1; --i) std::swap(shuffled_[i - 1], shuffled_[random.below(i)]);
    next_shuffled_ = 0;
  }
  read_.clear();
  for (std::size_t bytes = 0; *next_shuffled_ < shuffled_.size() && read_.size() < max_rows && bytes < max_bytes; ++*next_shuffled_) {
    for (const std::string& value : shuffled_[*next_shuffled_]) {
      read_.values.push_back(value);
      bytes += value.size();
    }
    read_.end_row();
  }
  return read_.size() > 0 ? State::More : State::End;
}

Input::State Input::read(std::size_t max_jobs, std::size_t max_bytes) {
  if (blocks_) return blocks_->read(max_jobs, max_bytes);
  count_ = 0;
  if (error_) return State::Error;
  State state = next_rows(max_jobs, max_bytes);
  if (state == State::Error) {
    error_ = rows_.error();
    return state;
  }
  if (template_ != nullptr && read_.size() > 0) {
    if (const auto known = names(); !known.empty()) template_->set_names(known);
    template_ = nullptr;
  }
  if (!packing_options_) {
    for (std::size_t i = 0; i < read_.size(); ++i) add_job(read_.row(i));
  } else {
    if (!packing_) packing_.emplace(*packing_options_, length_);
    packed_.clear();
    for (std::size_t i = 0; i < read_.size(); ++i) packing_->add(read_.row(i), packed_);
    if (state == State::End) packing_->end(packed_);
    for (const OwnedRow& row : packed_) add_job(std::vector<std::string_view>(row.begin(), row.end()));
    if (!packed_.empty()) state = State::More;
  }
  // Those before one that is too long are given first; the next read() has the error.
  if (max_length_ > 0 && is_too_long() && count_ == 0) return State::Error;
  return state;
}

void Input::add_job(std::span<const std::string_view> values) {
  const base::JobId number = numbers_.empty() ? ++number_ : numbers_[number_++];
  if (skipped_.contains(number)) return;
  if (count_ == jobs_.size()) jobs_.emplace_back();
  Arguments& job = jobs_[count_++];
  job.number = number;
  job.has_own_number = number != ++delivered_;
  if (packing_options_ && packing_options_->drops_values) job.values.clear();
  else job.values.assign(values.begin(), values.end());
}

bool Input::is_too_long() {
  for (std::size_t i = 0; i < count_; ++i) {
    const std::size_t length = length_(jobs_[i]);
    if (length <= max_length_) continue;
    error_ = base::Error{base::Error::Kind::Usage, "record " + std::to_string(jobs_[i].number) + " makes a command line of " + std::to_string(length) + " bytes; -s allows less than " +
                                                       std::to_string(max_length_ + 1)};
    delivered_ -= count_ - i;
    count_ = i;
    return true;
  }
  return false;
}

}  // namespace ventilator
