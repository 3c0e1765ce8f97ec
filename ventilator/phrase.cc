#include "ventilator/phrase.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/job.h"

namespace ventilator {
namespace {

using Kind = Replacement::Kind;

struct LineTarget {
  std::string& line;
  std::vector<std::uint32_t>* marks;
  Phrase::Quoting quoting;
  std::size_t limit;
  bool is_full = false;

  void next_word() { line += ' '; }
  void literal(std::string_view text) {
    line += text;
    is_full |= line.size() > limit;
  }
  void value(std::string_view value) {
    // Before quoting: a value that cannot fit costs nothing.
    if (value.size() > limit) is_full = true;
    else if (quoting == Phrase::Quoting::Values) base::append_shell_quoted(value, line);
    else line += value;
    is_full |= line.size() > limit;
  }
  void slot() {
    if (marks != nullptr) marks->push_back(static_cast<std::uint32_t>(line.size()));
  }
};

struct WordsTarget {
  std::vector<Phrase::Word>& words;
  std::size_t limit;
  bool is_full = false;

  void next_word() { words.push_back({}); }
  void literal(std::string_view text) {
    is_full |= text.size() > limit || words.back().text.size() + text.size() > limit;
    if (!is_full) words.back().text += text;
  }
  void value(std::string_view value) { literal(value); }
  void slot() { words.back().marks.push_back(static_cast<std::uint32_t>(words.back().text.size())); }
};

struct LengthTarget {
  Phrase::Quoting quoting;
  std::size_t length = 0;
  std::string room = {};
  bool is_full = false;

