#include "sink/result_log.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

namespace sink {

using base::Error;
using base::Outcome;
using base::Status;

namespace {

// What recovery reads of each row comes first, and the outputs last: a scan never walks their overflow pages.
constexpr const char* kSchema = R"(
CREATE TABLE results(
  job INTEGER PRIMARY KEY, seq INTEGER, outcome TEXT, stdout_bytes INTEGER, stderr_bytes INTEGER, attempt INTEGER, epoch INTEGER, n INTEGER,
  exit_code INTEGER, signal INTEGER, slot INTEGER, worker TEXT, host TEXT, started_at INTEGER, finished_at INTEGER, runtime_us INTEGER,
  user_us INTEGER, system_us INTEGER, max_rss_kb INTEGER, reason TEXT, stdout_file TEXT, stderr_file TEXT, command TEXT, label BLOB, stdout BLOB, stderr BLOB);
CREATE TABLE attempts(
  job INTEGER, epoch INTEGER, n INTEGER, attempt INTEGER, outcome TEXT, counted INTEGER, alone INTEGER, exit_code INTEGER, signal INTEGER,
  started_at INTEGER, finished_at INTEGER, runtime_us INTEGER, user_us INTEGER, system_us INTEGER, max_rss_kb INTEGER,
  stdout_bytes INTEGER, stderr_bytes INTEGER, slot INTEGER, worker TEXT, host TEXT, reason TEXT,
  least_epoch INTEGER, stdout_file TEXT, stderr_file TEXT, command TEXT, stdout BLOB, stderr BLOB,
  PRIMARY KEY(job, epoch, n)) WITHOUT ROWID;
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
)";

// Rows read by one visit, which keeps other readers waiting.
constexpr std::size_t kVisit = 8192;
// A reader may be aborted by a rollback of the loop. An error that is still there at the third try is not of that kind.
constexpr int kReadTries = 3;

std::int64_t integer(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t natural(std::int64_t value) { return static_cast<std::uint64_t>(value); }

std::array<char, 32> hex(const base::WorkerId& id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 32> text;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    text[2 * i] = kDigits[id.bytes[i] >> 4];
    text[2 * i + 1] = kDigits[id.bytes[i] & 15];
  }
  return text;
}

Error corrupt(const std::string& what) { return {Error::Kind::Corrupt, std::string(ResultLog::kFile) + ": " + what}; }

// The table `meta`, as read.
class Meta {
 public:
  static base::Result<Meta> read(io::Database& database) {
    auto statement = database.prepare("SELECT key, value FROM meta");
    if (!statement) return statement.error();
    Meta meta;
    for (;;) {
      auto row = statement->step();
      if (!row) return row.error();
      if (!*row) return meta;
      meta.values_[std::string(statement->text(0))] = {statement->integer(1), std::string(statement->text(1))};
    }
  }

  std::optional<std::int64_t> integer(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second.first);
  }

