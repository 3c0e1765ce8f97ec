#include "worker/options_starts.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/environment.h"

namespace worker {

namespace {

CLI::ValidationError wrong(const std::string& option, const std::string& message) {
  return {option + ": " + message, CLI::ExitCodes::ValidationError};
}

}  // namespace

double load_of(const Amount& amount) { return std::max(amount.value(cli::default_slots()), 0.01); }

void add_starts(CLI::App& app, StartOptions& options) {
  app.add_option_function<std::string>("-j,--jobs,-P,--max-procs", [&options](const std::string& text) {
    auto amount = Amount::of(text);
    if (!amount) throw wrong("--jobs", amount.error().message);
    const auto slots = slots_of(*amount, cli::default_slots());
    if (!slots) throw wrong("--jobs", "'" + text + "': " + slots.error().message);
    options.jobs = std::move(*amount);
    options.slots = *slots;
  }, "run so many jobs at a time: N, +N or -N beside the number of CPUs, N% of it, 0 for as many as possible, or a FILE that says so and is read again "
     "when it has changed and a job has ended; default: 100% of the CPUs that this process may use")->type_name("N");
  cli::add_duration(app, "--delay", options.rules.delay, "wait so long between two starts");
  app.add_option_function<std::string>("--load", [&options](const std::string& text) {
    auto amount = Amount::of(text);
    if (!amount) throw wrong("--load", amount.error().message);
    options.rules.load = load_of(*amount);
    options.load = std::move(*amount);
  }, "start a job only while fewer processes than this run on the machine: as in --jobs")->type_name("N");
  cli::add_size(app, "--memfree", options.rules.free_memory,
                "start a job only while so much memory is free; with less than half of it the youngest job is ended, and runs again, which counts for nothing");
  app.add_flag("--noswap", options.rules.no_swap, "start no job while the machine swaps both in and out");
}

}  // namespace worker
