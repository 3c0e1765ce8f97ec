#include "pushmill/options.h"

#include <CLI/CLI.hpp>

#include "cli/exit_status.h"
#include "sink/options_output.h"
#include "wire/limits.h"

namespace pushmill {

std::optional<cli::Leave> parse_run(const std::vector<std::string>& arguments, RunOptions& options) {
  CLI::App app("Runs a command for each argument, many at a time, and loses none.", "pushmill run");
  cli::set_usage(app, "pushmill run [OPTIONS] COMMAND ::: ARGUMENTS\n       pushmill run [OPTIONS] COMMAND < LINES");
  app.footer("{} in COMMAND stands for the argument, {#} for its number. Without COMMAND each line or argument is a command.\n"
             "Exit status: the number of failed jobs; 101 if more than 100 failed.");
  cli::add_count(app, "-j,--jobs", options.slots, 1, wire::kMaxWindow, "run N jobs at a time; default: one for each CPU that this process may use");
  app.add_flag("-k,--keep-order", options.keep_order, "write outputs in the order of the input");
  sink::add_keep_output(app, options.keep_output);
  ventilator::add_input(app, options.input);
  cli::add_work(app, options.work);
  app.add_option("--joblog", options.joblog, "write a log in GNU parallel's format")->type_name("FILE");
  cli::add_duration(app, "--timeout", options.timeout, "limit of one attempt; its whole process tree is ended");
  cli::add_ending(app, options.term_seq, options.kill_leftovers);
  ventilator::add_policy(app, options.policy);
  ventilator::add_template(app, options.replacements);
  ventilator::add_label(app, options.label);
  ventilator::add_durability(app, options.durability, "process");
  app.add_option("--run-dir", options.run_directory, "directory of the run: kept, and continued if it holds this run already")->type_name("DIR");
  app.add_flag("--keep-run", options.keep_run, "keep the run directory after success");
  cli::add_take_over(app, [&options] { options.take_over = io::TakeOver::Yes; });

  if (auto leave = cli::parse(app, cli::with_values(app, ventilator::cut_sources(arguments, options.input), ventilator::bare_input_options()), &options.words)) return leave;
  if (auto leave = ventilator::check_input(options.input, !options.joblog.empty())) return leave;
  if (options.input.reads_joblog() && !options.joblog.starts_with('+')) options.joblog.insert(0, 1, '+');  // it goes on
  if (options.input.retries_failed) options.words.clear();
  if (options.input.repeats_words()) options.replacements.many = ventilator::Many::Repeat;
  if (auto leave = cli::check_work(options.work, options.words)) return leave;
  if (app.count("--run-dir") > 0 && options.run_directory.empty()) return cli::Leave{cli::kExitUsage, "--run-dir: the name of the directory is empty\n"};
  if (options.work.call.value_or("").size() > wire::kMaxName) return cli::Leave{cli::kExitUsage, "--call: the name of a handler has at most 256 bytes\n"};
  if (auto leave = ventilator::check_label(options.label)) return leave;
  if (auto leave = ventilator::check_template(options.job_work())) return leave;
  return ventilator::check_policy(options.policy);
}

std::optional<cli::Leave> parse_resume(const std::vector<std::string>& arguments, ResumeOptions& options) {
  CLI::App app("Continues an interrupted run.", "pushmill resume");
  cli::set_usage(app, "pushmill resume DIR");
  app.add_option("DIR", options.run_directory, "the run directory, as the interrupted run named it")->required();
  cli::add_take_over(app, [&options] { options.take_over = io::TakeOver::Yes; });
  return cli::parse(app, arguments, nullptr);
}

}  // namespace pushmill
