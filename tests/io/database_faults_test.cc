// Each call that changes the disk fails in turn, under a database that is made, written, checkpointed and closed.
#include <catch2/catch.hpp>

#include <filesystem>

#include "io/database.h"
#include "tests/io/support.h"
#include "tests/support/fault_sweep.h"

using base::Error;
using io::Database;
using io::Durability;

namespace {

constexpr const char* kSchema = "CREATE TABLE t (a INTEGER PRIMARY KEY, b)";

base::Result<Database> open_at(const std::string& path, Durability durability) { return Database::open(path, 1, kSchema, durability, false); }

std::int64_t count(Database& database) {
  auto statement = database.prepare("SELECT count(*) FROM t WHERE length(b) = 3000");
  REQUIRE(statement);
  REQUIRE(*statement->step());
  return statement->integer(0);
}

std::int64_t count_at(const std::string& path) {
  auto database = open_at(path, Durability::Process);
  if (!database) FAIL(database.error().message);
  return count(*database);
}

base::Status insert(Database& database, int rows) {
  auto done = database.execute("BEGIN IMMEDIATE");
  for (int i = 0; i < rows && done; ++i) done = database.execute("INSERT INTO t (b) VALUES (zeroblob(3000))");
  if (done) done = database.execute("COMMIT");
  if (!done) (void)database.rollback();
  return done;
}

}  // namespace

TEST_CASE("whatever fails while a database is made, the next start makes or opens it", "[database]") {
  const auto durability = GENERATE(Durability::Process, Durability::Power);
  test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
    test::TemporaryDirectory directory;
    disk.arm(fault);
    {
      auto database = open_at(directory / "a.db", durability);
      if (!database) test::check_kind(database.error(), fault, disk);
      else CHECK(count(*database) == 0);
    }
    disk.heal();
    CHECK(count_at(directory / "a.db") == 0);
  });
}

TEST_CASE("a transaction that fails at any call leaves nothing, and can be made again", "[database]") {
  const auto durability = GENERATE(Durability::Process, Durability::Power);
  test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
    test::TemporaryDirectory directory, crashed;
    auto database = open_at(directory / "a.db", durability);
    REQUIRE(insert(*database, 1));
    disk.arm(fault);
    const auto written = insert(*database, 5);
    disk.heal();
    test::copy_as_after_a_crash(directory / "a.db", crashed / "a.db");
    const auto left = count_at(crashed / "a.db");
    if (written) {
      CHECK(left == 6);
      return;
    }
    test::check_kind(written.error(), fault, disk);
    CHECK_FALSE(database->is_in_transaction());
    CHECK(count(*database) == 1);
    // What could not be synced is there all the same unless the power fails too: then it is the whole of the transaction.
    if (disk.first() == "sync") CHECK((left == 1 || left == 6));
    else CHECK(left == 1);
    REQUIRE(insert(*database, 5));
    CHECK(count(*database) == 6);
    *database = Database();
    CHECK(count_at(directory / "a.db") == 6);
  });
}

TEST_CASE("a checkpoint that fails at any call takes nothing away from what was committed", "[database]") {
  const auto durability = GENERATE(Durability::Process, Durability::Power);
  test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
    test::TemporaryDirectory directory, crashed;
    auto database = open_at(directory / "a.db", durability);
    REQUIRE(insert(*database, 20));
    REQUIRE(database->execute("PRAGMA wal_autocheckpoint=10"));
    disk.arm(fault);
    const auto written = insert(*database, 1);
    disk.heal();
    if (!written) test::check_kind(written.error(), fault, disk);
    const std::int64_t now = written ? 21 : 20;
    CHECK(count(*database) == now);
    test::copy_as_after_a_crash(directory / "a.db", crashed / "a.db");
    const auto left = count_at(crashed / "a.db");
    CHECK((left == now || (!written && disk.first() == "sync" && left == 21)));
    REQUIRE(insert(*database, 10));
    *database = Database();
    CHECK(count_at(directory / "a.db") == now + 10);
  });
}

TEST_CASE("a database that fails while it is closed is found whole", "[database]") {
  test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
    test::TemporaryDirectory directory;
    auto database = open_at(directory / "a.db", Durability::Power);
    REQUIRE(insert(*database, 20));
    disk.arm(fault);
    *database = Database();  // makes a checkpoint
    disk.heal();
    CHECK(count_at(directory / "a.db") == 20);
  });
}

TEST_CASE("a name that the system has no room for is a full disk too", "[database]") {
  test::FaultVfs disk;
  test::TemporaryDirectory directory;
  disk.arm({test::FaultVfs::Kind::Full, 2, false});  // the first is the database itself, which is there; then its log
  auto database = open_at(directory / "a.db", Durability::Process);
  REQUIRE(disk.first() == "open");
  REQUIRE_FALSE(database);
  CHECK(database.error().kind == Error::Kind::Full);
  CHECK_THAT(database.error().message, Catch::Contains("No space left on device"));
}
