// Each call that changes the disk fails in turn under everything that a Spool writes.
#include <catch2/catch.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/io/support.h"
#include "tests/support/fault_sweep.h"
#include "ventilator/spool.h"

using io::Durability;
using ventilator::Spool;

namespace {

constexpr base::JobId kBefore = 10;  // jobs that are there already

std::vector<std::string> specs(base::JobId first, std::size_t count) {
  std::vector<std::string> specs;
  for (std::size_t i = 0; i < count; ++i) specs.push_back("spec " + std::to_string(first + i) + std::string(1000, '.'));
  return specs;
}

std::optional<Spool> opened(const std::string& directory, Durability durability = Durability::Process) {
  auto spool = Spool::open(directory, durability, false);
  if (!spool) FAIL(spool.error().message);
  return std::move(*spool);
}

// The dispatches on the disk, seen from beside an open spool: it makes none itself.
std::string dispatched(const std::string& directory) {
  auto database = io::Database::open_read_only(directory + "/jobs.db", Spool::kSchemaVersion);
  if (!database) FAIL(database.error().message);
  auto table = database->prepare("SELECT 1 FROM sqlite_master WHERE name = 'dispatched'");
  REQUIRE(table);
  if (!*table->step()) return "none";
  auto rows = database->prepare("SELECT job || ':' || epoch || '.' || n || ' ' || hex(worker) FROM dispatched ORDER BY job");
  REQUIRE(rows);
  std::string text = "those";
  while (*rows->step()) text += " " + std::string(rows->text(0));
  return text;
}

// What is there to be lost or doubled.
std::string state(Spool& spool, const std::string& directory) {
  const Spool::Summary& now = spool.summary();
  std::string text = "jobs " + std::to_string(now.accepted) + " horizon " + std::to_string(now.horizon);
  for (base::JobId job = 1; job <= now.accepted; ++job)
    if (const auto spec = spool.spec(job); !spec || *spec != specs(job, 1)[0]) text += " without " + std::to_string(job);
  text += now.end_of_input ? now.cut ? " cut: " + now.cut_reason : " end" : "";
  if (now.ended) text += " ended " + std::to_string(*now.ended);
  text += " halts over " + std::to_string(now.halts_over) + " accepted before " + std::to_string(now.accepted_before);
  text += " keeps " + std::to_string(now.keeps_dispatches) + " dispatched " + dispatched(directory);
  return text + " template " + now.template_text.value_or("none") + " input " + now.input_text + " origin " + now.origin;
}

std::string state_in(const std::string& directory) {
  auto spool = opened(directory);
  return state(*spool, directory);
}

struct Change {
  const char* name;
  std::function<base::Status(Spool&)> make;
  std::function<base::Status(Spool&)> before = [](Spool&) { return base::ok(); };  // what it finds
};

// A change of a run whose spool nobody has open.
struct ChangeOfRun {
  const char* name;
  std::function<base::Status(const std::string& directory)> make;
};

base::Status end_cut(Spool& spool) {
  auto done = spool.commit_end_of_input(true, "no more");
  return done ? spool.commit_ended(3) : done;
}

std::vector<ventilator::Dispatch> dispatches(std::uint64_t n, std::uint8_t worker) {
  std::vector<ventilator::Dispatch> list;
  for (base::JobId job = 1; job <= 5; ++job) list.push_back({{job, 1, n + job}, base::WorkerId{{worker}}});
  return list;
}

}  // namespace

