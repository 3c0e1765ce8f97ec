// Each call that changes the disk fails in turn under everything that a ResultLog writes.
#include <functional>
#include <string>
#include <vector>

#include "tests/sink/output_support.h"
#include "tests/support/fault_sweep.h"

using base::Outcome;
using io::Durability;
using sink::ResultLog;
using sink::Row;

namespace {

std::unique_ptr<ResultLog> opened(const std::string& folder, Durability durability = Durability::Process) {
  auto log = ResultLog::open(folder, durability, false);
  if (!log) FAIL(log.error().message);
  return std::move(*log);
}

Row lost(base::JobId job, std::uint64_t n) {
  Row row = ok_row(job);
  row.result.attempt.n = n;
  row.result.outcome = Outcome::Lost;
  return row;
}

// All rows and marks of a log that is not open.
std::string state(const std::string& folder) {
  auto database = io::Database::open_read_only(folder + "/" + ResultLog::kFile, 1);
  if (!database) FAIL(database.error().message);
  std::string text;
  for (const char* sql : {"SELECT 'job ' || job || ' ' || seq || ' ' || outcome || ' ' || coalesce(length(stdout), 'freed') FROM results ORDER BY job",
                          "SELECT 'attempt ' || job || '.' || n || ' ' || outcome || ' ' || counted FROM attempts ORDER BY job, n",
                          "SELECT key || ' ' || value FROM meta WHERE key <> 'sink_epoch' ORDER BY key"}) {
    auto statement = database->prepare(sql);
    REQUIRE(statement);
    while (*statement->step()) text += std::string(statement->text(0)) + "\n";
  }
  return text;
}

// Also while it is open: its files as they are now.
std::string state_of_copy(const TemporaryFolder& folder) {
  TemporaryFolder copy;
  test::copy_as_after_a_crash(folder / ResultLog::kFile, copy / ResultLog::kFile);
  return state(copy.path());
}

struct Batch {
  const char* name;
  std::function<void(ResultLog&)> add;
  std::size_t rows;
  int stride;
};

const std::vector<Batch> kBatches = {
    {"finish", [](ResultLog& log) { for (base::JobId job : {3, 4, 5}) log.finish(ok_row(job, std::string(9'000, 'x'))); }, 3, 1},
    {"an attempt that was lost wins", [](ResultLog& log) { log.finish(ok_row(2)); }, 1, 1},
    {"end_attempt", [](ResultLog& log) { log.end_attempt(lost(6, 1), true, false); }, 0, 1},
    {"take_back, counting no more", [](ResultLog& log) { log.take_back({2, 1, 2}, true); }, 0, 1},
    {"take_back, gone", [](ResultLog& log) { log.take_back({2, 1, 2}, false); }, 0, 1},
    {"free_outputs", [](ResultLog& log) { log.free_outputs(1); }, 0, 1},
    {"marks",
     [](ResultLog& log) {
       log.run({{1, 2, 3}});
       log.policy({});
       log.emitted({sink::Order::Job, 1});
       log.joblog({100, 1, 1});
       log.ended({3, 4, 5, true});
     },
     0, 1},
    {"all of it",
     [](ResultLog& log) {
       log.finish(ok_row(2));
       log.end_attempt(lost(6, 1), true, false);
       log.free_outputs(1);
       log.emitted({sink::Order::Completion, 1});
     },
     1, 1},
    {"enough for a checkpoint", [](ResultLog& log) { log.finish(ok_row(3, std::string(5'000'000, 'x'))); }, 1, 397},
};

}  // namespace

TEST_CASE("whatever fails in a commit, the log has the batch wholly or not at all, and the next commit takes it once", "[result_log]") {
  const auto durability = GENERATE(Durability::Process, Durability::Power);
  for (const Batch& batch : kBatches) {
    INFO(batch.name);
    test::sweep(
        [&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
          TemporaryFolder folder;
          auto log = opened(folder.path(), durability);
          log->finish(ok_row(1, std::string(9'000, 'x')));
          log->end_attempt(lost(2, 2), true, false);
          commit(*log);
          const std::string before = state_of_copy(folder);
          batch.add(*log);
          disk.arm(fault);
          const auto done = log->commit();
          disk.heal();
          const std::string left = state_of_copy(folder);
          CHECK(log->has_batch() == !done);
          CHECK(log->committed_rows().size() == (done ? batch.rows : 0));
          if (!done) {
            test::check_kind(done.error(), fault, disk);
            commit(*log);
            CHECK(log->committed_rows().size() == batch.rows);
          }
          const std::string after = state_of_copy(folder);
          CHECK(after != before);
          // What could not be synced may be there all the same, and then is whole; it is confirmed no sooner.
          CHECK((left == (done ? after : before) || (disk.first() == "sync" && left == after)));
          log.reset();
          CHECK(state(folder.path()) == after);
        },
        batch.stride);
  }
}

TEST_CASE("whatever fails while a log is opened, the next start finds its rows and a higher epoch", "[result_log]") {
  const bool is_new = GENERATE(true, false);
  test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
    TemporaryFolder folder;
    if (!is_new) {
      auto log = opened(folder.path());
      log->finish(ok_row(1));
      commit(*log);
    }
    disk.arm(fault);
    std::uint64_t epoch = 0;
    {
      const auto log = ResultLog::open(folder.path(), Durability::Power, false);
      if (!log) test::check_kind(log.error(), fault, disk);
      else epoch = (*log)->recovered().epoch;
    }
    disk.heal();
    const auto log = opened(folder.path());
    CHECK(log->recovered().epoch > epoch);
    CHECK(log->recovered().finished == (is_new ? 0 : 1));
  });
}
