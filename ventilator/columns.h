// A record as the values of its columns.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "regex/regex.h"
#include "ventilator/rows.h"

namespace ventilator {

// White space that is taken off the ends of each value.
enum class Trim { None, Left, Right, Both };
std::string_view trimmed(std::string_view value, Trim trim);
bool is_blank(std::string_view value);

class Columns {
 public:
  // Each record is one value.
  explicit Columns(Trim trim = Trim::None) : trim_(trim) {}
  // `separator`: a regular expression in Perl's syntax, which splits as Perl's split with a limit of -1: trailing empty columns are kept, what stands in
  // parentheses in the expression becomes a column too.
  static base::Result<Columns> split_at(std::string_view separator, Trim trim);
  // As RFC 4180 says: a value may stand in double quotes, a quote in it is doubled. What follows the closing quote, and quotes within a value without, are kept.
  static Columns csv(char separator, Trim trim);

  // The separator, where records are csv.
  std::optional<char> csv_separator() const { return csv_; }
  // Adds the row of `record`, which stays where it is while the row is used.
  void add(std::string_view record, Rows& rows) const;

 private:
  void split(std::string_view record, Rows& rows) const;
  void split_csv(std::string_view record, Rows& rows) const;
  void add_value(std::string_view value, Rows& rows) const { rows.values.push_back(trimmed(value, trim_)); }

  Trim trim_;
  std::optional<regex::Regex> separator_;
  std::optional<char> plain_;  // the separator when it is one character without a meaning of its own
  std::optional<char> csv_;
};

}  // namespace ventilator
