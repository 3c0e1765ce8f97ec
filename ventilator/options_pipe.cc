#include "ventilator/options_pipe.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "cli/durations.h"
#include "cli/exit_status.h"

namespace ventilator {

namespace {

constexpr std::uint64_t kLargestBlock = (std::uint64_t{1} << 31) - 1;
constexpr std::uint64_t kPartsOfSlot = 10;  // of a file, when nothing else is said

cli::Leave wrong(const std::string& text) { return {cli::kExitUsage, text + "\n"}; }

std::int64_t parse_block(const std::string& text) {
  const bool is_parts = text.starts_with('-');
  const auto size = cli::parse_size(is_parts ? text.substr(1) : text);
  if (!size) throw CLI::ValidationError("--block: " + size.error().message, CLI::ExitCodes::ValidationError);
  if (*size == 0) throw CLI::ValidationError("--block: must be at least one byte", CLI::ExitCodes::ValidationError);
  const auto bytes = static_cast<std::int64_t>(std::min(*size, kLargestBlock));
  return is_parts ? -bytes : bytes;
}

// Of a header that is told by its lines; none: it is an expression, or there is none.
std::optional<std::uint64_t> header_lines(const InputOptions& input) {
  if (!input.header) return std::nullopt;
  if (input.has_header) return 1;
  std::uint64_t lines = 0;
  const char* const end = input.header->data() + input.header->size();
  const auto [stop, fault] = std::from_chars(input.header->data(), end, lines);
  return fault == std::errc{} && stop == end && lines > 0 ? std::optional(lines) : std::nullopt;
}

base::Result<RecordEnds> ends_of(const PipeOptions& options, const InputOptions& input) {
  const std::string standard = input.has_delimiter && input.delimiter == std::string(1, '\0') ? input.delimiter : "\n";
  const std::string start = options.record_start.value_or("");
  const std::string end = options.record_end.value_or(options.record_start ? "" : standard);
  if (options.regexp) return RecordEnds::make(start, end, true);
  return RecordEnds::make(unescaped(start), unescaped(end), false);
}

base::Result<BlockPlan> plan_of(const PipeOptions& options, const InputOptions& input) {
  BlockPlan plan;
  plan.bytes = static_cast<std::uint64_t>(options.block.value_or(1 << 20));
  plan.records = input.max_replace_args.value_or(input.max_args.value_or(0));
  plan.lines = std::max<std::uint64_t>(1, input.max_lines.value_or(1));
  plan.strips = options.strips;
  plan.header_lines = header_lines(input).value_or(0);
  if (input.header && plan.header_lines == 0) {
    auto header = regex::Regex::compile("\\A(?:" + *input.header + ")");
    if (!header) return header.error();
    plan.header = std::move(*header);
  }
  return plan;
}

// The arguments of jobs that read blocks; the header is that of the blocks.
base::Result<Input> rows_beside(InputOptions input, std::uint32_t slots) {
  if (input.files.empty() && input.sources.empty()) return Input(JobSource::list({}));
  input.has_header = false;
  return open_input(input, "", slots);
}

}  // namespace

void add_pipe(CLI::App& app, PipeOptions& options) {
  app.add_flag("--pipe,--spreadstdin", options.pipe, "cut standard input into blocks of whole records; each is the stdin of a job");
  app.add_flag("--pipe-part,--pipepart", options.pipe_part, "the same for the files of --arg-file, which stay where they are");
  app.add_option_function<std::string>("--block,--block-size", [&options](const std::string& text) { options.block = parse_block(text); },
                                       "bytes of a block; default 1M. With --pipe-part also -N: N blocks for each job that runs at a time; default -10")->type_name("SIZE");
  app.add_option_function<std::string>("--recstart", [&options](const std::string& text) { options.record_start = text; }, "what each record starts with")->type_name("TEXT");
  app.add_option_function<std::string>("--recend", [&options](const std::string& text) { options.record_end = text; }, "what each record ends with; default: a newline")->type_name("TEXT");
  app.add_flag("--regexp,--regex", options.regexp, "--recstart and --recend are regular expressions (of Perl)");
  app.add_flag("--rrs,--remove-rec-sep,--removerecsep", options.strips, "take what --recstart and --recend match off the records");
  app.add_flag("--cat", options.cat, "the job gets its block in a file; {} is its name");
  app.add_flag("--fifo", options.fifo, "the same as --cat");
  app.add_flag("--round-robin,--roundrobin,--round", options.round_robin, "deal the blocks to as many jobs as run at a time; they begin when the input has ended");
  app.add_flag("--tee", options.tee, "each job, one for each argument, reads the whole input; they begin when it has ended");
  app.add_option_function<std::string>("--block-timeout,--blocktimeout", [](const std::string&) {
    throw CLI::ValidationError("--block-timeout is not supported: blocks depend on the bytes of the input only, so that a run can be continued; use -N", CLI::ExitCodes::ValidationError);
  }, "")->group("");
}

std::optional<cli::Leave> check_pipe(const PipeOptions& options, const InputOptions& input, bool has_command) {
  const std::string name = options.pipe_part ? "--pipe-part" : "--pipe";
  if (!options.is_on()) {
    const bool is_alone = options.block || options.record_start || options.record_end || options.regexp || options.strips || options.names_files() || options.round_robin || options.tee;
    if (input.header && !input.has_header) return wrong("--header: only : is supported without --pipe: the first record of each source has the names");
    if (is_alone) return wrong("--block, --recstart, --recend, --regexp, --rrs, --cat, --fifo, --round-robin and --tee need --pipe or --pipe-part");
    return std::nullopt;
  }
  const bool has_sources = !input.files.empty() || !input.sources.empty();
  if (!has_command && !(options.tee && has_sources)) return wrong(name + " needs a command that reads standard input");
  if (input.reads_joblog()) return wrong(name + " does not go with --resume, --resume-failed and --retry-failed: a joblog does not have the input; use --run-dir DIR and pushmill resume");
  if (input.shuf || input.skips_first_line) return wrong(std::string(input.shuf ? "--shuf" : "--skip-first-line") + " is for arguments, not for the input of " + name);
  if (options.pipe && options.pipe_part) return wrong("--pipe and --pipe-part exclude each other");
  if (options.pipe && has_sources && input.reads_standard_input()) return wrong("--pipe reads standard input: - cannot name it as a source of arguments too");
  if (options.pipe_part && options.round_robin) return wrong("--round-robin needs --pipe: with --pipe-part --block -1 makes one part of each file for each job that runs at a time");
  if (options.tee && !options.pipe) return wrong("--tee needs --pipe: use < FILE");
  if (options.tee && options.round_robin) return wrong("--tee and --round-robin exclude each other");
  if (options.tee && !has_sources) return wrong("--tee needs arguments: each of them is a job (::: ARGUMENTS)");
  if (options.pipe && options.block.value_or(1) < 0) return wrong("--block -N is for --pipe-part: how long standard input is nobody knows");
  if (!options.pipe_part) return std::nullopt;
  const bool has_arguments = std::any_of(input.sources.begin(), input.sources.end(), [](const SourceWords& source) { return source.kind == SourceWords::Kind::Arguments; });
  if (has_arguments || (input.files.empty() && input.sources.empty())) return wrong("--pipe-part needs files: --arg-file FILE");
  if (input.max_replace_args || input.max_args || input.max_lines) return wrong("--pipe-part does not count records: use --block, or --pipe with -N");
  if (options.strips) return wrong("--rrs needs --pipe: with --pipe-part the files stay as they are");
  if (input.header && !header_lines(input)) return wrong("--pipe-part: --header is : or a number of lines");
  return std::nullopt;
}

std::uint64_t blocks_ahead(const PipeOptions& options, std::uint64_t spool, std::uint32_t slots) {
  const std::int64_t block = options.block.value_or(1 << 20);
  return std::max(spool, 2 * std::uint64_t{slots} * static_cast<std::uint64_t>(std::max<std::int64_t>(block, 1)));
}

base::Result<Input> open_blocks(const PipeOptions& options, const InputOptions& input, const std::string& run_directory, io::Durability durability,
                                std::uint32_t slots) {
  auto ends = ends_of(options, input);
  if (!ends) return ends.error();
  Blocks::Config config{{run_directory, durability == io::Durability::Power}, options.names_files()};
  config.skips_blank = input.skips_blank;
  if (options.pipe_part) {
    std::vector<std::string> files = input.files;
    for (const SourceWords& source : input.sources) files.insert(files.end(), source.words.begin(), source.words.end());
    PartPlan plan;
    const std::int64_t block = options.block.value_or(-static_cast<std::int64_t>(kPartsOfSlot));
    if (block > 0) plan.bytes = static_cast<std::uint64_t>(block);
    else plan.parts = slots * static_cast<std::uint64_t>(-block);
    plan.header_lines = header_lines(input).value_or(0);
    auto parts = FileParts::open(files, std::move(*ends), plan);
    if (!parts) return parts.error();
    return Input(Blocks(std::move(*parts), config));
  }
  auto rows = rows_beside(input, slots);
  if (!rows) return rows.error();
  if (options.tee) {
    config.deals_to = 1;
    config.is_shared = true;
    auto bytes = RecordEnds::make("", "", false);
    if (!run_directory.empty()) rows->feed(Blocks(BlockCutter(std::move(*bytes), {}), std::move(config)));
    return rows;
  }
  if (options.round_robin) config.deals_to = slots;
  auto plan = plan_of(options, input);
  if (!plan) return plan.error();
  rows->feed(Blocks(BlockCutter(std::move(*ends), std::move(*plan)), std::move(config)));
  return rows;
}

}  // namespace ventilator
