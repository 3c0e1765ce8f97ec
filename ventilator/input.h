// The input of a run: from its sources to the arguments of each job. A pull source for the ventilator's poll loop.
// Of one source it holds what one read brought; further sources are kept whole, so are linked ones that may have to repeat, and everything when it is shuffled
// or the template has the number of all jobs.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/job_set.h"
#include "ventilator/arguments.h"
#include "ventilator/blocks.h"
#include "ventilator/combination.h"
#include "ventilator/packing.h"
#include "ventilator/template.h"

namespace ventilator {

class Input {
 public:
  using State = SourceState;

  // Each record of `source` is a job.
  explicit Input(JobSource source);
  explicit Input(Combination rows) : rows_(std::move(rows)) {}
  // What jobs read on stdin; without rows nothing else below is for them. If the blocks are shared, each row is a job, else each block is one, and has the row of
  // its number as long as there is one.
  explicit Input(Blocks blocks);
  void feed(Blocks blocks);
  // Commands that are known by their numbers, which need not be those of the jobs. REQUIRES: as many numbers as records.
  static Input numbered(std::vector<std::string> records, std::vector<base::JobId> numbers);

  // Of what the input is to make; REQUIRES, as those below: before the first read().
  void pack(const PackingOptions& options) { packing_options_ = options; }
  void limit(std::size_t max_length) { max_length_ = max_length; }  // of each line, in bytes; more is an error
  void skip(base::JobSet numbers) { skipped_ = std::move(numbers); }
  // In an order that depends on nothing but the seed.
  void shuffle() { is_shuffled_ = true; }
  bool is_shuffled() const { return is_shuffled_; }
  // What is made of the jobs: it measures their lines, and learns the names of the columns and the number of jobs before there are any. It has to stay, and
  // where it is. `seed`: of the order.
  void serve(Template& made, std::uint64_t seed);

  // What to poll for reading before the next read(), or -1: read() will not block. Changes with every read(), also to another descriptor.
  int fd() const;
  // At most one read(2), and only if fd() was not -1 or never is. About as many jobs and bytes as asked for at most. REQUIRES: max_jobs > 0.
  State read(std::size_t max_jobs, std::size_t max_bytes);
  // What the last read() brought, in order; valid until the next one.
  std::span<const Arguments> jobs() const { return is_of_blocks() ? blocks_->jobs() : std::span(jobs_).first(count_); }
  Blocks* blocks() { return blocks_ ? &*blocks_ : nullptr; }

  const base::Error& error() const { return error_ ? *error_ : blocks_->error(); }  // REQUIRES: State::Error
  std::vector<std::string> names() const { return rows_.names(); }  // of the columns, once jobs have come: of --header
  std::string text() const { return blocks_ ? blocks_->text() : rows_.text(); }  // what the sources are

 private:
  bool is_of_blocks() const { return blocks_ && !blocks_->is_shared(); }
  bool gathers() const { return is_shuffled_ || is_counted_; }  // all rows before the first job
  State read_shared(std::size_t max_jobs, std::size_t max_bytes);
  State read_blocks(std::size_t max_jobs, std::size_t max_bytes);
  State read_rows(std::size_t max_jobs, std::size_t max_bytes);
  State gather(std::size_t max_rows, std::size_t max_bytes);
  State next_gathered(std::size_t max_jobs, std::size_t max_bytes);
  void learn_names();
  void add_job(std::span<const std::string_view> values);
  bool is_too_long();

  std::optional<Blocks> blocks_;
  bool reads_blocks_ = false;   // now; shared ones are read before the rows, others behind them
  std::vector<OwnedRow> rows_of_blocks_;
  Combination rows_;
  std::optional<PackingOptions> packing_options_;
  std::optional<Packing> packing_;
  Packing::Length length_;
  Template* template_ = nullptr;
  bool has_names_ = false;  // the template
  std::size_t max_length_ = 0;  // 0: no limit
  base::JobSet skipped_;
  std::vector<base::JobId> numbers_;
  bool is_shuffled_ = false, is_counted_ = false;
  std::uint64_t seed_ = 0;

  std::deque<OwnedRow> gathered_;  // all rows, then all jobs
  std::optional<std::size_t> next_gathered_;
  Rows read_;
  std::deque<OwnedRow> packed_;
  std::vector<Arguments> jobs_;  // the first `count_`, the rest is memory to be used again
  std::size_t count_ = 0;
  base::JobId number_ = 0, delivered_ = 0;
  std::optional<base::Error> error_;
};

}  // namespace ventilator