  base::Result<base::RunId> run() const {
    const auto found = values_.find("run");
    if (found == values_.end()) return base::RunId{};
    const auto run = base::parse_id(found->second.second);
    if (!run) return corrupt("meta.run is not a run id");
    return base::RunId{*run};
  }
  std::optional<wire::Policy> policy() const {
    if (!integer("policy_retries")) return std::nullopt;
    wire::Policy policy;
    policy.retries = static_cast<std::uint32_t>(*integer("policy_retries"));
    policy.crash_limit = static_cast<std::uint32_t>(integer("policy_crash_limit").value_or(0));
    policy.heartbeat = base::Duration(integer("policy_heartbeat_us").value_or(0));
    policy.lease = base::Duration(integer("policy_lease_us").value_or(0));
    if (const auto found = values_.find("policy_retry_on"); found != values_.end()) {
      if (const auto causes = base::FailureSet::from_text(found->second.second)) policy.retry_on = *causes;
    }
    policy.at_most_once = integer("policy_at_most_once").value_or(0) != 0;
    policy.no_overlap = integer("policy_no_overlap").value_or(0) != 0;
    policy.halt = {static_cast<wire::HaltRule::When>(integer("policy_halt_when").value_or(0)), static_cast<wire::HaltRule::Of>(integer("policy_halt_of").value_or(0)),
                   static_cast<std::uint32_t>(integer("policy_halt_count").value_or(1)), integer("policy_halt_percent").value_or(0) != 0};
    return policy;
  }
  std::optional<LogHalt> halt() const {
    if (!integer("halt")) return std::nullopt;
    return LogHalt{{natural(*integer("halt")), static_cast<wire::HaltRule::When>(integer("halt_when").value_or(0)), static_cast<std::uint32_t>(integer("halt_status").value_or(0))},
                   integer("halt_over").value_or(0) != 0, natural(integer("halt_finished").value_or(0)), natural(integer("halt_failed").value_or(0))};
  }
  std::optional<Emitted> emitted() const {
    if (!integer("emitted")) return std::nullopt;
    return Emitted{integer("emitted_by_job").value_or(0) != 0 ? Order::Job : Order::Completion, natural(*integer("emitted"))};
  }
  std::optional<JoblogMark> joblog() const {
    if (!integer("joblog_offset")) return std::nullopt;
    const std::int64_t job = integer("joblog_job").value_or(0);
    return JoblogMark{natural(*integer("joblog_offset")), natural(integer("joblog_seq").value_or(0)), natural(job), natural(integer("joblog_number").value_or(job))};
  }
  std::optional<Ended> ended() const {
    if (!integer("ended_status")) return std::nullopt;
    return Ended{static_cast<std::int32_t>(*integer("ended_status")), natural(integer("ended_total").value_or(0)),
                 natural(integer("ended_failed").value_or(0)), integer("ended_cut").value_or(0) != 0};
  }

 private:
  std::map<std::string, std::pair<std::int64_t, std::string>> values_;
};

}  // namespace

base::Result<io::Database> ResultLog::open_file(const std::string& dir, io::Durability durability, bool exclusive) {
  return io::Database::open(dir + "/" + kFile, kVersion, kSchema, durability, exclusive);
}

base::Result<std::unique_ptr<ResultLog>> ResultLog::open(const std::string& dir, io::Durability durability, bool exclusive) {
  auto database = open_file(dir, durability, exclusive);
  if (!database) return database.error();
  std::unique_ptr<ResultLog> log(new ResultLog);
  log->database_ = std::move(*database);
  log->path_ = dir + "/" + kFile;
  log->is_exclusive_ = exclusive;
  if (auto done = log->prepare(); !done) return done.error();
  if (auto done = log->recover(); !done) return done.error();
  if (auto done = log->raise_epoch(); !done) return done.error();
  return log;
}

base::Result<ResultLog::Peek> ResultLog::peek(const std::string& dir) {
  auto database = io::Database::open_read_only(dir + "/" + kFile, kVersion);
  if (!database) return database.error();
  auto meta = Meta::read(*database);
  if (!meta) return meta.error();
  auto run = meta->run();
  if (!run) return run.error();
  Peek peek{*run, 0, 0, meta->ended()};
  if (peek.ended) {
    peek.finished = peek.ended->total;
    peek.failed = peek.ended->failed;
    return peek;
  }
  auto statement = database->prepare("SELECT count(*), sum(outcome <> 'ok' AND seq > coalesce((SELECT value FROM meta WHERE key = 'settled_seq'), 0)) FROM results");
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  peek.finished = natural(statement->integer(0));
  peek.failed = natural(statement->integer(1));
  return peek;
}

