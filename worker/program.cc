#include "worker/program.h"

#include <cstdlib>

#include "cli/environment.h"
#include "cli/exit_status.h"
#include "cli/program.h"
#include "io/endpoints.h"
#include "io/signals.h"
#include "worker/options.h"
#include "worker/shell.h"

namespace worker {
namespace {

base::Result<int> status_of(const base::Result<Exit::Why>& why, io::Signals& signals, const Options& options, const cli::Log& log) {
  if (!why) return why.error();
  switch (*why) {
    case Exit::Why::RunComplete: return cli::kExitOk;
    case Exit::Why::Stopped: return cli::exit_status_of_signal(signals.next().value_or(SIGTERM));
    case Exit::Why::SlotLost:
      log.error("a call that had to be ended would not: this worker ends with it, for attempts must not overlap");
      return cli::kExitOther;
    case Exit::Why::HeadNotFound: break;
  }
  log.error("nothing was heard of the sink at " + options.sink + " and its ventilator in time; leaving");
  return cli::kExitHeadNotFound;
}

base::Result<int> run(const Options& options, const HandlerRegistry& handlers) {
  if (auto fine = io::check_endpoint(options.sink, io::EndpointUse::Connect, options.insecure); !fine) return fine.error();
  if (!options.listen.empty()) {
    if (auto fine = io::check_endpoint(options.listen, io::EndpointUse::Listen, options.insecure); !fine) return fine.error();
  }
  ShellConfig config;
  config.keeper.caller = CallerSignals::of_this_process();
  auto signals = io::Signals::block();
  if (!signals) return signals.error();
  config.keeper.keeper = cli::find_program("keeper");
  config.sink_endpoint = options.sink;
  config.listen = options.listen;
  config.slots = options.starts.slots > 0 ? options.starts.slots : cli::default_slots();
  config.slots_file = options.starts.jobs_file();
  config.load_file = options.starts.load_file();
  config.starts = options.starts.rules;
  config.head_timeout = options.head_timeout;
  config.hold_timeout = options.hold_timeout;
  config.stops_without_head = options.stops_without_head;
  config.stop_fd = signals->fd();
  auto context = io::Context::create(1, 1023);
  if (!context) return context.error();
  const cli::Log log("worker", cli::LogLevel::Info);
  Shell shell(*context, config, handlers, log);
  const auto why = shell.run();
  const auto status = status_of(why, *signals, options, log);
  if (shell.has_lost_slots()) std::_Exit(status ? *status : cli::fail(status.error(), "worker"));
  return status;
}

}  // namespace

int run_worker(int argc, char** argv, const HandlerRegistry& handlers) {
  Options options;
  if (auto leave = parse({argv + 1, argv + argc}, options)) return cli::leave(*leave, "worker");
  const auto status = run(options, handlers);
  return status ? *status : cli::fail(status.error(), "worker");
}

}  // namespace worker
