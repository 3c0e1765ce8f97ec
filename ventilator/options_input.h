// The options that say what the input of a run is, and the input that they ask for. As in GNU parallel 20221122 where nothing else is said.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "ventilator/columns.h"
#include "ventilator/input.h"

namespace ventilator {

// A source that the command line names.
struct SourceWords {
  enum class Kind { Arguments, Files } kind = Kind::Arguments;
  bool is_linked = false;  // to the source before: :::+ ::::+
  std::vector<std::string> words;
};

struct InputOptions {
  std::vector<std::string> files;      // --arg-file
  std::vector<SourceWords> sources;    // behind the separators
  std::string delimiter = "\n";
  bool has_delimiter = false, csv = false, link = false, skips_blank = false, shuf = false, skips_first_line = false, has_header = false;
  std::optional<std::string> colsep, eof;
  std::optional<std::string> header;  // as given; `has_header`: it is that of sources
  std::optional<Trim> trim;
  std::optional<std::uint64_t> max_args, max_replace_args, max_lines, max_chars;
  bool m = false, X = false, xargs = false, exits_when_too_long = false;
  bool dry_run = false;
  bool resumes = false, resumes_failed = false, retries_failed = false;
  std::uint64_t joblog_bytes = UINT64_MAX;  // of the joblog, when the run began
  std::string arg_sep = ":::", arg_file_sep = "::::";

  bool reads_joblog() const { return resumes || resumes_failed || retries_failed; }
  bool reads_standard_input() const;
  bool repeats_words() const { return X || max_replace_args || (max_lines && !m && !xargs); }  // one for each of several records, where a replacement string is a part of it
};

// REQUIRES: `options` lives until the command line is parsed. `cut_sources` goes first, `check_input` behind it.
void add_input(CLI::App& app, InputOptions& options);
// Options whose value, a number, may be left out.
std::vector<cli::BareOption> bare_input_options();
// Takes the sources off behind the options: what stands before the first separator is returned.
std::vector<std::string> cut_sources(const std::vector<std::string>& arguments, std::size_t options_end, InputOptions& options);
// `has_joblog`: --joblog names one.
std::optional<cli::Leave> check_input(InputOptions& options, bool has_joblog);

// `text` with what \n, \t, \0, \x1f and the like in it stand for.
std::string unescaped(std::string_view text);

// Of the joblog, as it is now.
std::uint64_t size_of_joblog(const std::string& joblog);

// Opens the sources. `joblog`: --joblog, `+` before it or not. `slots`: that the run has here, over which -m and -X spread what is left at the end.
base::Result<Input> open_input(const InputOptions& options, const std::string& joblog, std::uint32_t slots);

}  // namespace ventilator
