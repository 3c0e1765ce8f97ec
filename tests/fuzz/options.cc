// Command lines of every program: understood, or refused in lines of text with status 102, or help.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/exit_status.h"
#include "fuzz.h"
#include "pushmill/options.h"
#include "sink/options.h"
#include "ventilator/options.h"
#include "worker/options.h"

namespace {

using Words = std::vector<std::string>;

void check(const std::optional<cli::Leave>& leave) {
  if (!leave) return;
  MUST(leave->status == cli::kExitOk || leave->status == cli::kExitUsage);
  MUST(leave->text.ends_with('\n'));
}

template <typename Options>
void check(const Words& words, std::optional<cli::Leave> parse(const Words&, Options&)) {
  Options options;
  check(parse(words, options));
}

// With an app that is made once: to make it takes ten times as long as to parse.
template <typename Options>
void check(const Words& words, void add(CLI::App&, Options&), std::optional<cli::Leave> parse(CLI::App&, const Words&, Options&)) {
  static struct Parser {
    Options options;
    CLI::App app;
    explicit Parser(void add(CLI::App&, Options&)) { add(app, options); }
  } parser(add);
  parser.options = Options();
  check(parse(parser.app, words, parser.options));
}

}  // namespace

// The first byte chooses the program; NUL bytes part the words.
void fuzz(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto program = static_cast<unsigned char>(bytes[0]) % 5;
  bytes.remove_prefix(1);
  Words words;
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\0'), bytes.size());
    words.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  switch (program) {
    case 0: return check<pushmill::RunOptions>(words, pushmill::add_run, pushmill::parse_run);
    case 1: return check<pushmill::ResumeOptions>(words, pushmill::parse_resume);
    case 2: return check<ventilator::Options>(words, ventilator::add_options, ventilator::parse);
    case 3: return check<worker::Options>(words, worker::parse);
    default: return check<sink::Options>(words, sink::parse);
  }
}
