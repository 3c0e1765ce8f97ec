#include "ventilator/replacements.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/job.h"

namespace ventilator {
namespace {

using Kind = Change::Kind;
using base::Error;

constexpr std::size_t kLongestExpansion = 1024;  // keeps the search for its end linear

struct Plus {
  std::string_view text;
  Change change;
};
constexpr Plus kPlus[] = {
    {"{+/}", {Kind::BeforeSlash}},      {"{+.}", {Kind::Extensions, 1}}, {"{+..}", {Kind::Extensions, 2}}, {"{+...}", {Kind::Extensions, 3}}, {"{..}", {Kind::Stem, 2}},
    {"{...}", {Kind::Stem, 3}},         {"{/..}", {Kind::NameStem, 2}},  {"{/...}", {Kind::NameStem, 3}},
};
constexpr std::pair<std::string_view, std::string_view> kVariables[] = {
    {"{slot}", "${PARALLEL_JOBSLOT}"}, {"{host}", "${PARALLEL_SSHHOST}"},          {"{sshlogin}", "${PARALLEL_SSHLOGIN}"},
    {"{hgrp}", "${PARALLEL_HOSTGROUPS}"}, {"{agrp}", "${PARALLEL_ARGHOSTGROUPS}"},
};

std::uint8_t digits_of(std::uint64_t number) { return static_cast<std::uint8_t>(std::to_string(number).size()); }

// The index of a positional string: 0 and other spellings of what is no place are nowhere.
std::int32_t index_of(std::string_view digits) {
  std::int32_t index = 0;
  const auto [stop, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (fault != std::errc{} || index == INT32_MIN) return Replacement::kNowhere;
  return index == 0 && digits != "0" ? Replacement::kNowhere : index;
}

}  // namespace

std::string ReplacementOptions::text() const {
  const ReplacementOptions standard;
  std::vector<std::string> words;
  const auto add = [&words](const char* name, const std::string& value, const std::string& usual) {
    if (value != usual) words.insert(words.end(), {name, value});
  };
  add("-I", value, standard.value);
  add("--er", stem, standard.stem);
  add("--bnr", name, standard.name);
  add("--dnr", folder, standard.folder);
  add("--bner", name_stem, standard.name_stem);
  add("--seqreplace", number, standard.number);
  add("--slotreplace", slot, standard.slot);
  for (const std::string& one : own) add("--rpl", one, "");
  if (plus) words.push_back("--plus");
  if (quote) words.push_back("-q");
  if (argv) words.push_back("--argv");
  if (many == Many::Repeat) words.push_back("-X");
  return words.empty() ? "" : base::shell_join(words);
}

void Replacements::add(std::string text, Replacement replacement) {
  if (text.empty()) return;
  begins_[static_cast<unsigned char>(text.front())] = true;
  tags_.push_back({std::move(text), std::move(replacement)});
}

base::Result<Replacements> Replacements::make(const ReplacementOptions& options) {
  base::Result<Replacements> made(Replacements{});
  made->edits_ = std::make_shared<std::vector<Edit>>();
  made->plus_ = options.plus;
  made->has_total_ = options.total.has_value();
  const auto value = [&](const std::string& text, Change change) { made->add(text, {Replacement::Kind::Value, change}); };
  for (auto given = options.own.rbegin(); given != options.own.rend(); ++given) {  // of two for one string the latter counts
    const std::string& own = *given;
    const std::size_t blank = std::min(own.find_first_of(" \t\n"), own.size());
    const std::string tag = own.substr(0, blank);
    if (tag.empty()) return Error{Error::Kind::Usage, "--rpl '" + own + "': the replacement string is missing before the blank"};
    if (tag.find('(') != std::string::npos) return Error{Error::Kind::Usage, "--rpl '" + own + "': parentheses in a replacement string are not supported; --plus has {%TEXT}, {#TEXT}, {/TEXT/TEXT}"};
    auto edit = Edit::parse(std::string_view(own).substr(blank));
    if (!edit) return Error{Error::Kind::Usage, "--rpl: " + edit.error().message + "; compute anything else in the command itself, which is a shell line"};
    made->edits_->push_back(std::move(*edit));
    value(tag, {Kind::Edit, static_cast<std::uint32_t>(made->edits_->size() - 1)});
  }
  value(options.value, {Kind::None});
  value(options.stem, {Kind::Stem});
  value(options.name, {Kind::Name});
  value(options.folder, {Kind::Folder});
  value(options.name_stem, {Kind::NameStem});
  made->add(options.number, {Replacement::Kind::JobNumber});
  made->add(options.slot, {Replacement::Kind::Slot});
  if (options.plus) {
    for (const Plus& plus : kPlus) value(std::string(plus.text), plus.change);
    for (const auto& [text, variable] : kVariables) made->add(std::string(text), Replacement::text(variable));
    const std::string padded = "$(printf %0" + std::to_string(digits_of(options.slots)) + "d $PARALLEL_JOBSLOT)";  // the shell is left to do it: the worker puts in what is not padded
    made->add("{0%}", options.slots < 10 ? Replacement{Replacement::Kind::Slot} : Replacement::text(padded));
    if (options.total) {
      made->add("{##}", {Replacement::Kind::Literal, {}, 0, 0, true, std::to_string(*options.total)});
      made->add("{0#}", {Replacement::Kind::JobNumber, {}, 0, digits_of(*options.total), true});
    }
  }
  // The name of a column stands for its number.
  for (std::size_t column = 0, count = made->tags_.size(); column < options.names.size(); ++column) {
    for (std::size_t i = 0; i < count; ++i) {
      const Tag& tag = made->tags_[i];
      if (tag.replacement.kind != Replacement::Kind::Value || !tag.text.starts_with('{')) continue;
      Replacement replacement = tag.replacement;
      replacement.index = static_cast<std::int32_t>(column) + 1;
      made->tags_.insert(made->tags_.begin() + static_cast<std::ptrdiff_t>(i), Tag{"{" + options.names[column] + tag.text.substr(1), std::move(replacement)});
      ++i, ++count;
    }
    // Before those it was made of, which it may spell alike; not a model for the next names.
    std::stable_partition(made->tags_.begin(), made->tags_.end(), [&](const Tag& tag) { return tag.replacement.index != 0; });
  }
  std::stable_sort(made->tags_.begin(), made->tags_.end(), [](const Tag& a, const Tag& b) { return a.text.size() > b.text.size(); });
  made->begins_['{'] = true;  // positional ones, and what is refused
  return made;
}

std::optional<Replacements::Found> Replacements::at(std::string_view text) const {
  for (const Tag& tag : tags_)
    if (text.starts_with(tag.text)) return Found{tag.text.size(), tag.replacement};
  if (!text.starts_with('{')) return std::nullopt;
  if (auto found = positional(text)) return found;
  return dynamic(text);
}

// {N...}, where {...} is the replacement string of a value.
std::optional<Replacements::Found> Replacements::positional(std::string_view text) const {
  std::size_t end = 1 + (text.size() > 1 && text[1] == '-');
  const std::size_t digits = end;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  if (end == digits) return std::nullopt;
  const std::int32_t index = index_of(text.substr(1, end - 1));
  const std::string_view rest = text.substr(end);
  for (const Tag& tag : tags_) {
    if (tag.replacement.kind != Replacement::Kind::Value || tag.replacement.index != 0 || !tag.text.starts_with('{') || !rest.starts_with(std::string_view(tag.text).substr(1))) continue;
    Found found{end + tag.text.size() - 1, tag.replacement};
    found.replacement.index = index;
    return found;
  }
  if (!plus_) return std::nullopt;
  auto found = dynamic(text.substr(end - 1));  // what stands in place of its brace is not looked at
  if (!found) return std::nullopt;
  found->length += end - 1;
  found->replacement.index = index;
  return found;
}

std::optional<Replacements::Found> Replacements::dynamic(std::string_view text) const {
  if (!plus_) return std::nullopt;
  const std::size_t end = text.substr(0, kLongestExpansion).find('}');
  if (end == std::string_view::npos || end < 3) return std::nullopt;
  auto edit = Edit::expansion(text.substr(1, end - 1));
  if (!edit) return std::nullopt;
  edits_->push_back(std::move(*edit));
  return Found{end + 1, {Replacement::Kind::Value, {Kind::Edit, static_cast<std::uint32_t>(edits_->size() - 1)}}};
}

std::string Replacements::unsupported_at(std::string_view text) const {
  if (text.starts_with("{=")) {
    if (text.find("=}", 2) == std::string_view::npos) return "";
    return "{= PERL =} is not supported: --plus and --rpl change values without Perl, and anything can be computed in the command itself, which is a shell line";
  }
  if (!plus_) return "";
  for (const std::string_view skipping : {"{choose_k}", "{uniq}"})
    if (text.starts_with(skipping)) return std::string(skipping) + " is not supported: a template skips no jobs; leave them out of the input";
  if (!has_total_ && (text.starts_with("{##}") || text.starts_with("{0#}")))
    return std::string(text.substr(0, 4)) + " is not supported with --pipe: the number of blocks is not known before the input has been read";
  return "";
}

}  // namespace ventilator
