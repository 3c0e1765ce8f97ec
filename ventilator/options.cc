#include "ventilator/options.h"

#include <CLI/CLI.hpp>

#include "cli/exit_status.h"
#include "ventilator/options_label.h"
#include "wire/limits.h"

namespace ventilator {

void add_options(CLI::App& app, Options& options) {
  app.name("ventilator")->description("Reads jobs and hands them to the workers of a run.");
  cli::set_usage(app, "ventilator --sink ENDPOINT --run-dir DIR [OPTIONS] [COMMAND TEMPLATE] < LINES");
  app.footer("Each line of the input is one argument: {} in the template stands for it, {#} for its number. Without a template each line is a command.");
  app.add_option("--sink", options.sink, "where the sink listens: tcp://HOST:PORT or ipc://PATH")->required()->type_name("ENDPOINT");
  app.add_option("--run-dir", options.run_directory, "directory of the run, the same as the sink's")->required()->type_name("DIR");
  app.add_option("--listen", options.listen, "where to listen for the sink's feedback; default: a free port or path like the sink's")->type_name("ENDPOINT");
  add_input(app, options.input);
  add_pipe(app, options.pipe);
  cli::add_work(app, options.work);
  add_commands(app, options.commands);
  app.add_flag("--live", options.is_live, "let the outputs of jobs be told as they come: for a sink with --line-buffer or --ungroup");
  add_policy(app, options.policy);
  add_template(app, options.replacements);
  add_label(app, options.label);
  cli::add_duration(app, "--heartbeat", options.policy.policy.heartbeat, "between signs of life")->default_str("1s");
  cli::add_duration(app, "--lease", options.policy.policy.lease, "a worker silent for so long has lost its jobs")->default_str("10s");
  cli::add_size(app, "--spool", options.spool_bytes, "bytes of jobs read ahead of the workers; with --pipe of blocks whose jobs have not ended: as many as jobs run at a time, or more")->default_str("1G");
  add_durability(app, options.durability, "power");
  cli::add_take_over(app, [&options] { options.take_over = io::TakeOver::Yes; });
  app.add_flag("--insecure", options.insecure, "allow tcp:// endpoints, through which others could run commands as you");
}

std::optional<cli::Leave> parse(CLI::App& app, const std::vector<std::string>& arguments, Options& options) {
  const std::vector<std::string> full = cli::with_values(app, arguments, bare_input_options());
  if (auto leave = cli::parse(app, cut_sources(full, cli::options_end(app, full), options.input), &options.words)) return leave;
  if (options.input.dry_run || options.input.reads_joblog()) return cli::Leave{cli::kExitUsage, "--dry-run, --resume, --resume-failed and --retry-failed are for pushmill run\n"};
  if (auto leave = check_input(options.input, false)) return leave;
  if (auto leave = check_pipe(options.pipe, options.input, !options.words.empty())) return leave;
  if (options.pipe.names_files()) return cli::Leave{cli::kExitUsage, "--cat and --fifo are for pushmill run: workers elsewhere do not see the files; read standard input\n"};
  if (options.pipe.round_robin) return cli::Leave{cli::kExitUsage, "--round-robin is for pushmill run: how many jobs run at a time depends on the workers\n"};
  if (options.pipe.pipe_part && options.pipe.block.value_or(-1) < 0)
    return cli::Leave{cli::kExitUsage, "--pipe-part needs --block SIZE here: how many jobs run at a time depends on the workers\n"};
  if (options.input.repeats_words()) options.replacements.many = Many::Repeat;
  if (auto leave = cli::check_work(options.work, options.words)) return leave;
  if (auto leave = check_commands(app, options.commands, options.work)) return leave;
  if (options.commands.timeout_percent > 0) return cli::Leave{cli::kExitUsage, "--timeout: a share of what jobs take is for pushmill run; here it is a time\n"};
  if (options.work.call.value_or("").size() > wire::kMaxName) return cli::Leave{cli::kExitUsage, "--call: the name of a handler has at most 256 bytes\n"};
  if (auto leave = check_label(options.label)) return leave;
  if (auto leave = check_template(options.job_work())) return leave;
  const wire::Policy& policy = options.policy.policy;
  if (policy.lease < policy.heartbeat * 3) return cli::Leave{cli::kExitUsage, "--lease must be at least three times --heartbeat\n"};
  if (policy.no_overlap && policy.lease < policy.heartbeat * 5)
    return cli::Leave{cli::kExitUsage, "with --no-overlap --lease must be at least five times --heartbeat\n"};
  if (policy.heartbeat < base::Duration(10'000)) return cli::Leave{cli::kExitUsage, "--heartbeat must be at least 10ms\n"};
  return check_policy(app, options.policy);
}

std::optional<cli::Leave> parse(const std::vector<std::string>& arguments, Options& options) {
  CLI::App app;
  add_options(app, options);
  return parse(app, arguments, options);
}

}  // namespace ventilator
