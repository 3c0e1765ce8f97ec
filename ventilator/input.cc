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

Input::Input(Blocks blocks) : rows_(combination_of(JobSource::list({}))) { feed(std::move(blocks)); }

void Input::feed(Blocks blocks) {
  reads_blocks_ = blocks.is_shared();
  blocks_ = std::move(blocks);
}

Input Input::numbered(std::vector<std::string> records, std::vector<base::JobId> numbers) {
  Input input(JobSource::list(std::move(records)));
  input.numbers_ = std::move(numbers);
  return input;
}

void Input::serve(Template& made, std::uint64_t seed) {
  template_ = &made;
  length_ = [&made](const Arguments& arguments) { return made.length(arguments); };
  seed_ = seed;
  is_counted_ = made.wants_total() && !is_of_blocks();
}

int Input::fd() const {
  if (blocks_ && reads_blocks_) return blocks_->fd();
  return next_gathered_ || error_ ? -1 : rows_.fd();
}

void Input::learn_names() {
  if (read_.size() == 0 || std::exchange(has_names_, true)) return;
  if (const auto known = names(); !known.empty()) template_->set_names(known);
}

Input::State Input::gather(std::size_t max_rows, std::size_t max_bytes) {
  const State state = rows_.read(max_rows, max_bytes, read_);
  learn_names();
  for (std::size_t i = 0; i < read_.size(); ++i) gathered_.push_back(keep(read_.row(i)));
  if (state != State::End) return state;
  if (is_shuffled_) {
    base::Random random(seed_);
    for (std::size_t i = gathered_.size(); i > 1; --i) std::swap(gathered_[i - 1], gathered_[random.below(i)]);
  }
  if (is_counted_) template_->set_total(gathered_.size());  // the most it can be, so that no line comes to be too long
  if (packing_options_) {
    Packing packing(*packing_options_, length_);
    std::deque<OwnedRow> jobs;
    for (const OwnedRow& row : gathered_) packing.add(std::vector<std::string_view>(row.begin(), row.end()), jobs);
    packing.end(jobs);
    gathered_ = std::move(jobs);
    if (is_counted_) template_->set_total(gathered_.size());
  }
  next_gathered_ = 0;
  return State::More;
}

Input::State Input::next_gathered(std::size_t max_jobs, std::size_t max_bytes) {
  if (!next_gathered_) return gather(max_jobs, max_bytes);
  if (*next_gathered_ == gathered_.size()) return State::End;
  for (std::size_t bytes = 0; *next_gathered_ < gathered_.size() && count_ < max_jobs && bytes < max_bytes; ++*next_gathered_) {
    const OwnedRow& row = gathered_[*next_gathered_];
    add_job(std::vector<std::string_view>(row.begin(), row.end()));
    for (const std::string& value : row) bytes += value.size();
  }
  return State::More;
}

Input::State Input::read(std::size_t max_jobs, std::size_t max_bytes) {
  if (!blocks_) return read_rows(max_jobs, max_bytes);
  return blocks_->is_shared() ? read_shared(max_jobs, max_bytes) : read_blocks(max_jobs, max_bytes);
}

// All of the blocks, then the rows that share them.
Input::State Input::read_shared(std::size_t max_jobs, std::size_t max_bytes) {
  count_ = 0;
  if (reads_blocks_) {
    const State state = blocks_->read(max_jobs, max_bytes);
    reads_blocks_ = state != State::End;
    return reads_blocks_ ? state : State::More;
  }
  const State state = read_rows(max_jobs, max_bytes);
  for (Arguments& job : std::span(jobs_).first(count_)) {
    job.input = &blocks_->shared();
    if (blocks_->is_named()) job.values = {blocks_->shared().path};
  }
  return state;
}

// All of the rows, then the blocks that they go to.
Input::State Input::read_blocks(std::size_t max_jobs, std::size_t max_bytes) {
  if (!reads_blocks_) {
    const State state = read_rows(max_jobs, max_bytes);
    for (const Arguments& job : std::span(jobs_).first(count_)) rows_of_blocks_.emplace_back(job.values.begin(), job.values.end());
    reads_blocks_ = state == State::End;
    return reads_blocks_ ? State::More : state;
  }
  const State state = blocks_->read(max_jobs, max_bytes);
  if (blocks_->is_named()) return state;
  for (Arguments& job : blocks_->jobs()) {
    if (job.number > rows_of_blocks_.size()) break;
    const OwnedRow& row = rows_of_blocks_[job.number - 1];
    job.values.assign(row.begin(), row.end());
  }
  return state;
}

Input::State Input::read_rows(std::size_t max_jobs, std::size_t max_bytes) {
  count_ = 0;
  if (error_) return State::Error;
  State state = gathers() ? next_gathered(max_jobs, max_bytes) : rows_.read(max_jobs, max_bytes, read_);
  if (state == State::Error) {
    error_ = rows_.error();
    return state;
  }
  if (!gathers()) {
    learn_names();
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