Status ResultLog::prepare() {
  const std::pair<io::Statement*, const char*> all[] = {
      {&statements_.begin, "BEGIN IMMEDIATE"},
      {&statements_.commit, "COMMIT"},
      {&statements_.finish,
       "INSERT INTO results(job, seq, attempt, epoch, n, outcome, exit_code, signal, started_at, finished_at, runtime_us, user_us, system_us,"
       " max_rss_kb, stdout_bytes, stderr_bytes, slot, worker, host, reason, command, stdout, stderr, stdout_file, stderr_file, label)"
       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)"},
      {&statements_.end_attempt,
       "INSERT OR IGNORE INTO attempts(job, epoch, n, attempt, outcome, counted, alone, exit_code, signal, started_at, finished_at, runtime_us,"
       " user_us, system_us, max_rss_kb, stdout_bytes, stderr_bytes, slot, worker, host, reason)"
       " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21"
       " WHERE NOT EXISTS (SELECT 1 FROM results WHERE job = ?1 AND epoch = ?2 AND n = ?3)"},
      {&statements_.uncount, "UPDATE attempts SET counted = 0 WHERE job = ?1 AND epoch = ?2 AND n = ?3"},
      {&statements_.remove, "DELETE FROM attempts WHERE job = ?1 AND epoch = ?2 AND n = ?3"},
      {&statements_.free_outputs, "UPDATE results SET stdout = NULL, stderr = NULL, stdout_file = NULL, stderr_file = NULL WHERE job = ?1"},
      {&statements_.set_mark, "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value"},
  };
  for (const auto& [statement, sql] : all) {
    auto prepared = database_.prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  bound_.worker_text = hex(bound_.worker);
  statements_.finish.bind_text(18, {bound_.worker_text.data(), bound_.worker_text.size()}).bind_text(19, bound_.host);
  return base::ok();
}

Status ResultLog::prepare_reading() {
  if (std::exchange(reading_.is_ready, true)) return base::ok();
  if (!is_exclusive_) {
    auto database = io::Database::open_read_only(path_, kVersion);
    if (!database) return database.error();
    reading_.database = std::move(*database);
  }
  io::Database& database = is_exclusive_ ? database_ : reading_.database;
  const std::pair<io::Statement*, const char*> all[] = {
      {&reading_.row,
       "SELECT attempt, epoch, n, outcome, exit_code, signal, started_at, finished_at, runtime_us, user_us, system_us, max_rss_kb, stdout_bytes,"
       " stderr_bytes, slot, worker, host, reason, command, stdout, stderr, stdout_file, stderr_file, label FROM results WHERE job = ?1"},
      {&reading_.visit,
       // Three values in one: over millions of rows the calls to fetch them cost more than the row.
       "SELECT job, (seq << 2) | ((outcome <> 'ok') << 1) | (stdout_bytes = 0 AND stderr_bytes = 0 AND (outcome = 'ok' OR (outcome = 'failed' AND reason IS NULL))) FROM results"
       " WHERE job > ?1 ORDER BY job LIMIT ?2"},
  };
  for (const auto& [statement, sql] : all) {
    auto prepared = database.prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return base::ok();
}

Status ResultLog::recover() {
  auto meta = Meta::read(database_);
  if (!meta) return meta.error();
  auto run = meta->run();
  if (!run) return run.error();
  recovered_.run = *run;
  recovered_.epoch = natural(meta->integer("sink_epoch").value_or(0));
  recovered_.policy = meta->policy();
  recovered_.emitted = meta->emitted();
  recovered_.ended = meta->ended();
  recovered_.halt = meta->halt();
  recovered_.joblog = meta->joblog();
  recovered_.emitted_seq = natural(meta->integer("emitted_seq").value_or(0));
  recovered_.settled_seq = natural(meta->integer("settled_seq").value_or(0));

  auto results = database_.prepare("SELECT count(*), max(seq) FROM results");
  if (!results) return results.error();
  auto row = results->step();
  if (!row) return row.error();
  recovered_.finished = natural(results->integer(0));
  recovered_.last_seq = natural(results->integer(1));
  results->reset();
  // A number that a mark covers is not given again, even if the row that had it is gone (a retry takes rows away).
  if (recovered_.emitted && recovered_.emitted->order == Order::Completion) recovered_.last_seq = std::max(recovered_.last_seq, recovered_.emitted->mark);
  if (recovered_.joblog) recovered_.last_seq = std::max(recovered_.last_seq, recovered_.joblog->seq);
  recovered_.last_seq = std::max({recovered_.last_seq, recovered_.emitted_seq, recovered_.settled_seq});
  first_seq_ = recovered_.last_seq + 1;

  auto attempts = database_.prepare("SELECT 1 FROM attempts LIMIT 1");
  if (!attempts) return attempts.error();
  auto any = attempts->step();
  if (!any) return any.error();
  has_attempts_ = *any;
  return base::ok();
}

Status ResultLog::raise_epoch() {
  ++recovered_.epoch;
  return set_mark("sink_epoch", integer(recovered_.epoch));
}

Status ResultLog::for_each_finished(const std::function<void(const Finished&)>& each, base::JobId above) {
  std::vector<Finished> found;
  for (;;) {
    found.clear();
    auto visited = visit(above, found);
    if (!visited) return visited.error();
    for (const Finished& finished : found) each(finished);
    if (*visited < kVisit) return base::ok();
    above = found.back().job;
  }
}

base::Result<std::set<std::string>> ResultLog::files() {
  auto statement = database_.prepare(
      "SELECT stdout_file FROM results WHERE stdout_file IS NOT NULL UNION SELECT stderr_file FROM results WHERE stderr_file IS NOT NULL UNION"
      " SELECT stdout_file FROM attempts WHERE stdout_file IS NOT NULL UNION SELECT stderr_file FROM attempts WHERE stderr_file IS NOT NULL");
  if (!statement) return statement.error();
  std::set<std::string> names;
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return names;
    names.emplace(statement->text(0));
  }
}

Status ResultLog::for_each_ended(const std::function<void(base::Attempt, Outcome, bool, bool)>& each) {
  auto statement = database_.prepare(
      "SELECT job, epoch, n, outcome, counted, alone FROM attempts AS a WHERE outcome <> 'superseded' AND NOT EXISTS (SELECT 1 FROM results WHERE job = a.job)"
      " ORDER BY job, epoch, n");
  if (!statement) return statement.error();
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return base::ok();
    const base::Attempt attempt{natural(statement->integer(0)), natural(statement->integer(1)), natural(statement->integer(2))};
    const auto outcome = base::parse_outcome(statement->text(3));
    if (!outcome) return corrupt("attempt " + attempt.text() + " has an unknown outcome");
    each(attempt, *outcome, statement->integer(4) != 0, statement->integer(5) != 0);
  }
}

