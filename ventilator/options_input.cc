#include "ventilator/options_input.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "cli/exit_status.h"
#include "ventilator/joblog_reader.h"
#include "ventilator/template.h"

namespace ventilator {

namespace {

cli::Leave wrong(const std::string& text) { return {cli::kExitUsage, text + "\n"}; }

// A number with K, M, G or k, m, g behind it, as GNU parallel takes them.
void add_number(CLI::App& app, const std::string& name, std::optional<std::uint64_t>& value, const std::string& help) {
  app.add_option_function<std::string>(name, [name, &value](const std::string& text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, fault] = std::from_chars(text.data(), end, number);
    constexpr std::string_view kUnits = "KMGkmg";
    const std::size_t unit = stop == end ? 6 : kUnits.find(*stop);
    constexpr std::uint64_t kFactors[] = {1u << 10, 1u << 20, 1u << 30, 1'000, 1'000'000, 1'000'000'000, 1};
    if (fault != std::errc{} || unit == std::string_view::npos || end - stop > 1 || number > UINT64_MAX / kFactors[unit])
      throw CLI::ValidationError(name + ": '" + text + "' is not a whole number, with K, M or G (k, m, g: of 1000) at most", CLI::ExitCodes::ValidationError);
    value = number * kFactors[unit];
  }, help)->type_name("N");
}

void add_records(CLI::App& app, InputOptions& options) {
  app.add_option("-a,--arg-file", options.files, "read a source from FILE instead of standard input (-); may be given several times")->type_name("FILE")->allow_extra_args(false);
  app.add_flag_callback("-0,--null", [&options] { options.delimiter = std::string(1, '\0'), options.has_delimiter = true; }, "records end with a NUL byte, not with a newline");
  app.add_option_function<std::string>("-d,--delimiter", [&options](const std::string& text) { options.delimiter = unescaped(text), options.has_delimiter = true; },
                                       "records end with TEXT (\\n, \\t, \\0, \\x1f ...)")->type_name("TEXT");
  app.add_option_function<std::string>("-C,--colsep", [&options](const std::string& text) { options.colsep = text; },
                                       "split records into columns {1}, {2}, ... where REGEX (of Perl) matches; implies --trim lr")->type_name("REGEX");
  app.add_flag("--csv", options.csv, "records are CSV: values may stand in double quotes, newlines too; --colsep names another separator than the comma");
  app.add_option_function<std::string>("--header", [&options](const std::string& text) {
    options.header = text;
    options.has_header = text == ":" || text == ".*\\n" || text == "1";
  }, ": says that the first record of each source names it, or its columns: {name}")->type_name(":");
  cli::add_choice(app, "--trim", {"n", "l", "r", "lr", "rl"}, [&options](std::size_t index) { options.trim = static_cast<Trim>(std::min<std::size_t>(index, 3)); },
                  "take white space off the left or right end of each value");
  app.add_flag("-r,--no-run-if-empty", options.skips_blank, "leave out records of white space only");
  app.add_option_function<std::string>("-E,-e,--eof", [&options](const std::string& text) { if (text.empty()) options.eof.reset(); else options.eof = text; },
                                       "a record that is TEXT ends its source")->type_name("TEXT");
  app.add_flag("--skip-first-line", options.skips_first_line, "leave out the first record of the first source");
  app.add_flag("--link,--xapply", options.link, "one record of each source makes a job, those of shorter sources again from their start; else each combination does");
  app.add_flag("--shuf", options.shuf, "in random order; a run that is continued keeps its order");
}

void add_packing(CLI::App& app, InputOptions& options) {
  add_number(app, "-n,--max-args", options.max_args, "N records make one job; 0: one does, without its value");
  add_number(app, "-N,--max-replace-args", options.max_replace_args, "the same, and they are {1} ... {N}");
  add_number(app, "-L,--max-lines", options.max_lines, "the same; a line that ends with a blank goes on in the next");
  app.add_option_function<std::string>("-l", [&options](const std::string& text) {
    const std::uint64_t lines = std::strtoull(text.c_str(), nullptr, 10);
    options.max_lines = lines == 0 ? 1 : lines;
  }, "the same as -L N")->type_name("N")->check(CLI::NonNegativeNumber);
  app.add_flag("-m", options.m, "as many records a job as the line takes; the last are spread over the slots");
  app.add_flag("-X", options.X, "the same, and the word that {} stands in is repeated for each");
  app.add_flag("--xargs", options.xargs, "the same as -m, without spreading");
  add_number(app, "-s,--max-chars", options.max_chars, "the command line of a job stays shorter than N bytes");
  app.add_flag("-x,--exit", options.exits_when_too_long, "leave when a line is longer than -s: this is so without it, too");
}

std::string name_of(const std::string& joblog) { return joblog.substr(joblog.starts_with('+') ? 1 : 0); }

// What standard input, files and arguments have in common.
struct Opener {
  const InputOptions& options;
  RecordFormat format;
  std::shared_ptr<const Columns> columns;
  bool is_first = true;

