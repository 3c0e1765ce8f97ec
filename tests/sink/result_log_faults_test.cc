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
  std::function<void(ResultLog&)> before = [](ResultLog&) {};  // what the batch finds
};

// What a user does to a log that nobody has open.
struct Request {
  const char* name;
  std::function<base::Status(const std::string& folder)> make;
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
    {"halt", [](ResultLog& log) { log.halt({{2, wire::HaltRule::When::Now, 5}, true, 7, 3}); }, 0, 1},
    {"a halt and the job that makes it due", [](ResultLog& log) { log.finish(ok_row(3)), log.halt({{1, wire::HaltRule::When::Soon, 1}, false, 0, 0}); }, 1, 1},
    {"take_back_end", [](ResultLog& log) { log.take_back_end(); }, 0, 1, [](ResultLog& log) { log.ended({3, 4, 5, true}); }},
    {"take_back_end, and another end", [](ResultLog& log) { log.take_back_end(), log.ended({0, 6, 0, false}); }, 0, 1,
     [](ResultLog& log) { log.ended({3, 4, 5, true}); }},
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
          batch.before(*log);
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

TEST_CASE("whatever fails while a user has jobs retried, or settles what failed, it is done wholly or not at all, and is when it is asked for again", "[result_log]") {
  using Which = sink::RetryChoice::Which;
  const auto retry = [](Which which, std::vector<base::JobId> jobs) {
    return [=](const std::string& folder) -> base::Status {
      auto number = ResultLog::retry(folder, {which, jobs}, 5);
      if (!number) return number.error();
      CHECK(*number == 2);
      return base::ok();
    };
  };
  const std::vector<Request> requests = {
      {"retry of what is not ok", retry(Which::NotOk, {})},
      {"retry of two by name", retry(Which::Named, {1, 3})},
      {"settle", [](const std::string& folder) { return ResultLog::settle(folder); }},
  };
  for (const Request& request : requests) {
    INFO(request.name);
    test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
      TemporaryFolder folder, crashed;
      {
        auto log = opened(folder.path());
        for (const base::JobId job : {1, 2, 3, 4}) {
          Row row = ok_row(job, std::string(9'000, 'x'));
          if (job > 2) row.result.outcome = Outcome::Failed;
          log->finish(std::move(row));
        }
        log->end_attempt(lost(4, 1), true, false);
        log->ended({2, 4, 2, false});
        commit(*log);
      }
      const std::string before = state(folder.path());
      disk.arm(fault);
      const auto done = request.make(folder.path());
      disk.heal();
      test::copy_as_after_a_crash(folder / ResultLog::kFile, crashed / ResultLog::kFile);
      const std::string now = state(folder.path()), left = state(crashed.path());
      if (!done) {
        test::check_kind(done.error(), fault, disk);
        if (now == before) {  // else it is there, and only could not be synced
          const auto again = request.make(folder.path());
          if (!again) FAIL(again.error().message);
        }
      }
      const std::string after = state(folder.path());
      CHECK(after != before);
      CHECK((now == (done ? after : before) || (disk.first() == "sync" && now == after)));
      CHECK(left == now);
    });
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