Status ResultLog::for_each_retried(const std::function<void(base::JobId, std::uint64_t)>& each) {
  auto statement = database_.prepare(
      "SELECT job, max(least_epoch) FROM attempts AS a WHERE least_epoch IS NOT NULL AND NOT EXISTS (SELECT 1 FROM results WHERE job = a.job) GROUP BY job");
  if (!statement) return statement.error();
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return base::ok();
    each(natural(statement->integer(0)), natural(statement->integer(1)));
  }
}

std::uint64_t ResultLog::finish(Row row) {
  steps_.push_back({StepKind::Finish, finished_.size()});
  finished_.push_back(std::move(row));
  return first_seq_ + finished_.size() - 1;
}

void ResultLog::end_attempt(Row row, bool counted, bool alone) {
  steps_.push_back({StepKind::EndAttempt, other_.size()});
  other_.push_back({std::move(row), counted, alone});
  has_attempts_ = true;
}

void ResultLog::take_back(const base::Attempt& attempt, bool keep) {
  steps_.push_back({keep ? StepKind::Uncount : StepKind::Remove, taken_back_.size()});
  taken_back_.push_back(attempt);
}

void ResultLog::free_outputs(base::JobId job) {
  steps_.push_back({StepKind::FreeOutputs, freed_.size()});
  freed_.push_back(job);
}

