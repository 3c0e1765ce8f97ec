// One input source: the records of a JobSource, what is not wanted of them taken away, as rows of values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ventilator/columns.h"
#include "ventilator/job_source.h"
#include "ventilator/rows.h"

namespace ventilator {

// What is taken of the records, in this order.
struct RecordRules {
  bool skips_first = false;              // --skip-first-line
  bool has_header = false;               // the first one names the columns
  bool joins_continued = false;          // one that ends with a blank goes on in the next
  std::optional<std::string> end = {};   // a record like this ends the source
  bool skips_blank = false;
};

class RowSource {
 public:
  using State = SourceState;

  RowSource(JobSource source, RecordRules rules, std::shared_ptr<const Columns> columns) : source_(std::move(source)), rules_(std::move(rules)), columns_(std::move(columns)) {}

  // As JobSource's.
  int fd() const { return source_.fd(); }
  // Overwrites `rows`, which are valid until the next read().
  State read(std::size_t max_records, std::size_t max_bytes, Rows& rows);
  const base::Error& error() const { return source_.error(); }
  const std::string& text() const { return source_.text(); }
  const std::vector<std::string>& names() const { return names_; }  // of the header, once a row or the end has come

 private:
  // False: the source ends before this record.
  bool take(std::string_view record, Rows& rows);

  JobSource source_;
  RecordRules rules_;
  std::shared_ptr<const Columns> columns_;
  std::vector<std::string> names_;
  std::vector<std::string_view> records_;
  std::optional<std::string> continued_;
  bool has_ended_ = false;
};

}  // namespace ventilator