  RowSource rows(JobSource source) {
    RecordRules rules;
    rules.skips_first = std::exchange(is_first, false) && options.skips_first_line;
    rules.has_header = options.has_header;
    rules.joins_continued = options.max_lines.has_value();
    rules.end = options.eof;
    rules.skips_blank = options.skips_blank;
    return RowSource(std::move(source), std::move(rules), columns);
  }
  // With a delimiter of the user's arguments are split at it as well; a newline stays in them else.
  JobSource list(const std::vector<std::string>& words) const {
    if (!options.has_delimiter || format.delimiter.empty()) return JobSource::list(words);
    std::vector<std::string> records;
    for (const std::string& word : words) {
      std::size_t begin = 0;
      for (std::size_t end; (end = word.find(format.delimiter, begin)) != std::string::npos; begin = end + format.delimiter.size()) records.push_back(word.substr(begin, end - begin));
      if (begin < word.size() || word.empty()) records.push_back(word.substr(begin));
    }
    return JobSource::list(std::move(records));
  }
};

base::Result<Columns> columns_of(const InputOptions& options) {
  const std::string separator = options.colsep.value_or(options.csv ? "," : "\\t");
  if (options.csv) return Columns::csv(separator == "\\t" ? '\t' : separator[0], options.trim.value_or(Trim::None));
  if (options.colsep || options.has_header) return Columns::split_at(separator, options.trim.value_or(options.colsep ? Trim::Both : Trim::None));
  return Columns(options.trim.value_or(Trim::None));
}

std::optional<PackingOptions> packing_of(const InputOptions& options, std::uint32_t slots) {
  PackingOptions packing;
  const auto count = options.max_lines ? options.max_lines : options.max_replace_args ? options.max_replace_args : options.max_args;
  packing.packs = options.m || options.X || options.xargs || count;
  if (!packing.packs) return std::nullopt;
  packing.drops_values = count == 0u;
  packing.max_rows = packing.drops_values ? 1 : count.value_or(0);
  packing.max_length = options.max_chars ? *options.max_chars - 1 : kMaxLine;
  packing.spread_over = options.m || options.X ? slots : 0;
  return packing;
}

}  // namespace

std::string unescaped(std::string_view text) {
  constexpr std::string_view kLetters = "abefnrtv", kBytes = "\a\b\033\f\n\r\t\v";
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      bytes += text[i];
      continue;
    }
    const char c = text[++i];
    const bool is_hex = c == 'x';
    const std::size_t from = is_hex ? i + 1 : i;
    const std::string_view digits = text.substr(from, is_hex ? 2 : 3);
    unsigned value = 0;
    const auto [stop, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value, is_hex ? 16 : 8);
    if (fault == std::errc{} && value < 256) {
      bytes += static_cast<char>(value);
      i = from + static_cast<std::size_t>(stop - digits.data()) - 1;
    } else if (const std::size_t letter = kLetters.find(c); letter != std::string_view::npos) {
      bytes += kBytes[letter];
    } else {
      bytes += c;
    }
  }
  return bytes;
}

bool InputOptions::reads_standard_input() const {
  if (retries_failed) return false;
  const auto is_standard = [](const std::string& path) { return path == "-"; };
  return (files.empty() && sources.empty()) || std::any_of(files.begin(), files.end(), is_standard) ||
         std::any_of(sources.begin(), sources.end(), [&](const SourceWords& source) { return source.kind == SourceWords::Kind::Files && std::any_of(source.words.begin(), source.words.end(), is_standard); });
}

void add_input(CLI::App& app, InputOptions& options) {
  add_records(app, options);
  add_packing(app, options);
  app.add_flag("--dry-run,--dryrun", options.dry_run, "print the command lines, run nothing");
  app.add_flag("--resume", options.resumes, "leave out the jobs that --joblog has, by their numbers");
  app.add_flag("--resume-failed", options.resumes_failed, "the same, but those that failed run again");
  app.add_flag("--retry-failed", options.retries_failed, "run the commands again that failed according to --joblog; it needs no command and no input");
  app.add_option("--joblog-bytes", options.joblog_bytes, "")->group("");  // ours: of the joblog, when the run began
  app.add_option("--arg-sep", options.arg_sep, "stands for :::")->type_name("TEXT");
  app.add_option("--arg-file-sep", options.arg_file_sep, "stands for ::::")->type_name("TEXT");
}

std::vector<cli::BareOption> bare_input_options() { return {{"-l", "-l1"}, {"--max-lines", "--max-lines=1"}}; }

