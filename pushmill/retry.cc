// `pushmill retry`: prepares what is to run again, then goes on as `resume` does.
#include <cstdio>
#include <filesystem>

#include "cli/exit_status.h"
#include "io/run_directory.h"
#include "pushmill/answers.h"
#include "pushmill/run.h"
#include "pushmill/run_reader.h"
#include "ventilator/spool.h"

namespace pushmill {

using base::Error;

namespace {

// The number of jobs that run again. The ventilator's mark goes first: while the sink's is there, it is put back at the next start, as if nothing had been.
base::Result<std::uint64_t> prepare(const std::string& directory, const sink::RetryChoice& choice, io::TakeOver take_over) {
  const auto ventilator = io::Lock::take(directory, io::Lock::kVentilator, "retry", take_over);
  if (!ventilator) return ventilator.error();
  const auto sink = io::Lock::take(directory, io::Lock::kSink, "retry", take_over);
  if (!sink) return sink.error();
  const auto log = sink::ResultLog::peek(directory);
  if (!log && log.error().kind == Error::Kind::NotFound) return Error{Error::Kind::NotFound, directory + ": no job is finished: there is nothing to retry"};
  if (!log) return log.error();
  const auto summary = ventilator::Spool::take_back_end(directory);
  if (!summary) return summary.error();
  return sink::ResultLog::retry(directory, choice, summary->epoch + 1);
}

// A block of --pipe goes when its job has succeeded: that job cannot run again, and keeps its row.
base::Status check_inputs(const std::string& directory, const std::vector<base::JobId>& jobs, io::TakeOver take_over) {
  const auto run = RunReader::open(directory, take_over);
  if (!run || !run->has_databases()) return base::ok();  // which prepare() tells
  for (const base::JobId job : jobs) {
    const auto spec = run->spec(job);
    const auto* const command = spec ? std::get_if<base::Command>(&spec->work) : nullptr;
    std::error_code fault;
    if (command == nullptr) continue;
    const std::string own = directory + "/" + io::kInputs + "/" + std::to_string(job);  // which --cat names in the command
    const std::string& input = command->input.path.empty() && command->line.find(own) != std::string::npos ? own : command->input.path;
    if (input.empty() || std::filesystem::exists(input, fault)) continue;
    return Error{Error::Kind::NotFound, "job " + std::to_string(job) + ": its input " + input + " is gone: that of a job that has succeeded is not kept"};
  }
  return base::ok();
}

}  // namespace

base::Result<int> retry(const RetryOptions& options) {
  std::string directory = options.directory;
  if (directory.empty()) {
    const auto newest = RunReader::open("");
    if (!newest) return newest.error();
    directory = newest->path();
  }
  const auto found = io::find_run_directory(directory);
  if (!found) return found.error();
  if (auto done = check_inputs(found->path, options.choice.jobs, options.take_over); !done) return done.error();
  const auto count = prepare(found->path, options.choice, options.take_over);
  if (!count) return count.error();
  const auto is_embedded = was_begun_by_run(found->path);
  if (!is_embedded) return is_embedded.error();
  if (*is_embedded) return resume({found->path, options.take_over});
  const std::string jobs = std::to_string(*count) + (*count == 1 ? " job" : " jobs");
  if (*count == 0) std::fprintf(stderr, "pushmill: there is nothing to retry in %s\n", found->path.c_str());
  else std::fprintf(stderr, "pushmill: %s will run again: start the sink and the ventilator of %s again\n", jobs.c_str(), found->path.c_str());
  return cli::kExitOk;
}

}  // namespace pushmill
