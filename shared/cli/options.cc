#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/one_line.h"
#include "cli/durations.h"
#include "cli/exit_status.h"
#include "cli/standard_output.h"

namespace cli {

namespace {
bool is_option(const std::string& word) { return word.size() > 1 && word[0] == '-' && word != "--"; }
Leave refused(const std::string& word) { return {kExitUsage, (is_option(word) ? "unknown option " : "takes no argument such as ") + word + "; see --help\n"}; }
}  // namespace

std::optional<Leave> parse(CLI::App& app, const std::vector<std::string>& arguments, std::vector<std::string>* rest) {
  app.prefix_command(rest != nullptr);
  app.positionals_at_end(false);
  const bool is_help_last = !app.get_options().empty() && app.get_options().back() == app.get_help_ptr();
  if (!is_help_last) app.set_help_flag("-h,--help", "show this");  // anew, behind the others
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return Leave{kExitOk, app.help()};
  } catch (const CLI::CallForVersion& version) {
    return Leave{kExitOk, std::string(version.what()) + "\n"};
  } catch (const CLI::ExtrasError&) {
    const auto extras = app.remaining();
    return refused(extras.empty() ? "--" : extras.front());
  } catch (const CLI::ParseError& error) {
    return Leave{kExitUsage, std::string(error.what()) + "; see --help\n"};
  }
  if (rest == nullptr) return std::nullopt;
  *rest = app.remaining();
  if (!rest->empty() && rest->front() == "--") {
    rest->erase(rest->begin());
  } else if (!rest->empty() && is_option(rest->front())) {
    return refused(rest->front());
  }
  return std::nullopt;
}

void take_last(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_multi_option_policy() == CLI::MultiOptionPolicy::Throw && option->get_expected_max() == 1) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

const CLI::Option* find_option(const CLI::App& app, std::string_view written) {
  const bool is_long = written.starts_with("--");
  const std::string_view name = written.substr(std::min<std::size_t>(written.size(), is_long ? 2 : 1));
  for (const CLI::Option* option : app.get_options()) {
    const std::vector<std::string>& names = is_long ? option->get_lnames() : option->get_snames();
    if (std::find(names.begin(), names.end(), name) != names.end()) return option;
  }
  return nullptr;
}

namespace {

// Whether the value of the option in this word, of the last one if they are short, is the next word, whatever that looks like.
bool takes_next(const CLI::App& app, const std::string& word) {
  const bool is_long = word[1] == '-';
  if (is_long && word.find('=') != std::string::npos) return false;
  for (std::size_t i = 1; i < (is_long ? 2 : word.size()); ++i) {
    const CLI::Option* option = find_option(app, is_long ? word : std::string{'-', word[i]});
    if (option != nullptr && option->get_items_expected_max() > 0) return is_long || i + 1 == word.size();
  }
  return false;
}

}  // namespace

std::size_t options_end(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::size_t at = 0;
  while (at < arguments.size() && is_option(arguments[at])) at += takes_next(app, arguments[at]) ? 2 : 1;
  return std::min(at, arguments.size());
}

std::vector<std::string> with_values(const CLI::App& app, const std::vector<std::string>& arguments, const std::vector<BareOption>& bare) {
  std::vector<std::string> full;
  auto word = arguments.begin();
  for (; word != arguments.end() && is_option(*word); ++word) {
    const auto left_out = std::find_if(bare.begin(), bare.end(), [&](const BareOption& option) { return option.name == *word; });
    const bool has_number = word + 1 != arguments.end() && !word[1].empty() && word[1].find_first_not_of("0123456789") == std::string::npos;
    full.push_back(left_out != bare.end() && !has_number ? left_out->full : *word);
    if (full.back() == *word && takes_next(app, *word) && word + 1 != arguments.end()) full.push_back(*++word);
  }
  full.insert(full.end(), word, arguments.end());
  return full;
}

namespace {

constexpr std::size_t kHelpWidth = 100, kTextColumn = 28;

// `text` in lines that fit beside a column; the first line continues a line of `used` characters.
std::string wrapped(const std::string& text, std::size_t used) {
  std::string out;
  if (used + 2 > kTextColumn) out = "\n", used = 0;
  out.append(kTextColumn - used, ' ');
  std::size_t column = kTextColumn;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (column + end - at > kHelpWidth && column > kTextColumn) {
      out.back() = '\n';
      out.append(kTextColumn, ' ');
      column = kTextColumn;
    }
    out.append(text, at, end - at).append(" ");
    column += end - at + 1;
    at = end + 1;
  }
  out.back() = '\n';
  return out;
}

class Help : public CLI::Formatter {
 public:
  explicit Help(std::string usage) : usage_(std::move(usage)) {}

  std::string make_usage(const CLI::App*, std::string) const override { return "Usage: " + usage_ + "\n\n"; }

  // One empty line between groups.
  std::string make_group(std::string group, bool is_positional, std::vector<const CLI::Option*> options) const override {
    return CLI::Formatter::make_group(group, is_positional, options).substr(1) + (is_positional ? "\n" : "");
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    const std::string value = option->get_type_size() == 0 || option->get_type_name().empty() ? "" : " " + option->get_type_name();
    const std::string left = "  " + (is_positional ? option->get_name(true) : option->get_name(false, true)) + value;
    std::string text = make_option_desc(option);
    if (!option->get_default_str().empty()) text += " (" + option->get_default_str() + ")";
    if (option->get_required() && !is_positional) text += "; it must be given";
    return left + wrapped(text, left.size());
  }

 private:
  std::string usage_;
};

}  // namespace

void set_usage(CLI::App& app, const std::string& usage) { app.formatter(std::make_shared<Help>(usage)); }

void begin_group(CLI::App& app, const std::string& heading) { app.option_defaults()->group(heading); }

