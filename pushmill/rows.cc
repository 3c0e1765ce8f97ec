#include "pushmill/rows.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "cli/standard_output.h"
#include "json/json.h"

namespace pushmill {

namespace {

constexpr std::size_t kMeasured = 256;  // rows that a table's widths are taken from

void append_hex(unsigned char c, std::string& text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  text += "\\x";
  text += kDigits[c >> 4];
  text += kDigits[c & 15];
}

std::string number_text(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

std::string cell(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&value)) return number_text(*real);
  if (const auto* bytes = std::get_if<std::string>(&value)) return shown(*bytes);
  return {};
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void append_tsv(std::string_view bytes, std::string& line) {
  for (const char c : bytes) {
    if (c == '\t') line += "\\t";
    else if (c == '\n') line += "\\n";
    else if (c == '\r') line += "\\r";
    else if (c == '\\') line += "\\\\";
    else line += c;
  }
}

}  // namespace

Value value_of(const io::Statement& statement, int column) {
  switch (statement.type(column)) {
    case io::Statement::Type::Null: return {};
    case io::Statement::Type::Integer: return statement.integer(column);
    case io::Statement::Type::Real: return statement.real(column);
    case io::Statement::Type::Text:
    case io::Statement::Type::Blob: break;
  }
  return std::string(statement.text(column));
}

std::string shown(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto c = static_cast<unsigned char>(bytes[0]);
    const std::size_t length = base::utf8_length(bytes);
    const bool is_control = c < 0x20 || c == 0x7f || (length == 2 && c == 0xc2 && static_cast<unsigned char>(bytes[1]) < 0xa0);
    if (c == '\n') text += "\\n";
    else if (c == '\t') text += "\\t";
    else if (length == 0 || is_control) append_hex(c, text);
    else text += bytes.substr(0, length);
    bytes.remove_prefix(length == 0 || is_control ? 1 : length);
  }
  return text;
}

Rows::Rows(std::FILE* out, Format format, std::vector<std::string> names)
    : out_(out), format_(format), names_(std::move(names)), is_number_(names_.size(), true) {
  if (format_ == Format::Tsv) {
    for (const std::string& name : names_) {
      if (!line_.empty()) line_ += '\t';
      append_tsv(name, line_);
    }
    line_ += '\n';
  }
}

void Rows::add(std::vector<Value> row) {
  if (format_ == Format::Json) return add_json(row);
  if (format_ == Format::Tsv) return add_tsv(row);
  std::vector<std::string> cells;
  for (std::size_t i = 0; i < row.size(); ++i) {
    cells.push_back(cell(row[i]));
    if (widths_.empty() && std::holds_alternative<std::string>(row[i])) is_number_[i] = false;
  }
  if (!widths_.empty()) return write_line(cells);
  held_.push_back(std::move(cells));
  if (held_.size() == kMeasured) write_table();
}

void Rows::add_json(const std::vector<Value>& row) {
  line_ = "{";
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) line_ += ',';
    json::append_string(names_[i], line_);
    line_ += ':';
    const auto* real = std::get_if<double>(&row[i]);
    if (const auto* number = std::get_if<std::int64_t>(&row[i])) line_ += std::to_string(*number);
    else if (real != nullptr && std::isfinite(*real)) line_ += json::print(*real);
    else if (const auto* bytes = std::get_if<std::string>(&row[i])) line_ += json::print(json::bytes(*bytes));
    else line_ += "null";
  }
  line_ += "}\n";
  std::fwrite(line_.data(), 1, line_.size(), out_);
}

void Rows::add_tsv(const std::vector<Value>& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) line_ += '\t';
    if (const auto* bytes = std::get_if<std::string>(&row[i])) append_tsv(*bytes, line_);
    else line_ += cell(row[i]);
  }
  line_ += '\n';
  std::fwrite(line_.data(), 1, line_.size(), out_);
  line_.clear();
}

void Rows::write_table() {
  for (std::size_t i = 0; i < names_.size(); ++i) widths_.push_back(width_of(names_[i]));
  for (const auto& cells : held_) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], width_of(cells[i]));
  }
  std::vector<std::string> heading = names_;
  for (std::string& name : heading) std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return c < 0x80 ? std::toupper(c) : c; });
  write_line(heading);
  for (const auto& cells : held_) write_line(cells);
  held_.clear();
}

void Rows::write_line(const std::vector<std::string>& cells) {
  line_.clear();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line_ += "  ";
    const std::size_t width = width_of(cells[i]);
    const std::string padding(widths_[i] > width ? widths_[i] - width : 0, ' ');
    const bool is_last = i + 1 == cells.size();
    if (is_number_[i]) line_ += padding + cells[i];
    else line_ += cells[i] + (is_last ? "" : padding);
  }
  line_ += '\n';
  std::fwrite(line_.data(), 1, line_.size(), out_);
}

base::Status Rows::end() {
  if (format_ == Format::Table && widths_.empty()) write_table();
  if (format_ == Format::Tsv) std::fwrite(line_.data(), 1, line_.size(), out_);
  return cli::flush(out_);
}

}  // namespace pushmill
