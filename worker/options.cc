#include "worker/options.h"

#include <CLI/CLI.hpp>

namespace worker {

std::optional<cli::Leave> parse(const std::vector<std::string>& arguments, Options& options) {
  CLI::App app("Runs jobs for a run; any number of workers may come and go at any time.", "worker");
  cli::set_usage(app, "worker --sink ENDPOINT [OPTIONS]");
  app.footer("It leaves with status 0 when the run is complete.");
  app.add_option("--sink", options.sink, "where the sink listens: tcp://HOST:PORT or ipc://PATH")->required()->type_name("ENDPOINT");
  app.add_option("--listen", options.listen, "where to listen for jobs; default: a free port or path like the sink's")->type_name("ENDPOINT");
  add_starts(app, options.starts);
  cli::add_duration(app, "--head-timeout", options.head_timeout, "leave when nothing has been heard of the run for so long and nothing is held")->default_str("60s");
  cli::add_choice(app, "--on-head-lost", {"run", "stop"}, [&options](std::size_t index) { options.stops_without_head = index == 1; },
                  "run: running jobs are finished whatever is heard; stop: with nothing heard for --head-timeout they are ended, and the worker leaves")
      ->default_str("run");
  cli::add_duration(app, "--hold-timeout", options.hold_timeout, "hold results that nobody takes for so long")->default_str("1h");
  app.add_flag("--insecure", options.insecure, "allow tcp:// endpoints, through which others could run commands as you");
  return cli::parse(app, arguments, nullptr);
}

}  // namespace worker
