// `pushmill log`: page by page in the order of the jobs, each page one short read.
#include "cli/exit_status.h"
#include "pushmill/answers.h"
#include "pushmill/moments.h"
#include "pushmill/run_reader.h"

namespace pushmill {

namespace {

constexpr int kPage = 256;

// What a row is in JSON and TSV: the columns of `results`, without the outputs.
constexpr const char* kColumns =
    "job, seq, outcome, exit_code, signal, attempt, epoch, n, slot, worker, host, started_at, finished_at, runtime_us, user_us, system_us, max_rss_kb,"
    " stdout_bytes, stderr_bytes, reason, command";
// In the table, from those.
enum Column : int { kJob, kOutcome = 2, kExitCode, kSignal, kAttempt, kHost = 10, kFinishedAt = 12, kRuntime, kReason = 19, kCommand };

std::string sql_of(const LogOptions& options) {
  std::string sql = std::string("SELECT ") + kColumns + " FROM results WHERE job > ?1";
  if (options.failed) sql += " AND outcome <> 'ok'";
  if (options.outcome) sql += " AND outcome = ?2";
  if (!options.worker.empty()) sql += " AND (host = ?3 OR substr(worker, 1, length(?3)) = ?3)";
  if (options.since != 0) sql += " AND finished_at >= ?4";
  if (options.until != 0) sql += " AND finished_at < ?5 AND finished_at > 0";
  return sql + " ORDER BY job LIMIT " + std::to_string(kPage);
}

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    words.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(list.size(), end + 1));
    while (list.starts_with(' ')) list.remove_prefix(1);
  }
  return words;
}

std::vector<Value> table_row(const std::vector<Value>& row) {
  const auto number = [&](Column column) { return std::get_if<std::int64_t>(&row[column]) != nullptr ? std::get<std::int64_t>(row[column]) : 0; };
  const auto* reason = std::get_if<std::string>(&row[kReason]);
  const auto* command = std::get_if<std::string>(&row[kCommand]);
  const std::string exit = number(kSignal) > 0 ? "signal " + std::to_string(number(kSignal)) : std::to_string(number(kExitCode));
  return {row[kJob], row[kOutcome], exit, row[kAttempt], seconds_text(number(kRuntime)), row[kHost], clock_text(number(kFinishedAt)),
          (command != nullptr ? *command : "") + (reason != nullptr ? "  (" + *reason + ")" : "")};
}

}  // namespace

base::Result<int> log(const LogOptions& options) {
  const auto run = RunReader::open(options.directory);
  if (!run) return run.error();
  auto results = run->results();
  if (!results) return results.error();
  const std::string last_job = std::to_string(run->summary() ? run->summary()->accepted : 0);  // as wide as it gets
  std::vector<std::string> names{"job", "outcome", "exit", "try", "seconds", "host", "ended", "command"};
  if (last_job.size() > names[0].size()) names[0].insert(0, last_job.size() - names[0].size(), ' ');
  io::Statement page;
  if (*results) {
    auto prepared = (*results)->prepare(sql_of(options));
    if (!prepared) return prepared.error();
    page = std::move(*prepared);
  }
  if (options.format != Format::Table) names = words_of(kColumns);
  Rows rows(stdout, options.format, names);
  std::vector<std::vector<Value>> read;
  for (std::int64_t after = 0; *results;) {
    page.bind(1, after);
    if (options.outcome) page.bind_text(2, base::name(*options.outcome));
    if (!options.worker.empty()) page.bind_text(3, options.worker);
    if (options.since != 0) page.bind(4, options.since);
    if (options.until != 0) page.bind(5, options.until);
    read.clear();
    for (;;) {
      const auto row = page.step();
      if (!row) return row.error();
      if (!*row) break;
      auto& values = read.emplace_back();
      for (int i = 0; i < page.columns(); ++i) values.push_back(value_of(page, i));
    }
    // Only now, when nothing is read any more: whoever reads us may take his time.
    for (auto& values : read) {
      after = std::get<std::int64_t>(values[kJob]);
      rows.add(options.format == Format::Table ? table_row(values) : std::move(values));
    }
    if (read.size() < kPage) break;
  }
  if (auto ended = rows.end(); !ended) return ended.error();
  return cli::kExitOk;
}

}  // namespace pushmill
