#include "base/job.h"

#include <algorithm>

namespace base {

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::Ok: return "ok";
    case Outcome::Failed: return "failed";
    case Outcome::Timeout: return "timeout";
    case Outcome::Lost: return "lost";
    case Outcome::Returned: return "returned";
    case Outcome::Cancelled: return "cancelled";
    case Outcome::Superseded: return "superseded";
    case Outcome::Oom: return "oom";
  }
  return "unknown";
}

std::optional<Outcome> parse_outcome(std::string_view text) {
  for (std::uint8_t i = 0; i < kOutcomes; ++i)
    if (name(static_cast<Outcome>(i)) == text) return static_cast<Outcome>(i);
  return std::nullopt;
}

std::string_view name(Framing framing) {
  switch (framing) {
    case Framing::Line: return "line";
    case Framing::Length: return "length";
    case Framing::Json: return "json";
  }
  return "unknown";
}

void put_in_slot(Command& command, std::uint32_t slot) {
  const std::string number = std::to_string(slot);
  for (auto mark = command.slot_marks.rbegin(); mark != command.slot_marks.rend(); ++mark) command.line.insert(*mark, number);  // from behind: what is before stays in place
  command.slot_marks.clear();
}

std::string shell_quote(std::string_view word) {
  std::string quoted;
  append_shell_quoted(word, quoted);
  return quoted;
}

void append_shell_quoted(std::string_view word, std::string& quoted) {
  if (word.empty()) {
    quoted += "''";
    return;
  }
  const auto is_plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '+' || c == '/';
  };
  if (std::all_of(word.begin(), word.end(), is_plain)) {
    quoted += word;
    return;
  }
  bool open = false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\'') {
      if (open) quoted += '\'';
      else if (i > 0) quoted += "''";  // GNU parallel writes the empty quotes between two apostrophes
      quoted += "\"'\"";
      open = false;
    } else {
      if (!open) quoted += '\'';
      quoted += word[i];
      open = true;
    }
  }
  if (open) quoted += '\'';
}

std::string shell_join(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += shell_quote(word);
  }
  return line;
}

std::string_view table_of(std::string_view name) {
  for (const std::string_view table : {"csv", "tsv", "json"}) {
    if (name.size() <= table.size() || name[name.size() - table.size() - 1] != '.') continue;
    const std::string_view end = name.substr(name.size() - table.size());
    if (std::equal(end.begin(), end.end(), table.begin(), [](char c, char lower) { return (c | 0x20) == lower; })) return table;
  }
  return {};
}

}  // namespace base
