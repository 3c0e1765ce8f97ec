// The command lines of the subcommands that look at runs, and of those that clear up after them. DIR may be left out: the newest run without a name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/time.h"
#include "cli/options.h"
#include "io/lock.h"
#include "pushmill/rows.h"
#include "sink/result_log.h"

namespace pushmill {

struct LogOptions {
  std::string directory;
  Format format = Format::Table;
  bool failed = false;
  std::optional<base::Outcome> outcome;
  std::string worker;  // the beginning of its id, or its host
  base::WallTime since = 0, until = 0;
};
struct OutputOptions {
  std::string directory;
  base::JobId job = 0;
  bool err = false;
  std::uint32_t attempt = 0;  // 0: the one that is the result
};
struct JobOptions {  // why, debug
  std::string directory;
  base::JobId job = 0;
  io::TakeOver take_over = io::TakeOver::No;  // of why
};
struct StatusOptions {
  std::string directory;
  io::TakeOver take_over = io::TakeOver::No;
  bool json = false;
};
struct RunsOptions {
  Format format = Format::Table;
};
struct RemoveOptions {
  std::vector<std::string> directories;
  bool ended = false;
  base::Duration older{0};
  io::TakeOver take_over = io::TakeOver::No;
};
struct SqlOptions {
  std::string directory, query;
  Format format = Format::Table;
};
struct RetryOptions {
  std::string directory;
  sink::RetryChoice choice;
  io::TakeOver take_over = io::TakeOver::No;
};

std::optional<cli::Leave> parse_log(const std::vector<std::string>& arguments, LogOptions& options);
std::optional<cli::Leave> parse_output(const std::vector<std::string>& arguments, OutputOptions& options);
std::optional<cli::Leave> parse_why(const std::vector<std::string>& arguments, JobOptions& options);
std::optional<cli::Leave> parse_debug(const std::vector<std::string>& arguments, JobOptions& options);
std::optional<cli::Leave> parse_status(const std::vector<std::string>& arguments, StatusOptions& options);
std::optional<cli::Leave> parse_runs(const std::vector<std::string>& arguments, RunsOptions& options);
std::optional<cli::Leave> parse_remove(const std::vector<std::string>& arguments, RemoveOptions& options);
std::optional<cli::Leave> parse_sql(const std::vector<std::string>& arguments, SqlOptions& options);
std::optional<cli::Leave> parse_retry(const std::vector<std::string>& arguments, RetryOptions& options);

}  // namespace pushmill