TEST_CASE("whatever fails while a spool is changed, it has the change wholly or not at all, and takes it when it is made again", "[spool]") {
  const std::vector<Change> changes = {
      {"append", [](Spool& spool) { return spool.append(specs(kBefore + 1, 20)); }},
      {"raise_horizon", [](Spool& spool) { return spool.raise_horizon(7); }},
      {"commit_end_of_input", [](Spool& spool) { return spool.commit_end_of_input(true, "no more"); }},
      {"commit_ended", [](Spool& spool) { return spool.commit_ended(3); }},
      {"commit_halts_over", [](Spool& spool) { return spool.commit_halts_over(2); }},
      {"describe_run", [](Spool& spool) { return spool.describe_run("template", "input", "origin"); }},
      {"describe_run, of another input", [](Spool& spool) { return spool.describe_run("template", "other", "origin"); },
       [](Spool& spool) { return spool.describe_run("template", "input", "origin"); }},
      {"append, behind a cut", [](Spool& spool) { return spool.append(specs(kBefore + 1, 20)); }, end_cut},
      {"commit_end_of_input, behind a cut", [](Spool& spool) { return spool.commit_end_of_input(false, ""); }, end_cut},
      {"keep_dispatches", [](Spool& spool) { return spool.keep_dispatches(true); }},
      {"keep_dispatches, no more", [](Spool& spool) { return spool.keep_dispatches(false); }, [](Spool& spool) { return spool.keep_dispatches(true); }},
      {"commit_dispatches", [](Spool& spool) { return spool.commit_dispatches(dispatches(0, 7)); }, [](Spool& spool) { return spool.keep_dispatches(true); }},
      {"commit_dispatches, of jobs that have gone out before", [](Spool& spool) { return spool.commit_dispatches(dispatches(5, 8)); },
       [](Spool& spool) {
         auto done = spool.keep_dispatches(true);
         return done ? spool.commit_dispatches(dispatches(0, 7)) : done;
       }},
  };
  const auto durability = GENERATE(Durability::Process, Durability::Power);
  for (const Change& change : changes) {
    INFO(change.name);
    test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
      test::TemporaryDirectory directory, crashed;
      auto spool = opened(directory.path(), durability);
      REQUIRE(spool->append(specs(1, kBefore)));
      REQUIRE(change.before(*spool));
      const std::string before = state(*spool, directory.path());
      disk.arm(fault);
      const auto done = change.make(*spool);
      disk.heal();
      const std::string now = state(*spool, directory.path());
      CHECK((now == before) == !done);
      test::copy_as_after_a_crash(directory / "jobs.db", crashed / "jobs.db");
      if (!done) {
        test::check_kind(done.error(), fault, disk);
        REQUIRE(change.make(*spool));
      }
      const std::string after = state(*spool, directory.path());
      CHECK(after != before);
      spool.reset();
      CHECK(state_in(directory.path()) == after);
      // What could not be synced may be there all the same, and then is whole.
      const std::string left = state_in(crashed.path());
      CHECK((left == now || (disk.first() == "sync" && left == after)));
    });
  }
}

TEST_CASE("whatever fails while a run that has ended is made to go on, it goes on wholly or not at all, and does when that is tried again", "[spool]") {
  const std::vector<ChangeOfRun> changes = {
      {"take_back_end",
       [](const std::string& directory) -> base::Status {
         auto summary = Spool::take_back_end(directory);
         if (!summary) return summary.error();
         CHECK(!summary->ended);
         return base::ok();
       }},
      {"go_on", [](const std::string& directory) { return Spool::go_on(directory, "new template", "new origin"); }},
  };
  for (const ChangeOfRun& change : changes) {
    INFO(change.name);
    test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
      test::TemporaryDirectory directory, crashed;
      {
        auto spool = opened(directory.path());
        REQUIRE(spool->append(specs(1, kBefore)));
        REQUIRE(spool->describe_run("template", "input", "origin"));
        REQUIRE(spool->commit_end_of_input(false, ""));
        REQUIRE(spool->commit_ended(3));
      }
      const std::string before = state_in(directory.path());
      disk.arm(fault);
      const auto done = change.make(directory.path());
      disk.heal();
      test::copy_as_after_a_crash(directory / "jobs.db", crashed / "jobs.db");
      const std::string now = state_in(directory.path()), left = state_in(crashed.path());
      if (!done) {
        test::check_kind(done.error(), fault, disk);
        REQUIRE(change.make(directory.path()));
      }
      const std::string after = state_in(directory.path());
      CHECK(after != before);
      CHECK((now == (done ? after : before) || (disk.first() == "sync" && now == after)));
      CHECK(left == now);
    });
  }
}

TEST_CASE("whatever fails while a spool is opened, the next start finds its jobs and a higher epoch", "[spool]") {
  const bool is_new = GENERATE(true, false);
  test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
    test::TemporaryDirectory directory;
    base::RunId run;
    if (!is_new) {
      auto spool = opened(directory.path());
      REQUIRE(spool->append(specs(1, kBefore)));
      run = spool->summary().run;
    }
    disk.arm(fault);
    std::uint64_t epoch = 0;
    {
      const auto spool = Spool::open(directory.path(), Durability::Power, false);
      if (!spool) test::check_kind(spool.error(), fault, disk);
      else epoch = spool->summary().epoch;
    }
    disk.heal();
    auto spool = opened(directory.path());
    CHECK(spool->summary().epoch > epoch);
    CHECK(spool->summary().accepted == (is_new ? 0 : kBefore));
    if (!is_new) CHECK(spool->summary().run == run);
    REQUIRE(spool->append(specs(spool->summary().accepted + 1, 1)));
    CHECK(state(*spool, directory.path()).find("without") == std::string::npos);
  });
}
