#include "pushmill/options_answers.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/exit_status.h"
#include "io/clock.h"
#include "pushmill/moments.h"
#include "pushmill/run_reader.h"

namespace pushmill {

namespace {

using Leaving = std::optional<cli::Leave>;

Leaving wrong(const std::string& text) { return cli::Leave{cli::kExitUsage, text + "; see --help\n"}; }

void add_format(CLI::App& app, Format& format) {
  auto* json = app.add_flag_callback("--json", [&format] { format = Format::Json; }, "a JSON object a line");
  app.add_flag_callback("--tsv", [&format] { format = Format::Tsv; }, "values separated by tabs, a line of names first")->excludes(json);
}

void add_moment(CLI::App& app, const std::string& name, base::WallTime& moment, const std::string& help) {
  app.add_option_function<std::string>(
      name,
      [name, &moment](const std::string& text) {
        const auto parsed = parse_moment(text, io::wall_now());
        if (!parsed) throw CLI::ValidationError(name + ": " + parsed.error().message, CLI::ExitCodes::ValidationError);
        moment = *parsed;
      },
      help)->type_name("TIME");
}

constexpr const char* kEmptyDirectory = "is empty: leave it out for the newest run without a name";  // a variable that is not set

// [DIR] and one more word.
Leaving split(const std::vector<std::string>& words, const char* what, std::string& directory, std::string& last) {
  if (words.empty()) return wrong(std::string(what) + " is missing");
  if (words.size() > 2) return wrong("'" + words[2] + "' is one word too many");
  if (words.size() == 2 && words[0].empty()) return wrong(std::string("DIR: ") + kEmptyDirectory);
  if (words.size() == 2) directory = words[0];
  last = words.back();
  return std::nullopt;
}

void add_take_over(CLI::App& app, io::TakeOver& take_over) {
  cli::add_take_over(app, [&take_over] { take_over = io::TakeOver::Yes; });
}

// What `pushmill NAME [DIR] JOB` has.
Leaving parse_with_job(CLI::App& app, const std::string& name, const std::vector<std::string>& arguments, std::string& directory, base::JobId& job) {
  std::vector<std::string> words;
  cli::set_usage(app, "pushmill " + name);
  app.add_option("DIR JOB", words, "the run directory (default: the newest run without a name) and the number of the job")->type_name("");
  if (auto leave = cli::parse(app, arguments, nullptr)) return leave;
  std::string text;
  if (auto leave = split(words, "JOB, the number of a job,", directory, text)) return leave;
  const auto number = parse_job(text);
  if (!number) return wrong(number.error().message);
  job = *number;
  return std::nullopt;
}

void add_directory(CLI::App& app, std::string& directory) {
  app.add_option("DIR", directory, "the run directory; default: the newest run without a name")->type_name("")
      ->check([](const std::string& word) { return std::string(word.empty() ? kEmptyDirectory : ""); });
}

}  // namespace

Leaving parse_log(const std::vector<std::string>& arguments, LogOptions& options) {
  CLI::App app("Lists the finished jobs of a run, in their order.", "pushmill log");
  cli::set_usage(app, "pushmill log [DIR] [OPTIONS]");
  add_directory(app, options.directory);
  add_format(app, options.format);
  app.add_flag("--failed", options.failed, "only those that did not succeed");
  std::vector<std::string> outcomes;
  for (std::uint8_t i = 0; i < base::kOutcomes; ++i) outcomes.emplace_back(base::name(static_cast<base::Outcome>(i)));
  cli::add_choice(app, "--outcome", outcomes, [&options](std::size_t index) { options.outcome = static_cast<base::Outcome>(index); },
                  "only those that ended so: ok, failed, timeout, lost ...");
  app.add_option("--worker", options.worker, "only those of this host, or of the worker whose id begins so")->type_name("NAME");
  add_moment(app, "--since", options.since, "only those that ended then or later: 2026-11-22, '2026-11-22 05:01', or 2h for two hours ago");
  add_moment(app, "--until", options.until, "only those that ended before");
  return cli::parse(app, arguments, nullptr);
}

Leaving parse_output(const std::vector<std::string>& arguments, OutputOptions& options) {
  CLI::App app("Writes what a job wrote to its standard output.", "pushmill output");
  app.add_flag("--stderr", options.err, "what it wrote to its standard error");
  cli::add_count(app, "--attempt", options.attempt, 1, 1'000'000, "of an earlier attempt that was retried: the N-th, as pushmill why counts them");
  return parse_with_job(app, "output [DIR] JOB [--stderr] [--attempt N]", arguments, options.directory, options.job);
}

Leaving parse_why(const std::vector<std::string>& arguments, JobOptions& options) {
  CLI::App app("Says in words what has become of a job: each attempt, why it ended, and what it waits for.", "pushmill why");
  add_take_over(app, options.take_over);
  return parse_with_job(app, "why [DIR] JOB", arguments, options.directory, options.job);
}

Leaving parse_debug(const std::vector<std::string>& arguments, JobOptions& options) {
  CLI::App app("Runs a job here and now, with its command, directory, environment and input, on this terminal. Nothing is recorded.", "pushmill debug");
  app.footer("The exit status is the job's.");
  return parse_with_job(app, "debug [DIR] JOB", arguments, options.directory, options.job);
}

Leaving parse_status(const std::vector<std::string>& arguments, StatusOptions& options) {
  CLI::App app("Says how a run stands: its jobs, its workers, and who has what.", "pushmill status");
  cli::set_usage(app, "pushmill status [DIR] [--json]");
  add_directory(app, options.directory);
  app.add_flag("--json", options.json, "one JSON object");
  add_take_over(app, options.take_over);
  return cli::parse(app, arguments, nullptr);
}

Leaving parse_runs(const std::vector<std::string>& arguments, RunsOptions& options) {
  CLI::App app("Lists the runs without a name, the newest first.", "pushmill runs");
  cli::set_usage(app, "pushmill runs [--json|--tsv]");
  add_format(app, options.format);
  return cli::parse(app, arguments, nullptr);
}

Leaving parse_remove(const std::vector<std::string>& arguments, RemoveOptions& options) {
  CLI::App app("Removes run directories. Never one in use, and never one with anything else in it.", "pushmill rm");
  cli::set_usage(app, "pushmill rm DIR... [--take-over]\n       pushmill rm [--ended] [--older TIME]");
  app.add_option("DIR", options.directories, "run directories")->type_name("");
  app.add_flag("--ended", options.ended, "all runs without a name that have ended");
  cli::add_duration(app, "--older", options.older, "all runs without a name in which nothing has happened for so long: 12h, 7d");
  add_take_over(app, options.take_over);
  if (auto leave = cli::parse(app, arguments, nullptr)) return leave;
  const bool selects = options.ended || app.count("--older") > 0;
  if (selects && !options.directories.empty()) return wrong("--ended and --older select among the runs without a name: leave DIR out");
  if (selects && options.take_over == io::TakeOver::Yes) return wrong("--take-over is for a DIR of which you know it: --ended and --older select none that is in use");
  if (!selects && options.directories.empty()) return wrong("say which: DIR, --ended or --older TIME");
  return std::nullopt;
}

Leaving parse_sql(const std::vector<std::string>& arguments, SqlOptions& options) {
  CLI::App app("Asks the databases of a run: results, attempts and meta of results.db, jobs.jobs and jobs.meta of jobs.db.", "pushmill sql");
  cli::set_usage(app, "pushmill sql [DIR] QUERY");
  std::vector<std::string> words;
  app.add_option("DIR QUERY", words, "the run directory (default: the newest run without a name) and one SELECT")->type_name("");
  add_format(app, options.format);
  if (auto leave = cli::parse(app, arguments, nullptr)) return leave;
  return split(words, "QUERY", options.directory, options.query);
}

Leaving parse_retry(const std::vector<std::string>& arguments, RetryOptions& options) {
  CLI::App app("Runs finished jobs of a run again. What was before stays in its log.", "pushmill retry");
  cli::set_usage(app, "pushmill retry [DIR] [--failed | --lost | JOB...]");
  app.footer("A first word that is no number is DIR; default: the newest run without a name. The exit status is that of the whole run.");
  std::vector<std::string> words;
  app.add_option("DIR JOB...", words, "the run directory and the numbers of jobs")->type_name("");
  bool failed = false;
  app.add_flag("--failed", failed, "all that did not succeed; the default");
  app.add_flag_callback("--lost", [&options] { options.choice.which = sink::RetryChoice::Which::Lost; }, "all whose workers died under them")
      ->excludes("--failed");
  add_take_over(app, options.take_over);
  if (auto leave = cli::parse(app, arguments, nullptr)) return leave;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto job = parse_job(words[i]);
    if (job) options.choice.jobs.push_back(*job);
    else if (i == 0 && words[0].empty()) return wrong(std::string("DIR: ") + kEmptyDirectory);
    else if (i == 0) options.directory = words[0];
    else return wrong(job.error().message);
  }
  if (options.choice.jobs.empty()) return std::nullopt;
  if (failed || options.choice.which == sink::RetryChoice::Which::Lost) return wrong("JOB and --failed or --lost exclude each other");
  options.choice.which = sink::RetryChoice::Which::Named;
  return std::nullopt;
}

}  // namespace pushmill
