// The options that say how many jobs run at a time and what holds their starts back, for the programs that run jobs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/options.h"
#include "worker/amount.h"
#include "worker/start_gate.h"

namespace worker {

struct StartOptions {
  std::optional<Amount> jobs, load;  // none: one job for each CPU; whatever the load
  std::uint32_t slots = 0;           // that follow from `jobs` as it is now; 0: as many as there are CPUs
  StartRules rules;

  std::string jobs_file() const { return jobs ? jobs->file : ""; }
  std::string load_file() const { return load ? load->file : ""; }
};

// REQUIRES: `options` lives until the command line is parsed.
void add_starts(CLI::App& app, StartOptions& options);

// What a load means here: 0 stands for hardly any.
double load_of(const Amount& amount);

}  // namespace worker
