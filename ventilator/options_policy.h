// The options that say how the run treats what fails or is lost, for the programs that begin runs.
#pragma once

#include <optional>
#include <string>

#include "cli/options.h"
#include "io/database.h"
#include "wire/messages.h"

namespace ventilator {

struct PolicyOptions {
  wire::Policy policy;
  std::optional<base::Duration> retry_delay;
  std::optional<base::FailureSet> retry_on;
  base::FailureSet no_retry_on;

  // A job that is run until it succeeds does not spin.
  base::Duration delay() const { return retry_delay.value_or(base::Duration(policy.retries == 0 ? 1'000'000 : 0)); }
};

// REQUIRES: `options` lives until the command line is parsed; then check_policy().
void add_policy(CLI::App& app, PolicyOptions& options);
// What does not fit together; and what --retry-on and --no-retry-on mean together goes into the policy.
std::optional<cli::Leave> check_policy(const CLI::App& app, PolicyOptions& options);

void add_durability(CLI::App& app, io::Durability& durability, const char* standard);

}  // namespace ventilator