std::vector<std::string> cut_sources(const std::vector<std::string>& arguments, std::size_t options_end, InputOptions& options) {
  // The names of the separators are needed before anything is parsed.
  for (std::size_t i = 0; i < options_end; ++i) {
    const std::string name = arguments[i].substr(0, arguments[i].find('='));
    std::string* const separator = name == "--arg-sep" ? &options.arg_sep : name == "--arg-file-sep" ? &options.arg_file_sep : nullptr;
    if (separator == nullptr) continue;
    if (name.size() < arguments[i].size()) *separator = arguments[i].substr(name.size() + 1);
    else if (i + 1 < options_end) *separator = arguments[++i];
  }
  const auto source_at = [&](const std::string& word) -> std::optional<SourceWords> {
    if (word == options.arg_sep || word == options.arg_sep + "+") return SourceWords{SourceWords::Kind::Arguments, word != options.arg_sep, {}};
    if (word == options.arg_file_sep || word == options.arg_file_sep + "+") return SourceWords{SourceWords::Kind::Files, word != options.arg_file_sep, {}};
    return std::nullopt;
  };
  std::vector<std::string> before(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(options_end));
  for (std::size_t i = options_end; i < arguments.size(); ++i) {
    if (auto source = source_at(arguments[i])) options.sources.push_back(std::move(*source));
    else (options.sources.empty() ? before : options.sources.back().words).push_back(arguments[i]);
  }
  return before;
}

std::optional<cli::Leave> check_input(InputOptions& options, bool has_joblog) {
  if (options.csv && options.colsep && options.colsep->size() != 1 && *options.colsep != "\\t") return wrong("--colsep: with --csv the separator is one character");
  if (options.csv && options.has_delimiter) return wrong("--csv and --delimiter exclude each other: CSV has lines");
  if (options.max_chars && *options.max_chars < 2) return wrong("-s: a command line has at least one byte");
  for (const SourceWords& source : options.sources)
    if (source.kind == SourceWords::Kind::Files && source.words.empty()) return wrong(options.arg_file_sep + " names no file");
  std::size_t standard = std::count(options.files.begin(), options.files.end(), "-");
  for (const SourceWords& source : options.sources)
    if (source.kind == SourceWords::Kind::Files) standard += std::count(source.words.begin(), source.words.end(), "-");
  if (standard > 1) return wrong("standard input (-) can be one source only");
  if (options.resumes + options.resumes_failed + options.retries_failed > 1) return wrong("--resume, --resume-failed and --retry-failed exclude each other");
  if (options.shuf && (options.resumes || options.resumes_failed)) return wrong("--shuf: the numbers in --joblog would be those of other records; use --run-dir, which keeps the order");
  if (options.reads_joblog() && !has_joblog) return wrong(std::string(options.resumes ? "--resume" : options.resumes_failed ? "--resume-failed" : "--retry-failed") + " needs --joblog FILE");
  if (const auto columns = columns_of(options); !columns) return wrong("--colsep: " + columns.error().message);
  return std::nullopt;
}

std::uint64_t size_of_joblog(const std::string& joblog) {
  std::error_code fault;
  const auto size = std::filesystem::file_size(name_of(joblog), fault);
  return fault ? 0 : size;
}

base::Result<Input> open_input(const InputOptions& options, const std::string& joblog, std::uint32_t slots) {
  std::optional<JoblogState> log;
  if (options.reads_joblog()) {
    auto read = read_joblog(name_of(joblog), options.retries_failed, options.joblog_bytes);
    if (!read && (options.retries_failed || read.error().kind != base::Error::Kind::NotFound)) return read.error();
    if (read) log = std::move(*read);
  }
  if (options.retries_failed) return Input::numbered(std::move(log->commands), std::move(log->failed));

  auto columns = columns_of(options);
  if (!columns) return columns.error();
  const auto csv = columns->csv_separator();
  Opener opener{options, {options.delimiter, csv}, std::make_shared<const Columns>(std::move(*columns))};
  std::vector<std::vector<RowSource>> groups;
  const auto add = [&](JobSource source, bool is_linked) {
    if (groups.empty() || !(is_linked || options.link)) groups.emplace_back();
    groups.back().push_back(opener.rows(std::move(source)));
  };
  const auto add_file = [&](const std::string& path, bool is_linked) -> base::Status {
    auto source = JobSource::file(path, opener.format);
    if (!source) return source.error();
    add(std::move(*source), is_linked);
    return base::ok();
  };
  for (const std::string& path : options.files)
    if (auto added = add_file(path, false); !added) return added.error();
  for (const SourceWords& source : options.sources) {
    if (source.kind == SourceWords::Kind::Arguments) {
      add(opener.list(source.words), source.is_linked);
      continue;
    }
    for (const std::string& path : source.words)
      if (auto added = add_file(path, source.is_linked); !added) return added.error();
  }
  if (groups.empty()) add(JobSource::standard_input(0, opener.format), false);

  std::vector<LinkedSources> linked;
  for (auto& group : groups) linked.emplace_back(std::move(group), options.link ? LinkedSources::Shorter::Repeats : LinkedSources::Shorter::Ends);
  Input input{Combination(std::move(linked))};
  if (const auto packing = packing_of(options, slots)) input.pack(*packing);
  if (options.max_chars) input.limit(*options.max_chars - 1);
  if (options.shuf) input.shuffle();
  if (log) input.skip(std::move(options.resumes ? log->finished : log->succeeded));
  return input;
}

}  // namespace ventilator
