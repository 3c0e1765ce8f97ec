#include "ventilator/columns.h"

#include <algorithm>

namespace ventilator {

namespace {
constexpr std::string_view kBlanks = " \t\n\v\f\r";
}  // namespace

bool is_blank(std::string_view value) { return value.find_first_not_of(kBlanks) == std::string_view::npos; }

std::string_view trimmed(std::string_view value, Trim trim) {
  if (trim == Trim::Left || trim == Trim::Both) value.remove_prefix(std::min(value.find_first_not_of(kBlanks), value.size()));
  if (trim == Trim::Right || trim == Trim::Both) value = value.substr(0, value.find_last_not_of(kBlanks) + 1);
  return value;
}

base::Result<Columns> Columns::split_at(std::string_view separator, Trim trim) {
  auto compiled = regex::Regex::compile(separator);
  if (!compiled) return compiled.error();
  Columns columns(trim);
  columns.separator_.emplace(std::move(*compiled));
  const std::string_view text = separator == "\\t" ? "\t" : separator;
  if (text.size() == 1 && std::string_view(".^$|?*+()[{\\").find(text[0]) == std::string_view::npos) columns.plain_ = text[0];
  return columns;
}

Columns Columns::csv(char separator, Trim trim) {
  Columns columns(trim);
  columns.csv_ = separator;
  return columns;
}

void Columns::add(std::string_view record, Rows& rows) const {
  if (csv_) split_csv(record, rows);
  else if (separator_) split(record, rows);
  else add_value(record, rows);
  rows.end_row();
}

void Columns::split(std::string_view record, Rows& rows) const {
  std::size_t begin = 0;
  if (plain_) {
    for (std::size_t end; (end = record.find(*plain_, begin)) != std::string_view::npos; begin = end + 1) add_value(record.substr(begin, end - begin), rows);
  } else {
    for (std::size_t from = 0; const auto found = separator_->find(record, from);) {
      if (found->end == found->begin && found->begin == begin) {  // nothing between two columns: behind the next character, then
        if ((from = begin + 1) > record.size()) break;
        continue;
      }
      add_value(record.substr(begin, found->begin - begin), rows);
      for (const regex::Span& group : separator_->groups()) add_value(record.substr(group.begin, group.end - group.begin), rows);
      from = begin = found->end;
    }
  }
  add_value(record.substr(begin), rows);
}

void Columns::split_csv(std::string_view record, Rows& rows) const {
  for (std::size_t begin = 0;;) {
    if (begin < record.size() && record[begin] == '"') {
      std::size_t at = begin + 1, end;
      std::string* unquoted = nullptr;
      while ((end = record.find('"', at)) != std::string_view::npos && end + 1 < record.size() && record[end + 1] == '"') {
        if (unquoted == nullptr) unquoted = &rows.owned.emplace_back();
        unquoted->append(record, at, end + 1 - at);
        at = end + 2;
      }
      end = std::min(end, record.size());
      const std::size_t next = std::min(record.find(*csv_, end), record.size());
      const std::string_view behind = end < next ? record.substr(end + 1, next - end - 1) : std::string_view();
      const bool is_plain = behind.empty() || behind == "\r";
      if (unquoted == nullptr && !is_plain) unquoted = &rows.owned.emplace_back();
      if (unquoted != nullptr) {
        unquoted->append(record, at, end - at);
        if (!is_plain) unquoted->append(behind);
      }
      add_value(unquoted != nullptr ? std::string_view(*unquoted) : record.substr(at, end - at), rows);
      if (next >= record.size()) return;
      begin = next + 1;
    } else {
      const std::size_t next = std::min(record.find(*csv_, begin), record.size());
      std::string_view value = record.substr(begin, next - begin);
      if (next >= record.size() && value.ends_with('\r')) value.remove_suffix(1);
      add_value(value, rows);
      if (next >= record.size()) return;
      begin = next + 1;
    }
  }
}

}  // namespace ventilator
