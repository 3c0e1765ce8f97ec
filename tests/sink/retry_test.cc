// A user's retry, as results.db sees it.
#include "output_support.h"

using base::Attempt;
using base::Outcome;
using sink::ResultLog;
using sink::RetryChoice;

namespace {

sink::Row failed(base::JobId job, Outcome outcome = Outcome::Failed) {
  sink::Row row = ok_row(job, "out of " + std::to_string(job));
  row.result.outcome = outcome;
  row.result.reason = outcome == Outcome::Lost ? "gone" : "";
  return row;
}

// Jobs 1 to 4: ok, failed after one failure more, lost, ok; ended.
void given_run(const TemporaryFolder& folder, sink::Emitted emitted = {sink::Order::Completion, 4}) {
  auto log = open_log(folder.path());
  sink::Row before = failed(2);
  before.result.attempt = {2, 1, 1};
  log->end_attempt(std::move(before), true, false);
  for (sink::Row row : {ok_row(1), failed(2), failed(3, Outcome::Lost), ok_row(4)}) {
    row.ordinal = row.result.attempt.job == 2 ? 2 : 1;
    row.result.attempt.n += 10;
    log->finish(std::move(row));
  }
  log->emitted(emitted);
  log->ended({2, 4, 2, false});
  commit(*log);
}

std::string ask(const TemporaryFolder& folder, const std::string& sql) {
  auto database = io::Database::open_read_only(folder / ResultLog::kFile, ResultLog::kVersion);
  REQUIRE(database);
  auto statement = database->prepare("SELECT group_concat(x, ' ') FROM (" + sql + ")");
  if (!statement) FAIL(statement.error().message);
  REQUIRE(*statement->step());
  return std::string(statement->text(0));
}

const std::string kRows = "SELECT job AS x FROM results ORDER BY job";
const std::string kAttempts = "SELECT job || '@' || epoch || '.' || n || ':' || attempt || outcome || counted || coalesce(least_epoch, '') AS x"
                              " FROM attempts ORDER BY job, epoch, n";

}  // namespace

TEST_CASE("retry moves the rows to attempts, uncounted, and takes the end back", "[retry]") {
  TemporaryFolder folder;
  given_run(folder);
  CHECK(*ResultLog::retry(folder.path(), {}, 7) == 2);
  CHECK(ask(folder, kRows) == "1 4");
  CHECK(ask(folder, kAttempts) == "2@1.1:1failed0 2@1.12:2failed07 3@1.13:1lost07");
  CHECK(ask(folder, "SELECT reason AS x FROM attempts WHERE job = 3") == "lost: gone");
  CHECK(ask(folder, "SELECT stdout AS x FROM attempts WHERE job = 3") == "out of 3");
  CHECK(ask(folder, "SELECT key AS x FROM meta WHERE key LIKE 'ended%'").empty());
  auto log = open_log(folder.path());
  CHECK_FALSE(log->recovered().ended);
  CHECK(log->recovered().finished == 2);
  CHECK(log->recovered().last_seq == 4);  // no number is given twice
  std::vector<std::pair<base::JobId, std::uint64_t>> retried;
  REQUIRE(log->for_each_retried([&](base::JobId job, std::uint64_t least) { retried.emplace_back(job, least); }));
  CHECK(retried == std::vector<std::pair<base::JobId, std::uint64_t>>{{2, 7}, {3, 7}});
  std::vector<std::string> ended;
  REQUIRE(log->for_each_ended([&](Attempt attempt, Outcome, bool counted, bool) { ended.push_back(attempt.text() + (counted ? "!" : "")); }));
  CHECK(ended == std::vector<std::string>{"2@1.1", "2@1.12", "3@1.13"});
}

TEST_CASE("a retry chooses the lost ones, or those named", "[retry]") {
  TemporaryFolder folder;
  given_run(folder);
  CHECK(*ResultLog::retry(folder.path(), {RetryChoice::Which::Lost, {}}, 7) == 1);
  CHECK(ask(folder, kRows) == "1 2 4");
  CHECK(*ResultLog::retry(folder.path(), {RetryChoice::Which::Named, {4, 1, 4}}, 8) == 2);
  CHECK(ask(folder, kRows) == "2");
}

