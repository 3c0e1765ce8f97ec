#include "pushmill/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/environment.h"
#include "cli/exit_status.h"
#include "pushmill/options_gnu.h"
#include "wire/limits.h"

namespace pushmill {

namespace {
// What the jobs' labels are for, the sink has to know as well.
void show_labels(const ventilator::LabelOptions& label, sink::OutputOptions& output) {
  output.tags = label.tag || !label.tagstring.value_or("").empty();
  output.files = label.files;
  output.json = label.json;
  output.out = label.out.has_value();
  output.results = label.results.value_or("");
}

std::optional<cli::Leave> check_skip_done(const RunOptions& options) {
  const auto wrong = [](const char* why) { return cli::Leave{cli::kExitUsage, std::string("--skip-done ") + why + "\n"}; };
  if (options.run_directory.empty()) return wrong("needs --run-dir DIR, which says what is done");
  if (options.input.reads_joblog()) return wrong("and --resume, --resume-failed, --retry-failed exclude each other: they go by the numbers in a joblog, it goes by what the jobs are");
  if (options.pipe.is_on()) return wrong("is for jobs known by their arguments: it does not go with --pipe and --pipe-part");
  return std::nullopt;
}

}  // namespace

std::uint32_t RunOptions::slots() const { return starts.slots > 0 ? starts.slots : cli::default_slots(); }

base::Result<ventilator::Input> RunOptions::open_input(const std::string& directory) const {
  return pipe.is_on() ? ventilator::open_blocks(pipe, input, directory, durability, slots()) : ventilator::open_input(input, joblog, slots());
}

RunOutline outline_run(const std::vector<std::string>& arguments) {
  // Made once: that takes longer than all else here.
  static const struct Parser {
    RunOptions options;
    CLI::App app;
    Parser() { add_run(app, options); }
  } parser;
  std::vector<std::string> settled = arguments;
  (void)settle_gnu_options(parser.app, settled);
  const std::size_t end = cli::options_end(parser.app, settled);
  const bool is_plain = std::find(settled.begin(), settled.begin() + static_cast<std::ptrdiff_t>(end), "--plain") != settled.begin() + static_cast<std::ptrdiff_t>(end);
  return {arguments.size() - (settled.size() - end), is_plain};
}

void add_run(CLI::App& app, RunOptions& options) {
  app.name("pushmill run")->description("Runs a command for each argument, many at a time, and loses none.");
  cli::set_usage(app, "pushmill run [OPTIONS] COMMAND ::: ARGUMENTS\n       pushmill run [OPTIONS] COMMAND < LINES");
  app.footer("Examples:\n"
             "  pushmill run gzip -9 ::: *.log\n"
             "  find . -name '*.wav' -print0 | pushmill run -0 lame {} {.}.mp3\n"
             "  pushmill run -k --joblog log --retries 3 --timeout 10m ./simulate {1} {2} ::: a b c ::: 1 2 3\n"
             "  pushmill run --run-dir night ./simulate < cases        # killed? pushmill resume night\n"
             "\n"
             "{} in COMMAND stands for the argument, {#} for its number; without {} it comes behind COMMAND.\n"
             "Without COMMAND each line or argument is a command. GNU parallel's options are the same here.\n"
             "Exit status: the number of failed jobs; 101 if more than 100 failed.");
  cli::begin_group(app, "Input");
  ventilator::add_input(app, options.input);
  cli::begin_group(app, "Streams");
  ventilator::add_pipe(app, options.pipe);
  cli::add_size(app, "--spool", options.spool_bytes, "bytes of input that are read ahead of the jobs")->default_str("256M");
  cli::begin_group(app, "The command");
  ventilator::add_template(app, options.replacements);
  cli::begin_group(app, "Output");
  app.add_flag("-k,--keep-order", options.keep_order, "write outputs in the order of the input");
  app.add_flag_callback("--no-keep-order", [&options] { options.keep_order = false; }, "write outputs as the jobs end: the default; undoes -k");
  app.add_option("--joblog", options.joblog, "write a log in GNU parallel's format; +FILE: at the end of FILE")->type_name("FILE");
  sink::add_output(app, options.output);
  ventilator::add_label(app, options.label);
  sink::add_keep_output(app, options.keep_output);
  cli::begin_group(app, "How many, and how long");
  worker::add_starts(app, options.starts);
  ventilator::add_commands(app, options.commands);
  app.add_flag("--progress", options.progress.is_wanted, "say on stderr how the run stands, also where that is no terminal");
  app.add_flag("--eta", options.progress.is_wanted, "the same");
  app.add_flag("--bar", options.progress.has_bar, "the same, as a bar");
  app.add_flag_callback("--gnu,--silent,--no-notice,--will-cite", [] {}, "nothing: it is always so");
  app.add_flag_callback("--plain", [] {}, "without the default options of $PUSHMILL and of the configuration file");
  cli::begin_group(app, "When jobs fail");
  ventilator::add_policy(app, options.policy);
  cli::begin_group(app, "The run, kept on disk");
  app.add_option("--run-dir", options.run_directory, "directory of the run: kept, and continued if it holds this run already")->type_name("DIR");
  app.add_flag("--keep-run", options.keep_run, "keep the run directory after success");
  app.add_flag("--skip-done", options.skip_done, "leave out the jobs that succeeded in --run-dir before, by what they are and not by their numbers; the others follow behind what is there");
  ventilator::add_durability(app, options.durability, "process");
  cli::add_take_over(app, [&options] { options.take_over = io::TakeOver::Yes; });
  cli::begin_group(app, "Jobs that are not commands");
  cli::add_work(app, options.work);
  cli::begin_group(app, "Help");
  app.set_version_flag("-V,--version", "pushmill " PUSHMILL_VERSION, "show the version");
}

std::optional<cli::Leave> parse_run(CLI::App& app, const std::vector<std::string>& given, RunOptions& options) {
  std::vector<std::string> arguments = given;
  if (auto leave = settle_gnu_options(app, arguments)) return leave;
  cli::take_last(app);  // of a default and the command line the latter
  if (auto leave = cli::parse(app, ventilator::cut_sources(arguments, cli::options_end(app, arguments), options.input), &options.words)) return leave;
  if (auto leave = ventilator::check_input(options.input, !options.joblog.empty())) return leave;
  if (auto leave = ventilator::check_pipe(options.pipe, options.input, !options.words.empty())) return leave;
  if (options.input.reads_joblog() && !options.joblog.starts_with('+')) options.joblog.insert(0, 1, '+');  // it goes on
  if (options.input.retries_failed) options.words.clear();
  if (options.input.repeats_words()) options.replacements.many = ventilator::Many::Repeat;
  if (auto leave = cli::check_work(options.work, options.words)) return leave;
  if (auto leave = ventilator::check_commands(app, options.commands, options.work)) return leave;
  if (app.count("--run-dir") > 0 && options.run_directory.empty()) return cli::Leave{cli::kExitUsage, "--run-dir: the name of the directory is empty\n"};
  if (options.work.call.value_or("").size() > wire::kMaxName) return cli::Leave{cli::kExitUsage, "--call: the name of a handler has at most 256 bytes\n"};
  if (auto leave = ventilator::check_label(options.label)) return leave;
  if (options.skip_done)
    if (auto leave = check_skip_done(options)) return leave;
  show_labels(options.label, options.output);
  if (auto leave = sink::check_output(options.output)) return leave;
  if (auto leave = ventilator::check_template(options.job_work())) return leave;
  if (options.starts.rules.free_memory > 0 && options.policy.policy.at_most_once) return cli::Leave{cli::kExitUsage, "--memfree ends jobs and runs them again, which --at-most-once forbids\n"};
  return ventilator::check_policy(app, options.policy);
}

std::optional<cli::Leave> parse_run(const std::vector<std::string>& arguments, RunOptions& options) {
  CLI::App app;
  add_run(app, options);
  return parse_run(app, arguments, options);
}

std::optional<cli::Leave> parse_resume(const std::vector<std::string>& arguments, ResumeOptions& options) {
  CLI::App app("Continues an interrupted run.", "pushmill resume");
  cli::set_usage(app, "pushmill resume DIR");
  app.add_option("DIR", options.run_directory, "the run directory, as the interrupted run named it")->required();
  cli::add_take_over(app, [&options] { options.take_over = io::TakeOver::Yes; });
  return cli::parse(app, arguments, nullptr);
}

}  // namespace pushmill
