#include "sink/result_log.h"

#include <map>
#include <thread>
#include <vector>

#include "output_support.h"

using base::Attempt;
using base::Outcome;
using sink::Finished;
using sink::ResultLog;
using sink::Row;

namespace {

Row ended(Attempt attempt, Outcome outcome, const std::string& reason = "") {
  Row row = ok_row(attempt.job);
  row.result.attempt = attempt;
  row.result.outcome = outcome;
  row.result.reason = reason;
  return row;
}

// The rows of a query in the stored file, columns joined by '|'.
std::vector<std::string> query(const TemporaryFolder& folder, const std::string& sql) {
  auto database = io::Database::open_read_only(folder / ResultLog::kFile, 1);
  REQUIRE(database);
  auto statement = database->prepare(sql);
  if (!statement) FAIL(statement.error().message);
  std::vector<std::string> rows;
  while (*statement->step()) rows.emplace_back(statement->text(0));
  return rows;
}

const std::string kAttempts = "SELECT job || '@' || epoch || '.' || n || ' ' || outcome || ' ' || counted FROM attempts ORDER BY job, epoch, n";

std::vector<base::JobId> finished_jobs(ResultLog& log) {
  std::vector<base::JobId> jobs;
  REQUIRE(log.for_each_finished([&](const Finished& finished) { jobs.push_back(finished.job); }));
  return jobs;
}

}  // namespace

TEST_CASE("a terminal row keeps every column", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Row row = ok_row(17, std::string("out\0\xff\n", 6), "err\n");
  row.result.attempt = {17, 2, 5};
  row.result.outcome = Outcome::Failed;
  row.result.exit_code = 3;
  row.result.signal = 9;
  row.result.slot = 4;
  row.result.started_at = 1795301505117000;
  row.result.finished_at = 1795301506117001;
  row.result.runtime_us = 1000001;
  row.result.user_us = 7;
  row.result.system_us = 8;
  row.result.max_rss_kb = 9;
  row.result.command = "echo 'a\nb'";
  row.result.reason = "its output was too large";
  row.ordinal = 3;
  const Row given = row;
  CHECK(log->finish(std::move(row)) == 1);
  commit(*log);

  const auto read = log->row(17);
  REQUIRE(read);
  CHECK(read->result == given.result);
  CHECK(read->worker == given.worker);
  CHECK(read->host == "here");
  CHECK(read->ordinal == 3);
  CHECK(query(folder, "SELECT concat FROM (SELECT job || '|' || seq || '|' || attempt || '|' || epoch || '|' || n || '|' || outcome || '|' || exit_code"
                      " || '|' || signal || '|' || worker || '|' || host || '|' || slot || '|' || started_at || '|' || finished_at || '|' || runtime_us"
                      " || '|' || user_us || '|' || system_us || '|' || max_rss_kb || '|' || stdout_bytes || '|' || stderr_bytes || '|' || reason AS"
                      " concat FROM results WHERE stdout_file IS NULL AND stderr_file IS NULL)") ==
        std::vector<std::string>{"17|1|3|2|5|failed|3|9|ab000000000000000000000000000000|here|4|1795301505117000|1795301506117001|1000001|7|8|9|6|4|"
                                 "its output was too large"});
  CHECK(query(folder, "SELECT typeof(stdout) || hex(stdout) || ' ' || hex(stderr) FROM results") == std::vector<std::string>{"blob6F757400FF0A 6572720A"});
}

TEST_CASE("a job that has no row is not found", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  const auto row = log->row(1);
  REQUIRE_FALSE(row);
  CHECK(row.error().kind == base::Error::Kind::NotFound);
}

TEST_CASE("a crash loses exactly the rows that were not committed", "[result_log]") {
  TemporaryFolder folder, crashed;
  auto log = open_log(folder.path());
  log->finish(ok_row(2));
  log->finish(ok_row(1));
  commit(*log);
  log->finish(ok_row(3));
  copy_as_after_a_crash(folder, crashed);
  auto recovered = open_log(crashed.path());
  CHECK(finished_jobs(*recovered) == std::vector<base::JobId>{1, 2});
  CHECK(recovered->recovered().finished == 2);
  CHECK(recovered->finish(ok_row(4)) == 3);  // the number of the lost row is free
}

