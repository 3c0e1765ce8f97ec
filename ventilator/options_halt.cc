#include "ventilator/options_halt.h"

#include <CLI/CLI.hpp>
#include <charconv>

namespace ventilator {

namespace {

using wire::HaltRule;
constexpr std::uint32_t kMostPercent = 100;

base::Error wrong(std::string_view text) {
  return {base::Error::Kind::Usage, "'" + std::string(text) + "' is not never, or soon or now, then fail, success or done, then N or N%: soon,fail=1"};
}

// N or N%, above 0.
bool parse_count(std::string_view text, HaltRule& rule) {
  rule.is_percent = text.ends_with('%');
  if (rule.is_percent) text.remove_suffix(1);
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), rule.count);
  return fault == std::errc{} && end == text.data() + text.size() && rule.count > 0 && (!rule.is_percent || rule.count <= kMostPercent);
}

}  // namespace

base::Result<HaltRule> parse_halt(std::string_view text) {
  using When = HaltRule::When;
  using Of = HaltRule::Of;
  if (text == "never" || text == "0") return HaltRule{};
  if (text == "1" || text == "2") return HaltRule{text == "1" ? When::Soon : When::Now, Of::Failed, 1, false};
  if (text == "-1" || text == "-2") return HaltRule{text == "-1" ? When::Soon : When::Now, Of::Succeeded, 1, false};
  HaltRule rule;
  rule.when = When::Soon;
  if (text.ends_with('%') && parse_count(text, rule)) return rule;
  const std::size_t comma = text.find(','), equals = text.find('=');
  if (comma == std::string_view::npos || equals == std::string_view::npos || equals < comma) return wrong(text);
  const std::string_view when = text.substr(0, comma), of = text.substr(comma + 1, equals - comma - 1);
  if (when != "soon" && when != "now") return wrong(text);
  if (when == "now") rule.when = When::Now;
  if (of == "success") rule.of = Of::Succeeded;
  else if (of == "done") rule.of = Of::Done;
  else if (of != "fail") return wrong(text);
  if (!parse_count(text.substr(equals + 1), rule)) return wrong(text);
  return rule;
}

void add_halt(CLI::App& app, HaltRule& rule) {
  app.add_option_function<std::string>("--halt,--halt-on-error", [&rule](const std::string& text) {
    const auto parsed = parse_halt(text);
    if (!parsed) throw CLI::ValidationError("--halt: " + parsed.error().message, CLI::ExitCodes::ValidationError);
    rule = *parsed;
  }, "stop the run before its end: soon (what runs is finished) or now (it is ended), then fail, success or done, then a number of jobs or a share of all: "
     "soon,fail=1 or now,success=10%. It can be continued")->type_name("WHEN,WHY=N")->default_str("never");
}

}  // namespace ventilator
