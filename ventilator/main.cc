// The ventilator program.
#include "cli/environment.h"
#include "cli/exit_status.h"
#include "io/endpoints.h"
#include "io/open_files.h"
#include "io/signals.h"
#include "ventilator/options.h"
#include "ventilator/origin.h"
#include "ventilator/shell.h"

namespace {

base::Result<int> run(const ventilator::Options& options, const std::vector<std::string>& arguments) {
  if (auto fine = io::check_endpoint(options.sink, io::EndpointUse::Connect, options.insecure); !fine) return fine.error();
  if (!options.listen.empty()) {
    if (auto fine = io::check_endpoint(options.listen, io::EndpointUse::Listen, options.insecure); !fine) return fine.error();
  }
  auto signals = io::Signals::block();
  if (!signals) return signals.error();
  auto listen = options.listen.empty() ? io::default_listen(options.sink) : base::Result<std::string>(options.listen);
  if (!listen) return listen.error();
  auto directory = io::open_run_directory(options.run_directory);
  if (!directory) return directory.error();
  auto source = options.pipe.is_on() ? ventilator::open_blocks(options.pipe, options.input, directory->path, options.durability, 0)
                                     : ventilator::open_input(options.input, "", 0);
  if (!source) return source.error();
  io::allow_open_files(UINT64_MAX);  // two for each worker
  auto context = io::Context::create(1, 65535);
  if (!context) return context.error();

  if (auto is_free = io::Lock::check(directory->path, io::Lock::kVentilator, options.take_over); !is_free) return is_free.error();  // before its database is looked at
  auto origin = ventilator::origin_of(directory->path);
  if (!origin) return origin.error();
  if (!*origin) {
    auto shell = cli::calling_shell();
    if (!shell) return shell.error();
    *origin = ventilator::Origin{std::move(*shell), "", arguments};
  }
  ventilator::JobDefaults defaults = ventilator::defaults_of(options.commands, (*origin)->shell);
  defaults.live = options.is_live;
  ventilator::ShellConfig config;
  config.sink_endpoint = options.sink;
  config.listen = *listen;
  config.run_directory = directory->path;
  config.take_over = options.take_over;
  config.origin = (*origin)->encode();
  config.durability = options.durability;
  config.is_live = options.is_live;
  config.policy = options.policy.policy;
  config.retry_delay = options.policy.delay();
  config.spool_bytes = options.pipe.is_on() ? ventilator::blocks_ahead(options.pipe, options.spool_bytes, 1) : options.spool_bytes;
  config.stop_fd = signals->fd();
  const cli::Log log("ventilator", cli::LogLevel::Info);
  base::Counts counts;
  ventilator::Shell shell(*context, config, ventilator::Template::of(options.job_work(), defaults), std::move(*source), std::nullopt, log, counts);
  auto ended = shell.open(signals->fd());
  if (ended && !*ended) ended = shell.run();
  if (!ended) return ended.error();
  if (*ended) return **ended;
  if (const auto halted = shell.halted()) return *halted;
  return cli::exit_status_of_signal(signals->next().value_or(SIGTERM));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  ventilator::Options options;
  if (auto leave = parse(arguments, options)) return cli::leave(*leave, "ventilator");
  const auto status = run(options, arguments);
  return status ? *status : cli::fail(status.error(), "ventilator");
}