Status ResultLog::commit() {
  committed_.clear();
  first_committed_seq_ = first_seq_;
  if (!has_batch()) return base::ok();
  Status written = statements_.begin.run();
  if (written) written = write_batch();
  if (written) written = statements_.commit.run();
  if (!written) {
    // A rollback that fails as well says nothing new, and the next BEGIN would meet it again.
    (void)database_.rollback();
    return written;
  }
  committed_.swap(finished_);
  first_seq_ += committed_.size();
  steps_.clear();
  other_.clear();
  taken_back_.clear();
  freed_.clear();
  marks_ = {};
  return base::ok();
}

Status ResultLog::write_batch() {
  for (const Step& step : steps_)
    if (auto written = write_step(step); !written) return written;
  return write_marks();
}

Status ResultLog::write_step(const Step& step) {
  switch (step.kind) {
    case StepKind::Finish: return write_finish(finished_[step.index], first_seq_ + step.index);
    case StepKind::EndAttempt: return write_other(other_[step.index]);
    case StepKind::FreeOutputs: return statements_.free_outputs.bind(1, integer(freed_[step.index])).run();
    case StepKind::Uncount:
    case StepKind::Remove: break;
  }
  const base::Attempt& attempt = taken_back_[step.index];
  io::Statement& statement = step.kind == StepKind::Uncount ? statements_.uncount : statements_.remove;
  return statement.bind(1, integer(attempt.job)).bind(2, integer(attempt.epoch)).bind(3, integer(attempt.n)).run();
}

Status ResultLog::write_finish(const Row& row, std::uint64_t seq) {
  const wire::Result& r = row.result;
  if (has_attempts_) {
    // An attempt given up as lost may still bring the result: then it is no longer one of the others.
    auto removed = statements_.remove.bind(1, integer(r.attempt.job)).bind(2, integer(r.attempt.epoch)).bind(3, integer(r.attempt.n)).run();
    if (!removed) return removed;
  }
  io::Statement& s = statements_.finish;
  bind_origin(row);
  s.bind(1, integer(r.attempt.job)).bind(2, integer(seq)).bind(3, integer(row.ordinal)).bind(4, integer(r.attempt.epoch));
  s.bind(5, integer(r.attempt.n)).bind_text(6, name(r.outcome)).bind(7, r.exit_code).bind(8, r.signal);
  s.bind(9, r.started_at).bind(10, r.finished_at).bind(11, integer(r.runtime_us)).bind(12, integer(r.user_us));
  s.bind(13, integer(r.system_us)).bind(14, integer(r.max_rss_kb)).bind(15, integer(r.out_bytes)).bind(16, integer(r.err_bytes));
  s.bind(17, r.slot).bind_text(21, r.command).bind_blob(22, r.out).bind_blob(23, r.err);
  bind_rare(0, 20, r.reason);
  bind_rare(1, 24, row.out_file);
  bind_rare(2, 25, row.err_file);
  if (!r.label.empty()) s.bind_blob(26, r.label);
  else if (bound_.has_rare[3]) s.bind_null(26);
  bound_.has_rare[3] = !r.label.empty();
  return s.run();
}

// What is bound stays so from row to row, and most rows come from where the one before came from.
void ResultLog::bind_origin(const Row& row) {
  if (bound_.worker == row.worker && bound_.host == row.host) return;
  bound_.worker = row.worker;
  bound_.worker_text = hex(row.worker);
  bound_.host = row.host;
  statements_.finish.bind_text(18, {bound_.worker_text.data(), bound_.worker_text.size()}).bind_text(19, bound_.host);
}

// A text that most rows do not have: NULL.
void ResultLog::bind_rare(std::size_t index, int parameter, const std::string& text) {
  if (text.empty() && !bound_.has_rare[index]) return;
  bound_.has_rare[index] = !text.empty();
  if (text.empty()) statements_.finish.bind_null(parameter);
  else statements_.finish.bind_text(parameter, text);
}

