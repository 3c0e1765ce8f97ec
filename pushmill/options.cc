#include "pushmill/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/exit_status.h"
#include "sink/options_output.h"
#include "wire/limits.h"

namespace pushmill {

std::optional<cli::Leave> parse_run(const std::vector<std::string>& arguments, RunOptions& options) {
  CLI::App app("Runs a command for each argument, many at a time, and loses none.", "pushmill run");
  cli::set_usage(app, "pushmill run [OPTIONS] COMMAND ::: ARGUMENTS\n       pushmill run [OPTIONS] COMMAND < LINES");
  app.footer("{} in COMMAND stands for the argument, {#} for its number. Without COMMAND each line or argument is a command.\n"
             "Exit status: the number of failed jobs; 101 if more than 100 failed.");
  worker::add_starts(app, options.starts);
  app.add_flag("-k,--keep-order", options.keep_order, "write outputs in the order of the input");
  sink::add_keep_output(app, options.keep_output);
  app.add_option("-a,--arg-file", options.input_file, "read the lines from FILE instead of standard input")->type_name("FILE");
  cli::add_work(app, options.work);
  app.add_option("--joblog", options.joblog, "write a log in GNU parallel's format")->type_name("FILE");
  ventilator::add_commands(app, options.commands);
  app.add_flag("--progress", options.progress.is_wanted, "say on stderr how the run stands, also where that is no terminal");
  app.add_flag("--eta", options.progress.is_wanted, "the same");
  app.add_flag("--bar", options.progress.has_bar, "the same, as a bar");
  app.add_flag_callback("--no-notice,--will-cite", [] {}, "nothing: there is no notice");
  ventilator::add_policy(app, options.policy);
  ventilator::add_durability(app, options.durability, "process");
  app.add_option("--run-dir", options.run_directory, "directory of the run: kept, and continued if it holds this run already")->type_name("DIR");
  app.add_flag("--keep-run", options.keep_run, "keep the run directory after success");
  cli::add_take_over(app, [&options] { options.take_over = io::TakeOver::Yes; });

  cli::take_last(app);  // of a default and the command line the latter
  const auto separator = std::find(arguments.begin(), arguments.end(), ":::");
  if (separator != arguments.end()) options.arguments.emplace(separator + 1, arguments.end());
  if (auto leave = cli::parse(app, {arguments.begin(), separator}, &options.words)) return leave;
  if (auto leave = cli::check_work(options.work, options.words)) return leave;
  if (auto leave = ventilator::check_commands(app, options.commands, options.work)) return leave;
  if (app.count("--run-dir") > 0 && options.run_directory.empty()) return cli::Leave{cli::kExitUsage, "--run-dir: the name of the directory is empty\n"};
  if (options.arguments && !options.input_file.empty()) return cli::Leave{cli::kExitUsage, "::: and --arg-file exclude each other\n"};
  if (options.work.call.value_or("").size() > wire::kMaxName) return cli::Leave{cli::kExitUsage, "--call: the name of a handler has at most 256 bytes\n"};
  for (const auto* words : {&options.words, options.arguments ? &*options.arguments : &options.words}) {
    if (const std::string* other = cli::find_source(*words)) return cli::Leave{cli::kExitUsage, *other + " is not supported here: there is one :::, or --arg-file\n"};
  }
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