TEST_CASE("a retry with nothing to do, or of a job that is not finished, changes nothing", "[retry]") {
  TemporaryFolder folder;
  given_run(folder);
  const auto wrong = ResultLog::retry(folder.path(), {RetryChoice::Which::Named, {2, 9}}, 7);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind == base::Error::Kind::NotFound);
  CHECK(ask(folder, kRows) == "1 2 3 4");
  CHECK(ask(folder, "SELECT value AS x FROM meta WHERE key = 'ended_status'") == "2");
  CHECK(*ResultLog::retry(folder.path(), {RetryChoice::Which::Named, {2}}, 7) == 1);
  CHECK(*ResultLog::retry(folder.path(), {RetryChoice::Which::Lost, {}}, 8) == 1);
  CHECK(*ResultLog::retry(folder.path(), {}, 9) == 0);
}

TEST_CASE("a retried job that was superseded before counts each attempt once", "[retry]") {
  TemporaryFolder folder;
  given_run(folder);
  {
    auto log = open_log(folder.path());
    sink::Row late = failed(2, Outcome::Superseded);
    late.result.attempt = {2, 1, 20};
    late.ordinal = 0;
    log->end_attempt(std::move(late), false, false);
    commit(*log);
  }
  REQUIRE(ResultLog::retry(folder.path(), {}, 7));
  auto log = open_log(folder.path());
  int ended = 0;
  REQUIRE(log->for_each_ended([&](Attempt attempt, Outcome, bool, bool) { ended += attempt.job == 2; }));
  CHECK(ended == 2);
}

TEST_CASE("emission in the order of the jobs goes back to the first retried one, and what is out is known by its seq", "[retry]") {
  TemporaryFolder folder;
  const std::uint64_t mark = GENERATE(4u, 3u, 1u);
  given_run(folder, {sink::Order::Job, mark});
  REQUIRE(ResultLog::retry(folder.path(), {RetryChoice::Which::Named, {2}}, 7));
  CHECK(ask(folder, "SELECT value AS x FROM meta WHERE key = 'emitted'") == "1");
  // Row 3 has seq 3, row 4 has seq 4: up to the first that is not out.
  CHECK(ask(folder, "SELECT value AS x FROM meta WHERE key = 'emitted_seq'") == (mark == 4 ? "4" : mark == 3 ? "3" : "2"));
  auto log = open_log(folder.path());
  CHECK(log->finish(ok_row(2)) == 5);
}

TEST_CASE("files of retried attempts are still known", "[retry]") {
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    sink::Row row = failed(1);
    row.result.out.clear();
    row.out_file = "outputs/1.1.1.out";
    log->finish(std::move(row));
    commit(*log);
  }
  REQUIRE(ResultLog::retry(folder.path(), {}, 7));
  CHECK(open_log(folder.path())->files()->contains("outputs/1.1.1.out"));
}

TEST_CASE("settled failures stay in the log and count no more", "[retry]") {
  TemporaryFolder folder;
  given_run(folder);
  CHECK(ResultLog::failures(folder.path(), true)->size() == 0);
  CHECK(ResultLog::failures(folder.path(), false)->size() == 2);
  REQUIRE(ResultLog::settle(folder.path()));
  CHECK(ask(folder, kRows) == "1 2 3 4");
  const auto peek = ResultLog::peek(folder.path());
  REQUIRE(peek);
  CHECK((peek->finished == 4 && peek->failed == 0 && !peek->ended));
  CHECK(ResultLog::failures(folder.path(), true)->size() == 2);
  CHECK(*ResultLog::retry(folder.path(), {}, 7) == 0);
  CHECK(*ResultLog::retry(folder.path(), {RetryChoice::Which::Lost, {}}, 7) == 0);
}

TEST_CASE("the numbers of settled rows are not given again when a retry has taken the rows", "[retry]") {
  TemporaryFolder folder;
  given_run(folder);
  REQUIRE(ResultLog::settle(folder.path()));
  CHECK(*ResultLog::retry(folder.path(), {RetryChoice::Which::Named, {4, 3}}, 7) == 2);
  REQUIRE(ResultLog::settle(folder.path()));  // nor does it forget what it has covered
  auto log = open_log(folder.path());
  CHECK(log->recovered().settled_seq == 4);
  CHECK(log->finish(failed(3)) == 5);
  commit(*log);
  CHECK(ResultLog::peek(folder.path())->failed == 1);
}