Status ResultLog::write_other(const Other& other) {
  const wire::Result& r = other.row.result;
  const auto worker = hex(other.row.worker);
  std::string reason(name(r.outcome));
  if (!r.reason.empty()) reason += ": " + r.reason;
  io::Statement& s = statements_.end_attempt;
  s.bind(1, integer(r.attempt.job)).bind(2, integer(r.attempt.epoch)).bind(3, integer(r.attempt.n)).bind(4, integer(other.row.ordinal));
  s.bind_text(5, name(r.outcome)).bind(6, other.counted).bind(7, other.alone).bind(8, r.exit_code).bind(9, r.signal);
  s.bind(10, r.started_at).bind(11, r.finished_at).bind(12, integer(r.runtime_us)).bind(13, integer(r.user_us));
  s.bind(14, integer(r.system_us)).bind(15, integer(r.max_rss_kb)).bind(16, integer(r.out_bytes)).bind(17, integer(r.err_bytes));
  s.bind(18, r.slot).bind_text(19, {worker.data(), worker.size()}).bind_text(20, other.row.host).bind_text(21, reason);
  return s.run();
}

Status ResultLog::set_mark(std::string_view key, std::int64_t value) {
  return statements_.set_mark.bind_text(1, key).bind(2, value).run();
}

Status ResultLog::take_back_end(io::Database& database) {
  return database.execute("DELETE FROM meta WHERE key IN ('ended_status', 'ended_total', 'ended_failed', 'ended_cut')");
}

Status ResultLog::write_marks() {
  if (marks_.is_end_taken_back)
    if (auto done = take_back_end(database_); !done) return done;
  if (marks_.run)
    if (auto done = statements_.set_mark.bind_text(1, "run").bind_text(2, marks_.run->hex()).run(); !done) return done;
  std::vector<std::pair<std::string_view, std::int64_t>> values;
  if (marks_.policy) {
    values.emplace_back("policy_retries", marks_.policy->retries);
    values.emplace_back("policy_crash_limit", marks_.policy->crash_limit);
    values.emplace_back("policy_heartbeat_us", marks_.policy->heartbeat.count());
    values.emplace_back("policy_lease_us", marks_.policy->lease.count());
    values.emplace_back("policy_at_most_once", marks_.policy->at_most_once);
    values.emplace_back("policy_no_overlap", marks_.policy->no_overlap);
    const wire::HaltRule& halt = marks_.policy->halt;
    values.insert(values.end(), {{"policy_halt_when", static_cast<int>(halt.when)}, {"policy_halt_of", static_cast<int>(halt.of)},
                                 {"policy_halt_count", halt.count}, {"policy_halt_percent", halt.is_percent}});
    if (auto done = statements_.set_mark.bind_text(1, "policy_retry_on").bind_text(2, marks_.policy->retry_on.text()).run(); !done) return done;
  }
  if (marks_.emitted) {
    values.emplace_back("emitted", integer(marks_.emitted->mark));
    values.emplace_back("emitted_by_job", marks_.emitted->order == Order::Job);
  }
  if (marks_.joblog) {
    values.emplace_back("joblog_offset", integer(marks_.joblog->offset));
    values.emplace_back("joblog_seq", integer(marks_.joblog->seq));
    values.emplace_back("joblog_job", integer(marks_.joblog->job));
    values.emplace_back("joblog_number", integer(marks_.joblog->number));
  }
  if (marks_.halt) {
    const LogHalt& halt = *marks_.halt;
    values.insert(values.end(), {{"halt", integer(halt.halt.number)}, {"halt_when", static_cast<int>(halt.halt.when)}, {"halt_status", halt.halt.status},
                                 {"halt_over", halt.is_over}, {"halt_finished", integer(halt.finished)}, {"halt_failed", integer(halt.failed)}});
  }
  if (marks_.ended) {
    values.emplace_back("ended_status", marks_.ended->exit_status);
    values.emplace_back("ended_total", integer(marks_.ended->total));
    values.emplace_back("ended_failed", integer(marks_.ended->failed));
    values.emplace_back("ended_cut", marks_.ended->cut);
  }
  for (const auto& [key, value] : values)
    if (auto done = set_mark(key, value); !done) return done;
  return base::ok();
}

