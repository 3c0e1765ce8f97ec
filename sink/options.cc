#include "sink/options.h"

#include <CLI/CLI.hpp>

#include "sink/options_output.h"

namespace sink {

std::optional<cli::Leave> parse(const std::vector<std::string>& arguments, Options& options) {
  CLI::App app("Logs the results of a run, writes the jobs' outputs and sends lost jobs out again.", "sink");
  cli::set_usage(app, "sink --listen ENDPOINT... --run-dir DIR [OPTIONS]");
  app.footer("The outputs of the jobs go to standard output and standard error, job by job. Everything else is in DIR/results.db.");
  app.add_option("--listen", options.listen, "where to listen: tcp://ADDRESS:PORT or ipc://PATH; may be given several times")
      ->required()->type_name("ENDPOINT")->expected(1, 64)->allow_extra_args(true);
  app.add_option("--run-dir", options.run_directory, "directory of the run, the same as the ventilator's")->required()->type_name("DIR");
  app.add_option("--joblog", options.joblog, "also write a log in GNU parallel's format; +FILE: at the end of FILE")->type_name("FILE");
  app.add_flag("-k,--keep-order", options.keep_order, "write outputs in the order of the input");
  add_output(app, options.output);
  add_labelled_output(app, options.output);
  add_keep_output(app, options.keep_output);
  cli::add_choice(app, "--durability", {"process", "power"}, [&options](std::size_t index) { options.durability = static_cast<io::Durability>(index); },
                  "power: survives power loss; process: survives kill -9 only, faster")->default_str("power");
  cli::add_take_over(app, [&options] { options.take_over = io::TakeOver::Yes; });
  app.add_flag("--insecure", options.insecure, "allow tcp:// endpoints, through which others could run commands as you");
  if (auto leave = cli::parse(app, arguments, nullptr)) return leave;
  return check_output(options.output);
}

}  // namespace sink
