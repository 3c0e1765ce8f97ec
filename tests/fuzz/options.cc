// Command lines of every program: understood, or refused in lines of text with status 102, or help.
#include <string>
#include <vector>

#include "cli/exit_status.h"
#include "fuzz.h"
#include "pushmill/options.h"
#include "sink/options.h"
#include "ventilator/options.h"
#include "worker/options.h"

namespace {

template <typename Options, typename Parse>
void check(const std::vector<std::string>& words, Parse parse) {
  Options options;
  if (const auto leave = parse(words, options)) {
    MUST(leave->status == cli::kExitOk || leave->status == cli::kExitUsage);
    MUST(leave->text.ends_with('\n'));
  }
}

}  // namespace

// The first byte chooses the program; NUL bytes part the words.
void fuzz(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto program = static_cast<unsigned char>(bytes[0]) % 5;
  bytes.remove_prefix(1);
  std::vector<std::string> words;
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\0'), bytes.size());
    words.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  switch (program) {
    case 0: return check<pushmill::RunOptions>(words, pushmill::parse_run);
    case 1: return check<pushmill::ResumeOptions>(words, pushmill::parse_resume);
    case 2: return check<ventilator::Options>(words, ventilator::parse);
    case 3: return check<worker::Options>(words, worker::parse);
    default: return check<sink::Options>(words, sink::parse);
  }
}
