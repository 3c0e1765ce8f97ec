// The sink program.
#include "cli/exit_status.h"
#include "io/endpoints.h"
#include "io/open_files.h"
#include "io/signals.h"
#include "sink/options.h"
#include "sink/shell.h"

namespace {

base::Result<int> run(const sink::Options& options) {
  for (const std::string& endpoint : options.listen) {
    if (auto fine = io::check_endpoint(endpoint, io::EndpointUse::Listen, options.insecure); !fine) return fine.error();
  }
  auto signals = io::Signals::block();
  if (!signals) return signals.error();
  auto directory = io::open_run_directory(options.run_directory);
  if (!directory) return directory.error();
  io::allow_open_files(UINT64_MAX);  // one for each worker
  auto context = io::Context::create(1, 65535);
  if (!context) return context.error();

  sink::ShellConfig config;
  config.listen = options.listen;
  config.run_directory = directory->path;
  config.take_over = options.take_over;
  config.durability = options.durability;
  config.joblog = options.joblog;
  config.keep = options.keep_output;
  config.how = options.output.presentation();
  config.table = options.output.table();
  config.folder = options.output.folder;
  config.order = options.keep_order ? sink::Order::Job : sink::Order::Completion;
  config.stop_fd = signals->fd();
  const cli::Log log("sink", cli::LogLevel::Info);
  base::Counts counts;
  sink::Shell shell(*context, config, log, counts);
  auto ended = shell.open();
  if (ended && !*ended) {
    for (const std::string& endpoint : shell.endpoints()) log.info("listening on " + endpoint);
    ended = shell.run();
  }
  if (!ended) return ended.error();
  if (*ended) return **ended;
  if (const auto halted = shell.halted()) return *halted;
  return cli::exit_status_of_signal(signals->next().value_or(SIGTERM));
}

}  // namespace

int main(int argc, char** argv) {
  sink::Options options;
  if (auto leave = parse({argv + 1, argv + argc}, options)) return cli::leave(*leave, "sink");
  const auto status = run(options);
  return status ? *status : cli::fail(status.error(), "sink");
}