  void next_word() { ++length; }
  void literal(std::string_view text) { length += text.size(); }
  void value(std::string_view value) {
    room.clear();
    if (quoting == Phrase::Quoting::Values) base::append_shell_quoted(value, room);
    length += quoting == Phrase::Quoting::Values ? room.size() : value.size();
  }
  void slot() { ++length; }
};

// The value of a positional string, counted from either end; as in GNU parallel, counting from the end goes round once. Null: there is none.
const std::string_view* value_at(std::int32_t index, const std::vector<std::string_view>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
  std::int64_t at = index > 0 ? index - 1 : count + index;
  if (at < 0 && index < 0) at += count;
  return at >= 0 && at < count ? &values[static_cast<std::size_t>(at)] : nullptr;
}

}  // namespace

Phrase Phrase::parse(const std::vector<std::string>& words, Replacements replacements, Many many, const std::string* appended) {
  Phrase phrase;
  phrase.replacements_ = std::move(replacements);
  bool has_any = false, has_blank = false;  // ... before the first
  const auto literal = [&](std::string_view text) {
    has_blank |= !has_any && text.find_first_of(" \t\n=") != std::string_view::npos;
    if (!text.empty()) phrase.runs_.back().parts.push_back(Part::text(text));
  };
  const auto replacement = [&](Part part) {
    if (!has_any) phrase.begins_with_value_ = !has_blank && phrase.runs_.size() == 1;
    has_any = true;
    phrase.has_slot_ |= part.kind == Kind::Slot;
    phrase.has_total_ |= part.has_total;
    phrase.has_variable_ |= part.kind == Kind::Literal && part.literal.starts_with('$');
    phrase.runs_.back().parts.push_back(std::move(part));
  };
  const auto parse_word = [&](std::string_view word) {
    const bool begins = !phrase.runs_.empty();
    phrase.runs_.emplace_back().begins = begins;
    std::size_t done = 0;
    for (std::size_t at = 0; at < word.size();) {
      auto found = phrase.replacements_.may_begin(word[at]) ? phrase.replacements_.at(word.substr(at)) : std::nullopt;
      if (!found) {
        ++at;
        continue;
      }
      literal(word.substr(done, at - done));
      replacement(std::move(found->replacement));
      done = at += found->length;
    }
    literal(word.substr(done));
  };
  for (const std::string& word : words) parse_word(word);
  phrase.has_replacements_ = has_any;
  if (!has_any && appended != nullptr) parse_word(*appended);
  if (many == Many::Repeat) phrase.split_for_repeats();
  return phrase;
}

std::string Phrase::check(const std::vector<std::string>& words, const Replacements& replacements) {
  for (const std::string_view word : words) {
    for (std::size_t at = word.find('{'); at != std::string_view::npos; at = word.find('{', at + 1)) {
      if (std::string why = replacements.unsupported_at(word.substr(at)); !why.empty()) return why;
    }
  }
  return "";
}

// Blanks and tabs end a run, newlines do not; of tabs before it, each copy has the last one. As GNU parallel does.
void Phrase::split_for_repeats() {
  std::vector<Run> runs;
  const auto is_all = [](const Part& part) { return part.kind == Kind::Value && part.index == 0; };
  const auto end_run = [&runs, &is_all] {
    runs.back().repeats = std::any_of(runs.back().parts.begin(), runs.back().parts.end(), is_all);
    runs.emplace_back();
  };
  for (Run& run : runs_) {
    if (runs.empty()) runs.emplace_back();
    else end_run();
    runs.back().begins = run.begins;
    for (Part& part : run.parts) {
      if (part.kind != Kind::Literal) {
        runs.back().parts.push_back(std::move(part));
        continue;
      }
      std::string_view text = part.literal;
      while (!text.empty()) {
        const bool is_blank = text.front() == ' ' || text.front() == '\t';
        const std::size_t length = std::min(is_blank ? text.find_first_not_of(" \t") : text.find_first_of(" \t"), text.size());
        if (is_blank) end_run();
        runs.back().parts.push_back(Part::text(text.substr(0, length)));
        if (is_blank) {
          end_run();
          runs.back().after_tab = text[length - 1] == '\t';
        }
        text.remove_prefix(length);
      }
    }
  }
  if (!runs.empty()) end_run();
  std::erase_if(runs, [](const Run& run) { return run.parts.empty() && !run.begins; });
  runs_ = std::move(runs);
}

template <typename Target>
void Phrase::put_value(const Part& part, std::string_view value, Target& target, std::string& room) const {
  if (part.change.kind != Change::Kind::Edit) return target.value(apply(part.change, value, room));
  room = value;
  replacements_.edit(part.change.count).apply(room);
  target.value(room);
}

template <typename Target>
void Phrase::put(const Arguments& arguments, Target& target) const {
  const auto& values = arguments.values;
  std::string room;
  for (const Run& run : runs_) {
    if (run.begins) target.next_word();
    const std::size_t copies = run.repeats ? std::max<std::size_t>(values.size(), 1) : 1;
    for (std::size_t copy = 0; copy < copies; ++copy) {
      if (copy > 0) {
        target.next_word();
        if (run.after_tab) target.literal("\t");
      }
      for (const Part& part : run.parts) {
        if (target.is_full) return;
        if (part.kind == Kind::Literal) {
          target.literal(part.literal);
        } else if (part.kind == Kind::Slot) {
          target.slot();
        } else if (part.kind == Kind::JobNumber) {
          char digits[20];
          const std::string_view number(digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, arguments.number).ptr - digits));
          for (std::size_t i = number.size(); i < part.digits; ++i) target.literal("0");
          target.literal(number);
        } else if (part.index != 0) {
          if (const auto* value = value_at(part.index, values)) put_value(part, *value, target, room);
        } else if (run.repeats) {
          if (copy < values.size()) put_value(part, values[copy], target, room);
        } else {
          for (const std::string_view& value : values) {
            if (&value != values.data()) target.next_word();
            put_value(part, value, target, room);
            if (target.is_full) return;
          }
        }
      }
    }
  }
}

bool Phrase::line(const Arguments& arguments, Quoting quoting, std::size_t limit, std::string& line, std::vector<std::uint32_t>* marks) const {
  line.clear();
  if (marks != nullptr) marks->clear();
  LineTarget target{line, marks, quoting, limit};
  put(arguments, target);
  return !target.is_full && line.size() <= limit;
}

bool Phrase::words(const Arguments& arguments, std::size_t limit, std::vector<Word>& words) const {
  words.assign(1, {});
  WordsTarget target{words, limit};
  put(arguments, target);
  return !target.is_full;
}

std::size_t Phrase::length(const Arguments& arguments, Quoting quoting) const {
  LengthTarget target{quoting};
  put(arguments, target);
  return target.length;
}

}  // namespace ventilator
