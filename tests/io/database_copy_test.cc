#include "io/database_copy.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <stop_token>
#include <thread>

#include "io/database.h"
#include "tests/io/support.h"

using base::Error;
using io::Database;
using io::DatabaseCopy;
using io::Durability;

namespace {

constexpr const char* kSchema = "CREATE TABLE rows(n INTEGER PRIMARY KEY, filler BLOB); CREATE TABLE count(n INTEGER); INSERT INTO count VALUES(0)";

std::int64_t ask(Database& database, const std::string& sql) {
  auto statement = database.prepare(sql);
  REQUIRE(statement);
  const auto row = statement->step();
  if (!row) FAIL(row.error().message);
  REQUIRE(*row);
  return statement->integer(0);
}

// One row more, and the count of them, in one transaction.
base::Status add_row(Database& database) {
  auto done = database.execute("BEGIN IMMEDIATE");
  if (done) done = database.execute("INSERT INTO rows(filler) VALUES(zeroblob(6000))");
  if (done) done = database.execute("UPDATE count SET n = n + 1");
  if (done) done = database.execute("DELETE FROM rows WHERE n = (SELECT max(n) FROM rows) - 500");
  return done ? database.execute("COMMIT") : done;
}

}  // namespace

TEST_CASE("a copy of a database that is being written is as it was at one moment", "[database_copy]") {
  test::TemporaryDirectory directory;
  const test::Variable place("TMPDIR", directory / "");
  auto database = Database::open(directory / "a.db", 1, kSchema, Durability::Process, true);
  REQUIRE(database);
  REQUIRE(database->execute("PRAGMA wal_autocheckpoint=300"));  // so that the log often begins anew
  std::atomic<bool> is_fine{true};
  std::jthread writer([&](std::stop_token stop) {
    while (!stop.stop_requested() && is_fine) is_fine = bool(add_row(*database));
  });
  std::int64_t last = 0;
  int copies = 0;
  for (int i = 0; i < 200; ++i) {
    auto copy = DatabaseCopy::make(directory.path(), "a.db");
    if (!copy) {
      CHECK(copy.error().kind == Error::Kind::Busy);
      continue;
    }
    ++copies;
    auto read = [&] {
      const DatabaseCopy gone = std::move(*copy);
      return Database::open_read_only(gone.path(), 1);
    }();
    if (!read) FAIL(read.error().message);
    CHECK(ask(*read, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0);
    const std::int64_t now = ask(*read, "SELECT n FROM count");
    CHECK(ask(*read, "SELECT coalesce(max(n), 0) FROM rows") == now);
    CHECK(now >= last);
    last = now;
  }
  writer.request_stop();
  writer.join();
  CHECK(is_fine);
  CHECK(copies > 0);
  CHECK(last > 0);
  const auto copy = DatabaseCopy::make(directory.path(), "a.db");  // and of one that rests all is there
  REQUIRE(copy);
  auto read = Database::open_read_only(copy->path(), 1);
  REQUIRE(read);
  CHECK(ask(*read, "SELECT n FROM count") == ask(*database, "SELECT n FROM count"));
}

TEST_CASE("a copy is private, and goes with who made it", "[database_copy]") {
  test::TemporaryDirectory directory;
  const test::Variable place("TMPDIR", directory / "");
  std::string path;
  {
    const auto copy = DatabaseCopy::make(directory.path(), "a.db");
    REQUIRE(copy);
    path = std::filesystem::path(copy->path()).parent_path();
    CHECK(test::mode_of(path) == 0700);
    CHECK_FALSE(std::filesystem::exists(copy->path()));  // there is nothing to copy
  }
  CHECK_FALSE(std::filesystem::exists(path));
  const test::Variable nowhere("TMPDIR", directory / "nowhere");
  CHECK(DatabaseCopy::make(directory.path(), "a.db").error().kind == Error::Kind::Io);
}
