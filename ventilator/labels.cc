#include "ventilator/labels.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace ventilator {
namespace {

constexpr std::size_t kLongestName = 255;  // of a file, in Linux

Phrase parsed(const std::optional<std::string>& text, const ReplacementOptions& options) {
  auto replacements = Replacements::make(options);
  if (!text || !replacements) return {};
  return Phrase::parse({*text}, std::move(*replacements), options.many, nullptr);
}

std::string text_of(const Phrase& phrase, const Arguments& arguments) {
  std::string text;
  (void)phrase.line(arguments, Phrase::Quoting::None, std::string::npos, text, nullptr);
  return text;
}

// A value as the name of a directory, as GNU parallel 20221122 spells it.
std::string name_of(std::string_view value) {
  std::string name;
  for (const char c : value) {
    switch (c) {
      case '\\': name += "\\\\"; break;
      case '\t': name += "\\t"; break;
      case '\0': name += "\\0"; break;
      case '/': name += "\\_"; break;
      default: name += c;
    }
  }
  return name.substr(0, kLongestName);
}

// As GNU parallel: of the template, not of the values in it.
std::string with_tabs_and_newlines(std::string text) {
  for (std::size_t at = 0; (at = text.find('\\', at)) != std::string::npos; ++at) {
    if (text.compare(at, 2, "\\t") == 0) text.replace(at, 2, "\t");
    else if (text.compare(at, 2, "\\n") == 0) text.replace(at, 2, "\n");
  }
  return text;
}

}  // namespace

Labels::Labels(const LabelOptions& options, const ReplacementOptions& replacements) : options_(options), replacements_(replacements) {
  if (options_.tagstring) options_.tagstring = with_tabs_and_newlines(*options_.tagstring);
  parse();
}

void Labels::parse() {
  tag_ = parsed(options_.tagstring, replacements_);
  destination_ = parsed(options_.out ? options_.out : options_.is_table() ? std::nullopt : options_.results, replacements_);
}

std::string Labels::check(const LabelOptions& options, const Replacements& replacements) {
  const std::pair<const char*, const std::optional<std::string>*> texts[] = {{"--tagstring", &options.tagstring}, {"--results", &options.results}, {"--out", &options.out}};
  for (const auto& [name, text] : texts) {
    if (!*text) continue;
    if (std::string why = Phrase::check({**text}, replacements); !why.empty()) return std::string(name) + ": " + why;
    const Phrase phrase = Phrase::parse({**text}, replacements, Many::Join, nullptr);
    if (phrase.has_slot() || phrase.has_variable()) return std::string(name) + ": the slot and the host of a job are not known when its label is made; {#} is its number";
    if (text == &options.out && !phrase.has_replacements())
      return "--out " + **text + ": all jobs would write the same file; a replacement string, as in --out {.}.txt, tells them apart";
  }
  return "";
}

void Labels::set_names(const std::vector<std::string>& names) {
  replacements_.names = names;
  parse();
}

void Labels::set_total(std::uint64_t jobs) {
  replacements_.total = jobs;
  parse();
}

// DIR/KEY/VALUE/KEY/VALUE/, the keys being the names of the columns, or their numbers, in order: numbers by their size, behind the names. Blocks have no values,
// but numbers.
std::string Labels::folder(const Arguments& arguments) const {
  const auto& values = arguments.values;
  const auto& names = replacements_.names;
  std::string path = *options_.results;
  if (!path.ends_with('/')) path += '/';
  const bool has_values = std::any_of(values.begin(), values.end(), [](std::string_view value) { return !value.empty(); });
  if (replacements_.is_filter && !has_values) return path + std::to_string(arguments.number) + '/';
  if (values.empty()) return path + "1/\\0noarg/";
  // Of several rows in one job each begins anew.
  const std::size_t width = !names.empty() ? names.size() : replacements_.many == Many::Repeat ? 1 : values.size();
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < values.size(); ++i) keys.push_back(i % width < names.size() ? names[i % width] : std::to_string(i % width + 1));
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&keys](std::size_t a, std::size_t b) {
    const double first = std::strtod(keys[a].c_str(), nullptr), second = std::strtod(keys[b].c_str(), nullptr);
    return first != second ? first < second : keys[a] < keys[b];
  });
  for (const std::size_t i : order) path += keys[i] + "/" + name_of(values[i]) + "/";
  return path;
}

base::Label Labels::make(const Arguments& arguments) const {
  base::Label label;
  if (arguments.has_own_number) label.number = arguments.number;
  if (options_.tagstring) {
    label.tag = text_of(tag_, arguments);
  } else if (options_.tag) {
    for (const std::string_view& value : arguments.values) {
      if (&value != arguments.values.data()) label.tag += ' ';
      label.tag += value;
    }
  }
  if (options_.out || (options_.results && !options_.is_table()))
    label.destination = destination_.has_replacements() ? text_of(destination_, arguments) : folder(arguments);
  if (options_.is_table())
    for (const std::string& name : replacements_.names) label.destination += name + '\0';
  if (options_.values) label.values.assign(arguments.values.begin(), arguments.values.end());
  return label;
}

}  // namespace ventilator
