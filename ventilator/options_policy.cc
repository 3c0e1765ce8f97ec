#include "ventilator/options_policy.h"

#include <CLI/CLI.hpp>

#include "cli/durations.h"
#include "cli/exit_status.h"
#include "ventilator/options_halt.h"

namespace ventilator {

namespace {
constexpr base::Duration kLongestDelay{86'400'000'000};  // a day: 64 of them are far below any overflow

void add_failures(CLI::App& app, const std::string& name, const std::function<void(base::FailureSet)>& take, const std::string& help) {
  app.add_option_function<std::string>(name, [name, take](const std::string& list) {
    const auto failures = base::FailureSet::parse(list);
    if (!failures) throw CLI::ValidationError(name + ": " + failures.error().message, CLI::ExitCodes::ValidationError);
    take(*failures);
  }, help)->type_name("LIST");
}
}  // namespace

void add_policy(CLI::App& app, PolicyOptions& options) {
  cli::add_count(app, "--retries", options.policy.retries, 0, 1'000'000, "run a failing job N times in all; 0: until it succeeds")->default_str("1");
  app.add_option_function<std::string>("--retry-delay", [&options](const std::string& text) {
    const auto delay = cli::parse_duration(text);
    if (!delay) throw CLI::ValidationError("--retry-delay: " + delay.error().message, CLI::ExitCodes::ValidationError);
    if (*delay > kLongestDelay) throw CLI::ValidationError("--retry-delay: at most one day", CLI::ExitCodes::ValidationError);
    options.retry_delay = *delay;
  }, "wait so long before a failed job is run again, twice as long after each further failure, 64 times at most; default: 0, with --retries 0 1s")
      ->type_name("TIME");
  add_failures(app, "--retry-on", [&options](base::FailureSet set) { options.retry_on = std::move(set); },
               "run only these failures again: exit codes (1,3-5), signals (SIGSEGV; signal: any), timeout, oom");
  add_failures(app, "--no-retry-on", [&options](base::FailureSet set) { options.no_retry_on = std::move(set); }, "never run these failures again");
  cli::add_count(app, "--crash-limit", options.policy.crash_limit, 1, 1000, "a job under which its worker dies N times, while it runs alone there, has failed")->default_str("5");
  app.add_flag("--at-most-once", options.policy.at_most_once, "never run a job again that may have begun: one that is lost with its worker has failed, as lost");
  app.add_flag("--no-overlap", options.policy.no_overlap,
               "run a job again only when its attempt before has surely ended: a worker that is not heard for a lease ends its jobs itself");
  add_halt(app, options.policy.halt);
}

std::optional<cli::Leave> check_policy(const CLI::App& app, PolicyOptions& options) {
  if (options.policy.at_most_once && app.count("--crash-limit") > 0) {
    return cli::Leave{cli::kExitUsage, "--crash-limit and --at-most-once exclude each other: the first loss is a job's last\n"};
  }
  const bool has_list = options.retry_on || !options.no_retry_on.ranges.empty();
  if (options.policy.retries == 1 && (options.retry_delay || has_list)) {
    const std::string names = has_list ? "--retry-on and --no-retry-on need" : "--retry-delay needs";
    return cli::Leave{cli::kExitUsage, names + " --retries: a failing job is run once\n"};
  }
  options.policy.retry_on = options.retry_on.value_or(base::FailureSet::all()).without(options.no_retry_on);
  return std::nullopt;
}

void add_durability(CLI::App& app, io::Durability& durability, const char* standard) {
  cli::add_choice(app, "--durability", {"process", "power"}, [&durability](std::size_t index) { durability = static_cast<io::Durability>(index); },
                  "power: survives power loss; process: survives kill -9 only, faster")->default_str(standard);
}

}  // namespace ventilator
