#include "pushmill/run_reader.h"

#include <dlfcn.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include <fstream>

#include "io/run_directory.h"
#include "tests/sink/output_support.h"

using pushmill::RunReader;

namespace {
bool is_on_nfs = false;
}

// The test program's own comes before that of libc.
extern "C" int statfs(const char* path, struct statfs* status) noexcept {
  static const auto real = reinterpret_cast<int (*)(const char*, struct statfs*)>(dlsym(RTLD_NEXT, "statfs"));
  const int result = real(path, status);
  if (is_on_nfs) status->f_type = NFS_SUPER_MAGIC;
  return result;
}

namespace {

// Three jobs accepted, one finished.
void given_run(const TemporaryFolder& folder) {
  auto spool = ventilator::Spool::open(folder.path(), io::Durability::Process, false);
  REQUIRE(spool);
  REQUIRE(spool->append(std::vector<std::string>{"a", "b", "c"}));
  auto log = open_log(folder.path());
  log->finish(ok_row(1));
  commit(*log);
}

std::int64_t rows_in(base::Result<std::optional<io::Database>> database, const std::string& table) {
  REQUIRE(database);
  REQUIRE(*database);
  auto count = (*database)->prepare("SELECT count(*) FROM " + table);
  REQUIRE(count);
  REQUIRE(*count->step());
  return count->integer(0);
}

void say(const TemporaryFolder& folder, const std::string& status) { std::ofstream(folder / io::kStatusFile) << status; }

}  // namespace

TEST_CASE("a run is interrupted, live while its sink or ventilator is there, and ended by either's mark", "[run_reader]") {
  TemporaryFolder folder;
  given_run(folder);
  auto run = RunReader::open(folder.path());
  REQUIRE(run);
  CHECK(run->state() == RunReader::State::Interrupted);
  CHECK(run->counts()->finished == 1);
  CHECK(run->counts()->accepted == 3);
  for (const char* name : {io::Lock::kSink, io::Lock::kVentilator}) {
    const auto lock = io::Lock::take(folder.path(), name, "test");
    run = RunReader::open(folder.path());
    CHECK(run->state() == RunReader::State::Live);
    CHECK_THAT(run->holder(), Catch::EndsWith("test"));
  }
  {
    auto log = open_log(folder.path());
    log->ended({3, 3, 3, false});
    commit(*log);
  }
  run = RunReader::open(folder.path());
  CHECK(run->state() == RunReader::State::Ended);
  CHECK(run->exit_status() == 3);
}

TEST_CASE("of a live run on a network file system its sink tells, and a copy of its databases", "[run_reader]") {
  TemporaryFolder folder;
  given_run(folder);
  say(folder, R"({"version":1,"finished":2,"failed":1,"total":9})");
  is_on_nfs = true;
  {
    const auto lock = io::Lock::take(folder.path(), io::Lock::kSink, "sink");
    const auto run = RunReader::open(folder.path());
    REQUIRE(run);
    CHECK_FALSE(run->has_databases());
    CHECK(rows_in(run->results(), "results") == 1);
    CHECK(rows_in(run->jobs(), "jobs") == 3);
    const auto counts = run->counts();
    REQUIRE(counts);
    CHECK((counts->finished == 2 && counts->failed == 1 && counts->accepted == 9 && counts->is_total));
  }
  const auto run = RunReader::open(folder.path());
  is_on_nfs = false;
  REQUIRE(run);
  CHECK(run->has_databases());
  CHECK(run->status().is_null());  // nobody says so any more
  CHECK(run->counts()->finished == 1);
}

TEST_CASE("on a network file system a holder elsewhere is live until it is said to be dead, one here whatever is said", "[run_reader]") {
  TemporaryFolder folder;
  given_run(folder);
  const auto lock_of = [&](const char* name) { return std::ofstream(folder / name); };
  lock_of(io::Lock::kSink) << "7 elsewhere sink\n1 b\n";
  lock_of(io::Lock::kVentilator) << "8 elsewhere ventilator\n1 b\n";
  CHECK(RunReader::open(folder.path())->state() == RunReader::State::Interrupted);  // on a local one the kernel's word is all
  is_on_nfs = true;
  const auto live = RunReader::open(folder.path()), taken = RunReader::open(folder.path(), io::TakeOver::Yes);
  const auto here = [&] {
    lock_of(io::Lock::kVentilator);
    const auto lock = io::Lock::take(folder.path(), io::Lock::kVentilator, "ventilator");
    return RunReader::open(folder.path(), io::TakeOver::Yes);
  }();
  is_on_nfs = false;

  REQUIRE(live);
  CHECK(live->state() == RunReader::State::Live);
  CHECK(live->is_held_elsewhere());
  CHECK_FALSE(live->has_databases());
  CHECK_THAT(live->advice(), Catch::EndsWith(" ago: if that host is dead, go on with --take-over"));
  CHECK(rows_in(live->results(), "results") == 1);

  REQUIRE(taken);
  CHECK(taken->state() == RunReader::State::Interrupted);
  CHECK(taken->has_databases());
  CHECK_FALSE(taken->is_held_elsewhere());
  CHECK(taken->counts()->finished == 1);

  REQUIRE(here);
  CHECK(here->state() == RunReader::State::Live);
  CHECK_FALSE(here->has_sink());
  CHECK_FALSE(here->has_databases());
  CHECK_FALSE(here->is_held_elsewhere());
}

TEST_CASE("whatever stands in status.json is no reason to fail", "[run_reader]") {
  TemporaryFolder folder;
  given_run(folder);
  const auto lock = io::Lock::take(folder.path(), io::Lock::kSink, "sink");
  for (const char* text : {"", "{", "[]", "7", R"({"version":2,"finished":5})", R"({"version":"1"})"}) {
    say(folder, text);
    const auto run = RunReader::open(folder.path());
    REQUIRE(run);
    CHECK(run->status().is_null());
    CHECK(run->counts()->finished == 1);
  }
  say(folder, R"({"version":1,"finished":"many","failed":[],"total":{},"workers":3,"jobs":null})");
  const auto run = RunReader::open(folder.path());
  REQUIRE(run);
  CHECK(run->counts()->finished == 0);
  CHECK(pushmill::text_in(run->status(), "finished") == "many");
  CHECK_FALSE(pushmill::flag_in(run->status(), "failed"));
}
