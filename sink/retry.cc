// What it does to results.db that a user has jobs retried, or offers more input (--skip-done).
#include <cstdint>
#include <string>

#include "io/run_directory.h"
#include "sink/result_log.h"

namespace sink {

using base::Error;
using base::Status;

namespace {

Status run(io::Database& database, const char* sql, std::initializer_list<std::int64_t> values = {}) {
  auto statement = database.prepare(sql);
  if (!statement) return statement.error();
  int parameter = 0;
  for (const std::int64_t value : values) statement->bind(++parameter, value);
  return statement->run();
}

base::Result<std::int64_t> ask(io::Database& database, const char* sql, std::int64_t value = 0) {
  auto statement = database.prepare(sql);
  if (!statement) return statement.error();
  if (std::string_view(sql).find('?') != std::string_view::npos) statement->bind(1, value);
  auto row = statement->step();
  if (!row) return row.error();
  return *row ? statement->integer(0) : 0;
}

// Failures up to this seq count no more.
base::Result<std::int64_t> settled_seq(io::Database& database) { return ask(database, "SELECT value FROM meta WHERE key = 'settled_seq'"); }

Status choose(io::Database& database, const RetryChoice& choice) {
  const auto settled = settled_seq(database);
  if (!settled) return settled.error();
  if (auto made = run(database, "CREATE TEMP TABLE chosen(job INTEGER PRIMARY KEY)"); !made) return made;
  if (choice.which == RetryChoice::Which::NotOk) return run(database, "INSERT INTO chosen SELECT job FROM results WHERE outcome <> 'ok' AND seq > ?1", {*settled});
  if (choice.which == RetryChoice::Which::Lost) return run(database, "INSERT INTO chosen SELECT job FROM results WHERE outcome = 'lost' AND seq > ?1", {*settled});
  for (const base::JobId job : choice.jobs) {
    const auto is_there = ask(database, "SELECT count(*) FROM results WHERE job = ?1", static_cast<std::int64_t>(job));
    if (!is_there) return is_there.error();
    if (*is_there == 0) return Error{Error::Kind::NotFound, "job " + std::to_string(job) + " is not finished: there is nothing to retry"};
    if (auto added = run(database, "INSERT OR IGNORE INTO chosen VALUES(?1)", {static_cast<std::int64_t>(job)}); !added) return added;
  }
  return base::ok();
}

Status move(io::Database& database, std::uint64_t least_epoch) {
  auto done = run(database, "UPDATE attempts SET counted = 0 WHERE job IN (SELECT job FROM chosen)");
  if (!done) return done;
  done = run(database,
             "INSERT INTO attempts(job, epoch, n, attempt, outcome, counted, alone, exit_code, signal, started_at, finished_at, runtime_us, user_us, system_us,"
             " max_rss_kb, stdout_bytes, stderr_bytes, slot, worker, host, reason, least_epoch, stdout_file, stderr_file, command, stdout, stderr)"
             " SELECT job, epoch, n, attempt, outcome, 0, 0, exit_code, signal, started_at, finished_at, runtime_us, user_us, system_us,"
             " max_rss_kb, stdout_bytes, stderr_bytes, slot, worker, host, outcome || coalesce(': ' || reason, ''), ?1, stdout_file, stderr_file, command,"
             " stdout, stderr"
             " FROM results WHERE job IN (SELECT job FROM chosen)",
             {static_cast<std::int64_t>(least_epoch)});
  return done;
}

// Emission in the order of the jobs goes back to before the first of them. What is out already must not come again: up to the first row, by seq, that is not,
// that is said by `emitted_seq`. (A row behind that one may come again: emission is at least once.)
Status go_back(io::Database& database) {
  const auto by_job = ask(database, "SELECT value FROM meta WHERE key = 'emitted_by_job'");
  if (!by_job) return by_job.error();
  if (*by_job == 0) return base::ok();
  auto done = run(database,
                  "INSERT OR REPLACE INTO meta(key, value) SELECT 'emitted_seq', coalesce((SELECT min(seq) - 1 FROM results"
                  " WHERE job NOT IN (SELECT job FROM chosen) AND job > (SELECT value FROM meta WHERE key = 'emitted')"
                  " AND seq > coalesce((SELECT value FROM meta WHERE key = 'emitted_seq'), 0)), (SELECT max(seq) FROM results), 0)");
  if (!done) return done;
  return run(database, "UPDATE meta SET value = min(value, (SELECT min(job) - 1 FROM chosen)) WHERE key = 'emitted'");
}

}  // namespace

base::Result<std::uint64_t> ResultLog::retry(const std::string& dir, const RetryChoice& choice, std::uint64_t least_epoch) {
  auto database = open_file(dir, io::Durability::Power, io::is_network_filesystem(dir));
  if (!database) return database.error();
  std::int64_t count = 0;
  auto done = database->execute("BEGIN IMMEDIATE");
  if (done) done = choose(*database, choice);
  if (done) {
    const auto chosen = ask(*database, "SELECT count(*) FROM chosen");
    if (!chosen) done = chosen.error();
    else count = *chosen;
  }
  if (done && count > 0) {
    done = move(*database, least_epoch);
    if (done) done = go_back(*database);
    if (done) done = database->execute("DELETE FROM results WHERE job IN (SELECT job FROM chosen)");
    if (done) done = take_back_end(*database);
  }
  if (done) done = database->execute("COMMIT");
  if (done) return static_cast<std::uint64_t>(count);
  const Error error = done.error();
  (void)database->rollback();  // one that fails too has nothing to add
  return error;
}

Status ResultLog::settle(const std::string& dir) {
  auto database = open_file(dir, io::Durability::Power, io::is_network_filesystem(dir));
  if (!database) return database.error();
  auto done = database->execute("BEGIN IMMEDIATE");
  if (done) done = database->execute("INSERT INTO meta(key, value) SELECT 'settled_seq', coalesce(max(seq), 0) FROM results WHERE true"
                                     " ON CONFLICT(key) DO UPDATE SET value = max(value, excluded.value)");
  if (done) done = database->execute("UPDATE meta SET value = 0 WHERE key = 'halt_failed'");  // of those that count
  if (done) done = take_back_end(*database);
  if (done) done = database->execute("COMMIT");
  if (!done) (void)database->rollback();  // one that fails too has nothing to add
  return done;
}

base::Result<base::JobSet> ResultLog::failures(const std::string& dir, bool only_settled) {
  base::JobSet jobs;
  auto database = io::Database::open_read_only(dir + "/" + kFile, kVersion);
  if (!database && database.error().kind == Error::Kind::NotFound) return jobs;
  if (!database) return database.error();
  const auto settled = only_settled ? settled_seq(*database) : INT64_MAX;
  if (!settled) return settled.error();
  if (*settled == 0) return jobs;
  auto statement = database->prepare("SELECT job FROM results WHERE outcome <> 'ok' AND seq <= ?1");
  if (!statement) return statement.error();
  statement->bind(1, *settled);
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return jobs;
    jobs.insert(static_cast<base::JobId>(statement->integer(0)));
  }
}

}  // namespace sink
