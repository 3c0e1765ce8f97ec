// Rows of answers on a stream: a table for people, a JSON object a line, or tab-separated values (docs/ANSWERS.md).
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "io/database.h"

namespace pushmill {

enum class Format { Table, Json, Tsv };

using Value = std::variant<std::monostate, std::int64_t, double, std::string>;  // a string may hold any bytes
Value value_of(const io::Statement& statement, int column);

// `bytes` on one line of a terminal: control characters, and what is not UTF-8, as \n, \t, \xNN.
std::string shown(std::string_view bytes);

class Rows {
 public:
  // Nothing is written before the first row, but by end().
  Rows(std::FILE* out, Format format, std::vector<std::string> names);
  void add(std::vector<Value> row);
  // Writes what is left, the heading of an empty table too. Io, Full: the stream did not take it all.
  base::Status end();

 private:
  void add_json(const std::vector<Value>& row);
  void add_tsv(const std::vector<Value>& row);
  void write_table();
  void write_line(const std::vector<std::string>& cells);

  std::FILE* const out_;
  const Format format_;
  const std::vector<std::string> names_;
  std::vector<std::vector<std::string>> held_;  // the first rows of a table, until the widths are known
  std::vector<bool> is_number_;
  std::vector<std::size_t> widths_;  // empty until then
  std::string line_;
};

}  // namespace pushmill