base::Result<Row> ResultLog::row(base::JobId job) {
  const std::lock_guard lock(reading_mutex_);
  if (auto ready = prepare_reading(); !ready) return ready.error();
  for (int tries = 1;; ++tries) {
    auto found = read_row(job);
    if (!found && tries < kReadTries) continue;
    if (!found) return found.error();
    if (!*found) return Error{Error::Kind::NotFound, std::string(kFile) + ": no result of job " + std::to_string(job)};
    return std::move(**found);
  }
}

base::Result<std::optional<Row>> ResultLog::read_row(base::JobId job) {
  io::Statement& s = reading_.row;
  auto step = s.bind(1, integer(job)).step();
  if (!step) return step.error();
  if (!*step) return std::optional<Row>();
  Row row;
  wire::Result& r = row.result;
  row.ordinal = natural(s.integer(0));
  r.attempt = {job, natural(s.integer(1)), natural(s.integer(2))};
  const auto outcome = base::parse_outcome(s.text(3));
  r.exit_code = static_cast<std::int32_t>(s.integer(4));
  r.signal = static_cast<std::int32_t>(s.integer(5));
  r.started_at = s.integer(6);
  r.finished_at = s.integer(7);
  r.runtime_us = natural(s.integer(8));
  r.user_us = natural(s.integer(9));
  r.system_us = natural(s.integer(10));
  r.max_rss_kb = natural(s.integer(11));
  r.out_bytes = natural(s.integer(12));
  r.err_bytes = natural(s.integer(13));
  r.slot = static_cast<std::uint32_t>(s.integer(14));
  const auto worker = base::parse_id(s.text(15));
  row.host = s.text(16);
  r.reason = s.text(17);
  r.command = s.text(18);
  r.out = s.text(19);
  r.err = s.text(20);
  row.out_file = s.text(21);
  row.err_file = s.text(22);
  r.label = s.text(23);
  s.reset();
  if (!outcome || !worker) return corrupt("the result of job " + std::to_string(job) + " has an unknown outcome or worker");
  r.outcome = *outcome;
  row.worker = base::WorkerId{*worker};
  return std::optional(std::move(row));
}

// Appends up to kVisit finished jobs above `above`; returns how many. The rows of a statement that was aborted half way are dropped.
base::Result<std::size_t> ResultLog::visit(base::JobId above, std::vector<Finished>& found) {
  const std::lock_guard lock(reading_mutex_);
  if (auto ready = prepare_reading(); !ready) return ready.error();
  const std::size_t before = found.size();
  io::Statement& s = reading_.visit;
  for (int tries = 1;; ++tries) {
    s.bind(1, integer(above)).bind(2, kVisit);
    for (;;) {
      auto row = s.step();
      if (!row) {
        if (tries == kReadTries) return row.error();
        found.resize(before);
        break;
      }
      if (!*row) return found.size() - before;
      const std::uint64_t packed = natural(s.integer(1));
      found.push_back({natural(s.integer(0)), packed >> 2, (packed & 2) != 0, (packed & 1) != 0});
    }
  }
}

base::Result<std::vector<Finished>> ResultLog::finished_between(std::uint64_t after, std::uint64_t until) {
  std::vector<Finished> found;
  base::JobId above = 0;
  for (;;) {
    const std::size_t before = found.size();
    auto visited = visit(above, found);
    if (!visited) return visited.error();
    if (*visited > 0) above = found.back().job;
    const auto is_outside = [&](const Finished& finished) { return finished.seq <= after || finished.seq > until; };
    found.erase(std::remove_if(found.begin() + static_cast<std::ptrdiff_t>(before), found.end(), is_outside), found.end());
    if (*visited < kVisit) break;
  }
  std::sort(found.begin(), found.end(), [](const Finished& a, const Finished& b) { return a.seq < b.seq; });
  return found;
}

}  // namespace sink