TEST_CASE("finished jobs are told in job order with their number, failure and silence", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  log->finish(ok_row(20'000, "x"));
  Row failed = ok_row(3);
  failed.result.outcome = Outcome::Failed;
  log->finish(failed);
  failed.result.attempt.job = 4;
  failed.result.outcome = Outcome::Timeout;  // there is something to say of it
  log->finish(failed);
  for (base::JobId job = 5; job < 20'000; ++job) log->finish(ok_row(job, "", "e"));
  commit(*log);
  std::vector<Finished> all;
  REQUIRE(log->for_each_finished([&](const Finished& finished) { all.push_back(finished); }));
  REQUIRE(all.size() == 19'998);
  CHECK((all[0].job == 3 && all[0].seq == 2 && all[0].failed && all[0].silent));
  CHECK((all[1].job == 4 && all[1].seq == 3 && all[1].failed && !all[1].silent));
  CHECK((all.back().job == 20'000 && all.back().seq == 1));
  std::size_t above = 0;
  REQUIRE(log->for_each_finished([&](const Finished&) { ++above; }, 19'990));
  CHECK(above == 10);
  const auto between = log->finished_between(0, 2);
  REQUIRE(between);
  REQUIRE(between->size() == 2);
  CHECK((between->at(0).job == 20'000 && between->at(1).job == 3));
}

TEST_CASE("the sink epoch rises with every start, also after a crash", "[result_log]") {
  TemporaryFolder folder, crashed;
  auto log = open_log(folder.path());
  CHECK(log->recovered().epoch == 1);
  copy_as_after_a_crash(folder, crashed);
  CHECK(open_log(crashed.path())->recovered().epoch == 2);
  log.reset();
  CHECK(open_log(folder.path())->recovered().epoch == 2);
  CHECK(open_log(folder.path())->recovered().epoch == 3);
}

TEST_CASE("a new log knows no run, policy, emission or end", "[result_log]") {
  TemporaryFolder folder;
  const auto log = open_log(folder.path());
  const sink::Recovered& recovered = log->recovered();
  CHECK(recovered.run.is_zero());
  CHECK_FALSE(recovered.policy);
  CHECK_FALSE(recovered.emitted);
  CHECK_FALSE(recovered.ended);
  CHECK_FALSE(recovered.joblog);
  CHECK(recovered.last_seq == 0);
}

TEST_CASE("marks come back as they were committed last", "[result_log]") {
  TemporaryFolder folder;
  base::RunId run;
  run.bytes[15] = 0x5c;
  const wire::Policy policy{0, 7, base::Duration(1), base::Duration(2)};
  {
    auto log = open_log(folder.path());
    log->run(run);
    log->policy({});
    log->policy(policy);
    log->emitted({sink::Order::Job, 5});
    log->joblog({60, 1, 2});
    commit(*log);
    log->emitted({sink::Order::Job, 6});
    log->ended({101, 1000, 200, true});
    commit(*log);
    log->emitted({sink::Order::Job, 7});  // not committed
  }
  const auto log = open_log(folder.path());
  CHECK(log->recovered().run == run);
  CHECK(log->recovered().policy == policy);
  CHECK(log->recovered().emitted == sink::Emitted{sink::Order::Job, 6});
  CHECK(log->recovered().joblog == sink::JoblogMark{60, 1, 2});
  CHECK(log->recovered().ended == sink::Ended{101, 1000, 200, true});
}

TEST_CASE("an end that is taken back is gone, and may come again in the same batch", "[result_log]") {
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    log->ended({104, 2, 0, true});
    commit(*log);
    log->take_back_end();
    CHECK(log->has_batch());
    commit(*log);
  }
  {
    auto log = open_log(folder.path());
    CHECK_FALSE(log->recovered().ended);
    log->ended({104, 2, 0, true});
    log->take_back_end();
    log->ended({0, 2, 0, false});
    commit(*log);
  }
  CHECK(open_log(folder.path())->recovered().ended == sink::Ended{0, 2, 0, false});
}

TEST_CASE("numbers that a mark covers are not given again", "[result_log]") {
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    log->finish(ok_row(1));
    log->emitted({sink::Order::Completion, 9});
    commit(*log);
  }
  CHECK(open_log(folder.path())->finish(ok_row(2)) == 10);
}

TEST_CASE("an ended attempt is logged once, however often it is told", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  log->end_attempt(ended({1, 1, 1}, Outcome::Lost, "no word for 10 s"), true, false);
  log->end_attempt(ended({1, 1, 1}, Outcome::Failed), true, false);
  commit(*log);
  log->end_attempt(ended({1, 1, 1}, Outcome::Returned), false, false);
  log->end_attempt(ended({1, 2, 1}, Outcome::Returned), false, false);
  commit(*log);
  CHECK(query(folder, kAttempts) == std::vector<std::string>{"1@1.1 lost 1", "1@2.1 returned 0"});
  CHECK(query(folder, "SELECT reason FROM attempts ORDER BY epoch") == std::vector<std::string>{"lost: no word for 10 s", "returned"});
}

TEST_CASE("a repeated success of the winning attempt is not logged, one of another attempt is", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  log->finish(ok_row(1));
  log->end_attempt(ended({1, 1, 1}, Outcome::Superseded), false, false);  // in the same batch
  commit(*log);
  log->end_attempt(ended({1, 1, 1}, Outcome::Superseded), false, false);
  log->end_attempt(ended({1, 1, 2}, Outcome::Superseded), false, false);
  commit(*log);
  CHECK(query(folder, kAttempts) == std::vector<std::string>{"1@1.2 superseded 0"});
}

TEST_CASE("an attempt that brings the result after all is no longer among the others", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  log->end_attempt(ended({1, 1, 1}, Outcome::Lost), true, false);
  log->end_attempt(ended({1, 1, 2}, Outcome::Lost), true, false);
  commit(*log);
  log->finish(ok_row(1));
  commit(*log);
  CHECK(query(folder, kAttempts) == std::vector<std::string>{"1@1.2 lost 1"});
}

TEST_CASE("a loss that is taken back stops counting or goes", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  log->end_attempt(ended({1, 1, 1}, Outcome::Lost), true, false);
  log->end_attempt(ended({2, 1, 1}, Outcome::Lost), true, false);
  log->end_attempt(ended({3, 1, 1}, Outcome::Lost), true, false);
  commit(*log);
  log->take_back({1, 1, 1}, true);
  log->take_back({2, 1, 1}, false);
  log->take_back({9, 9, 9}, false);  // unknown: no effect
  log->take_back({3, 1, 1}, false);
  log->end_attempt(ended({3, 1, 1}, Outcome::Failed), true, false);  // in order: it ended again
  commit(*log);
  CHECK(query(folder, kAttempts) == std::vector<std::string>{"1@1.1 lost 0", "3@1.1 failed 1"});
}

TEST_CASE("the ended attempts of unfinished jobs come back in order", "[result_log]") {
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    log->end_attempt(ended({2, 1, 2}, Outcome::Lost), true, true);
    log->end_attempt(ended({2, 1, 1}, Outcome::Returned), false, false);
    log->end_attempt(ended({1, 1, 1}, Outcome::Failed), true, false);
    log->finish(ok_row(3));
    log->end_attempt(ended({3, 1, 2}, Outcome::Failed), true, false);
    commit(*log);
  }
  auto log = open_log(folder.path());
  std::vector<std::string> told;
  REQUIRE(log->for_each_ended([&](Attempt attempt, Outcome outcome, bool counted, bool alone) {
    told.push_back(attempt.text() + " " + std::string(base::name(outcome)) + (counted ? " counted" : "") + (alone ? " alone" : ""));
  }));
  CHECK(told == std::vector<std::string>{"1@1.1 failed counted", "2@1.1 returned", "2@1.2 lost counted alone"});
}

TEST_CASE("a second terminal row of a job is an error and changes nothing", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  log->finish(ok_row(1, "first"));
  commit(*log);
  log->finish(ok_row(2));
  log->finish(ok_row(1, "second"));
  CHECK_FALSE(log->commit());
  CHECK(log->row(1)->result.out == "first");
  CHECK(finished_jobs(*log) == std::vector<base::JobId>{1});
}

TEST_CASE("committed rows can be taken over for emission", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  log->finish(ok_row(5));
  commit(*log);
  log->finish(ok_row(7, "seven"));
  log->finish(ok_row(6, "six"));
  CHECK(log->has_batch());
  commit(*log);
  CHECK_FALSE(log->has_batch());
  CHECK(log->first_committed_seq() == 2);
  REQUIRE(log->committed_rows().size() == 2);
  CHECK(log->committed_rows()[0].result.out == "seven");
  CHECK(log->committed_rows()[1].result.out == "six");
  commit(*log);  // nothing new
  CHECK(log->committed_rows().empty());
}

TEST_CASE("a full disk keeps the batch, and the next commit writes all of it", "[result_log]") {
  TemporaryFolder folder, crashed;
  auto log = open_log(folder.path());
  log->finish(ok_row(1));
  commit(*log);
  log->finish(ok_row(2, std::string(60'000, 'x')));
  log->end_attempt(ended({3, 1, 1}, Outcome::Lost), true, false);
  log->emitted({sink::Order::Completion, 1});
  {
    const test::FaultyDisk full("write", "", ENOSPC);
    for (int i = 0; i < 3; ++i) {
      const auto refused = log->commit();
      REQUIRE_FALSE(refused);
      CHECK(refused.error().kind == base::Error::Kind::Full);
      CHECK(log->has_batch());
      CHECK(log->committed_rows().empty());
    }
  }
  copy_as_after_a_crash(folder, crashed);
  CHECK(open_log(crashed.path())->recovered().finished == 1);

  CHECK(log->finish(ok_row(4)) == 3);
  commit(*log);
  CHECK(log->committed_rows().size() == 2);
  log.reset();
  log = open_log(folder.path());
  CHECK(finished_jobs(*log) == std::vector<base::JobId>{1, 2, 4});
  CHECK(log->recovered().emitted->mark == 1);
  CHECK(query(folder, kAttempts) == std::vector<std::string>{"3@1.1 lost 1"});
}

TEST_CASE("outputs are read by another thread while commits succeed and are rolled back", "[result_log]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  for (base::JobId job = 1; job <= 2000; ++job) log->finish(ok_row(job, "output of " + std::to_string(job), std::string(5000, 'e')));
  commit(*log);
  std::atomic<bool> done{false};
  std::string wrong;
  std::atomic<std::uint64_t> reads{0};
  std::thread reader([&] {
    while (!done && wrong.empty()) {
      const base::JobId job = 1 + reads++ * 7 % 2000;
      const auto row = log->row(job);
      if (!row) wrong = row.error().message;
      else if (row->result.out != "output of " + std::to_string(job) || row->result.err.size() != 5000) wrong = "job " + std::to_string(job);
      if (reads % 64 != 0) continue;
      const auto between = log->finished_between(0, 2000);
      if (!between) wrong = between.error().message;
      else if (between->size() != 2000) wrong = "a scan of " + std::to_string(between->size()) + " rows";
    }
  });
  base::JobId next = 2001;
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 50; ++i) log->finish(ok_row(next++, std::string(3000, 'o')));
    {
      const test::FaultyDisk full("write", "", ENOSPC);
      CHECK_FALSE(log->commit());
    }
    const auto written = log->commit();
    if (!written) UNSCOPED_INFO(written.error().message);
    CHECK(written);
  }
  CHECK(eventually([&] { return reads > 0; }));
  done = true;
  reader.join();
  CHECK(wrong == "");
}

TEST_CASE("a log of a newer pushmill is refused with a clear message", "[result_log]") {
  TemporaryFolder folder;
  REQUIRE(io::Database::open(folder / ResultLog::kFile, 2, "CREATE TABLE other(x)", io::Durability::Process, false));
  const auto log = ResultLog::open(folder.path(), io::Durability::Process, false);
  REQUIRE_FALSE(log);
  CHECK(log.error().kind == base::Error::Kind::Conflict);
  CHECK_THAT(log.error().message, Catch::Contains("schema version 2") && Catch::Contains("newer pushmill"));
  const auto peek = ResultLog::peek(folder.path());
  REQUIRE_FALSE(peek);
  CHECK(peek.error().kind == base::Error::Kind::Conflict);
}

TEST_CASE("a look from outside tells counts, run and end", "[result_log]") {
  TemporaryFolder folder;
  const auto none = ResultLog::peek(folder.path());
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == base::Error::Kind::NotFound);

  auto log = open_log(folder.path());
  base::RunId run;
  run.bytes[0] = 1;
  log->run(run);
  log->finish(ok_row(1));
  Row failed = ok_row(2);
  failed.result.outcome = Outcome::Failed;
  log->finish(failed);
  commit(*log);
  auto peek = ResultLog::peek(folder.path());
  REQUIRE(peek);
  CHECK(peek->run == run);
  CHECK((peek->finished == 2 && peek->failed == 1 && !peek->ended));

  log->ended({1, 2, 1, false});
  commit(*log);
  peek = ResultLog::peek(folder.path());
  REQUIRE(peek);
  CHECK(peek->ended == sink::Ended{1, 2, 1, false});
  CHECK((peek->finished == 2 && peek->failed == 1));
}

TEST_CASE("an exclusive log works where there is no shared memory", "[result_log]") {
  TemporaryFolder folder;
  auto log = ResultLog::open(folder.path(), io::Durability::Power, true);
  REQUIRE(log);
  (*log)->finish(ok_row(1, "out"));
  commit(**log);
  CHECK((*log)->row(1)->result.out == "out");
  CHECK_FALSE(std::filesystem::exists(folder / "results.db-shm"));
}