CLI::Option* add_duration(CLI::App& app, const std::string& name, base::Duration& value, const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [&value, name](const std::string& text) {
        const auto parsed = parse_duration(text);
        if (!parsed) throw CLI::ValidationError(name + ": " + parsed.error().message, CLI::ExitCodes::ValidationError);
        value = *parsed;
      },
      help)->type_name("TIME");
}

CLI::Option* add_size(CLI::App& app, const std::string& name, std::uint64_t& value, const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [&value, name](const std::string& text) {
        const auto parsed = parse_size(text);
        if (!parsed) throw CLI::ValidationError(name + ": " + parsed.error().message, CLI::ExitCodes::ValidationError);
        if (*parsed == 0) throw CLI::ValidationError(name + ": must be at least one byte", CLI::ExitCodes::ValidationError);
        value = *parsed;
      },
      help)->type_name("SIZE");
}

CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint32_t& value, std::uint32_t least, std::uint32_t most, const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [&value, name, least, most](const std::string& text) {
        char* end = nullptr;
        const unsigned long long number = std::strtoull(text.c_str(), &end, 10);
        const bool is_number = !text.empty() && text[0] >= '0' && text[0] <= '9' && *end == '\0';
        if (!is_number || number < least || number > most) {
          throw CLI::ValidationError(name + ": '" + text + "' is not a whole number from " + std::to_string(least) + " to " + std::to_string(most),
                                     CLI::ExitCodes::ValidationError);
        }
        value = static_cast<std::uint32_t>(number);
      },
      help)->type_name("N");
}

CLI::Option* add_choice(CLI::App& app, const std::string& name, const std::vector<std::string>& words, const std::function<void(std::size_t)>& take,
                        const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [name, words, take](const std::string& text) {
        const auto known = std::find(words.begin(), words.end(), text);
        if (known != words.end()) return take(static_cast<std::size_t>(known - words.begin()));
        std::string list;
        for (const std::string& word : words) list += (list.empty() ? "" : &word == &words.back() ? " or " : ", ") + word;
        throw CLI::ValidationError(name + ": '" + text + "' is not " + list, CLI::ExitCodes::ValidationError);
      },
      help)->type_name("WORD");
}

void add_take_over(CLI::App& app, const std::function<void()>& take) {
  app.add_flag_callback("--take-over", take, "take the run directory from a host that is dead: needed on network file systems only, where nobody else can tell");
}

void add_work(CLI::App& app, Work& work) {
  app.add_option_function<std::string>("--call", [&work](const std::string& text) { work.call = text; },
                                       "call HANDLER (or HANDLER@VERSION) with each line instead of running a command")->type_name("HANDLER");
  app.add_option_function<std::string>("--coprocess", [&work](const std::string& text) { work.coprocess = text; },
                                       "keep a child of COMMAND in each slot: it is given each line and answers with one")->type_name("COMMAND");
  std::vector<std::string> framings;
  for (const auto known : {base::Framing::Line, base::Framing::Length, base::Framing::Json}) framings.emplace_back(base::name(known));
  add_choice(app, "--framing", framings, [&work](std::size_t index) { work.framing = static_cast<base::Framing>(index); },
             "of records and answers of a coprocess: line, length (4 bytes, greatest first, and so many bytes) or json (one value a line); "
             "of a call: line, its argument is text, or json, any value")->default_str("line");
}

std::optional<Leave> check_work(const Work& work, const std::vector<std::string>& words) {
  const auto wrong = [](const char* text) { return Leave{kExitUsage, text}; };
  if (work.call && work.coprocess) return wrong("--coprocess and --call exclude each other\n");
  if (work.framing && !work.coprocess && !work.call) return wrong("--framing belongs to --coprocess or --call\n");
  if (work.call) {
    if (work.call->empty()) return wrong("--call: the name of a handler is missing\n");
    if (!words.empty()) return wrong("--call and a command exclude each other\n");
    if (work.framing == base::Framing::Length) return wrong("--framing length is for --coprocess: a call takes line or json\n");
  }
  if (work.coprocess) {
    if (work.coprocess->find_first_not_of(" \t\n") == std::string::npos) return wrong("--coprocess needs a command\n");
    if (!words.empty()) return wrong("--coprocess and a command exclude each other: the command of the coprocess is one word, in quotes\n");
  }
  return std::nullopt;
}

void add_ending(CLI::App& app, base::TermSeq& term_seq, bool& kill_leftovers) {
  app.add_option_function<std::string>(
      "--term-seq",
      [&term_seq](const std::string& text) {
        auto sequence = base::parse_term_seq(text);
        if (!sequence) throw CLI::ValidationError("--term-seq: " + sequence.error().message, CLI::ExitCodes::ValidationError);
        term_seq = std::move(*sequence);
      },
      "how a command and its processes are ended: signals, and milliseconds to wait for each")->type_name("SIGNAL,MS,...")->default_str("TERM,200,TERM,100,TERM,50,KILL,25");
  app.add_flag("--kill-leftovers", kill_leftovers, "end what a command leaves running when it has ended");
}

int leave(const Leave& leave, const std::string& program) {
  if (leave.status == kExitOk) {
    std::fputs(leave.text.c_str(), stdout);
    const auto written = flush(stdout);
    return written ? kExitOk : fail(written.error(), program);
  }
  std::fprintf(stderr, "%s: %s\n", program.c_str(), base::one_line(std::string_view(leave.text).substr(0, leave.text.size() - leave.text.ends_with('\n'))).c_str());
  return leave.status;
}

int fail(const base::Error& error, const std::string& program) {
  std::fprintf(stderr, "%s: %s\n", program.c_str(), base::one_line(error.message).c_str());
  return exit_status(error.kind);
}

}  // namespace cli
