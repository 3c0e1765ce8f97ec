// `pushmill runs`: the runs without a name, as the state directory holds them.
#include "cli/exit_status.h"
#include "io/clock.h"
#include "io/run_directory.h"
#include "pushmill/answers.h"
#include "pushmill/moments.h"
#include "pushmill/run_reader.h"

namespace pushmill {

base::Result<int> runs(const RunsOptions& options) {
  const bool is_table = options.format == Format::Table;
  const base::WallTime now = io::wall_now();
  Rows rows(stdout, options.format, is_table ? std::vector<std::string>{"run", "state", "jobs", "failed", "changed", "command"}
                                             : std::vector<std::string>{"run", "state", "exit_status", "jobs", "finished", "failed", "changed_at", "command"});
  for (const std::string& path : io::runs_without_a_name()) {
    const auto run = RunReader::open(path);
    const auto counts = run ? run->counts() : base::Result<RunCounts>(run.error());
    if (!counts) {  // it may be going at this moment, and one that is damaged hides no other
      if (counts.error().kind != base::Error::Kind::NotFound) std::fprintf(stderr, "pushmill runs: %s\n", counts.error().message.c_str());
      continue;
    }
    const auto accepted = static_cast<std::int64_t>(counts->accepted), failed = static_cast<std::int64_t>(counts->failed);
    if (is_table) {
      rows.add({path, run->state_text(), accepted, failed, span_text(base::Duration(now - run->changed_at())) + " ago", run->command()});
      continue;
    }
    const Value exit_status = run->state() == RunReader::State::Ended && run->exit_status() ? Value(std::int64_t{*run->exit_status()}) : Value();
    rows.add({path, run->state_text(), exit_status, accepted, static_cast<std::int64_t>(counts->finished), failed, run->changed_at(), run->command()});
  }
  if (auto ended = rows.end(); !ended) return ended.error();
  return cli::kExitOk;
}

}  // namespace pushmill
