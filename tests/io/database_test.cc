#include "io/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "tests/io/support.h"

using base::Error;
using io::Database;
using io::Durability;

namespace {

constexpr const char* kSchema = "CREATE TABLE t (a INTEGER PRIMARY KEY, b)";

base::Result<Database> open_at(const std::string& path, int version = 1, Durability durability = Durability::Process, bool exclusive = false) {
  return Database::open(path, version, kSchema, durability, exclusive);
}

std::int64_t ask(Database& database, const char* sql) {
  auto statement = database.prepare(sql);
  REQUIRE(statement);
  auto row = statement->step();
  REQUIRE(row);
  REQUIRE(*row);
  return statement->integer(0);
}

base::Status insert(Database& database, std::string_view value) {
  auto statement = database.prepare("INSERT INTO t (b) VALUES (?)");
  if (!statement) return statement.error();
  return statement->bind_blob(1, value).run();
}

}  // namespace

TEST_CASE("a new database has its schema, version and durability", "[database]") {
  test::TemporaryDirectory directory;
  const auto durability = GENERATE(Durability::Process, Durability::Power);
  auto database = open_at(directory / "a.db", 3, durability);
  REQUIRE(database);
  CHECK(ask(*database, "PRAGMA user_version") == 3);
  CHECK(ask(*database, "PRAGMA synchronous") == (durability == Durability::Power ? 2 : 1));
  CHECK(ask(*database, "SELECT count(*) FROM t") == 0);
}

TEST_CASE("what was committed is there when the database is opened again", "[database]") {
  test::TemporaryDirectory directory;
  const auto exclusive = GENERATE(false, true);
  {
    auto database = open_at(directory / "a.db", 1, Durability::Process, exclusive);
    REQUIRE(database);
    REQUIRE(insert(*database, "x"));
  }
  auto database = open_at(directory / "a.db", 1, Durability::Process, exclusive);
  REQUIRE(database);
  CHECK(ask(*database, "SELECT count(*) FROM t") == 1);
}

TEST_CASE("what was committed survives the death of the writer", "[database]") {
  test::TemporaryDirectory directory;
  const pid_t child = ::fork();
  if (child == 0) {
    auto database = open_at(directory / "a.db");
    ::_exit(database && insert(*database, "x") ? 0 : 1);  // no destructor: the database is not closed
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(status == 0);
  auto database = open_at(directory / "a.db");
  REQUIRE(database);
  CHECK(ask(*database, "SELECT count(*) FROM t") == 1);
}

TEST_CASE("values come back as they were bound", "[database]") {
  test::TemporaryDirectory directory;
  auto database = open_at(directory / "a.db");
  REQUIRE(database);
  auto statement = database->prepare("SELECT ?, ?, ?, ?, ?");
  REQUIRE(statement);
  const std::string_view blob("a\0b", 3);
  auto row = statement->bind(1, INT64_MIN).bind_text(2, "text").bind_blob(3, blob).bind_null(4).bind_text(5, {}).step();
  REQUIRE(row);
  REQUIRE(*row);
  CHECK(statement->integer(0) == INT64_MIN);
  CHECK(statement->text(1) == "text");
  CHECK(statement->text(2) == blob);
  CHECK(statement->is_null(3));
  CHECK(statement->text(3).empty());
  CHECK_FALSE(statement->is_null(4));
  CHECK(statement->text(4).empty());
}

TEST_CASE("a statement can be run again with other values", "[database]") {
  test::TemporaryDirectory directory;
  auto database = open_at(directory / "a.db");
  auto statement = database->prepare("INSERT INTO t (b) VALUES (?)");
  REQUIRE(statement);
  for (int i = 0; i < 3; ++i) REQUIRE(statement->bind(1, i).run());
  CHECK(ask(*database, "SELECT sum(b) FROM t") == 3);
}

TEST_CASE("a parameter that does not exist is an error of the step", "[database]") {
  test::TemporaryDirectory directory;
  auto database = open_at(directory / "a.db");
  auto statement = database->prepare("INSERT INTO t (b) VALUES (?)");
  CHECK_FALSE(statement->bind(2, 1).step());
  CHECK(statement->bind(1, 1).run());
}

TEST_CASE("database files are private whatever the umask", "[database]") {
  test::TemporaryDirectory directory;
  const test::Umask umask(GENERATE(as<mode_t>(), 0000, 0022, 0077, 0277));
  auto database = open_at(directory / "a.db");
  REQUIRE(database);
  REQUIRE(insert(*database, "x"));
  CHECK(test::mode_of(directory / "a.db") == 0600);
  CHECK(test::mode_of(directory / "a.db-wal") == 0600);
  CHECK(test::mode_of(directory / "a.db-shm") == 0600);
}

TEST_CASE("a database that was open to others is private once opened", "[database]") {
  test::TemporaryDirectory directory;
  REQUIRE(open_at(directory / "a.db"));
  ::chmod((directory / "a.db").c_str(), 0644);
  REQUIRE(open_at(directory / "a.db"));
  CHECK(test::mode_of(directory / "a.db") == 0600);
}

TEST_CASE("a database of another version is refused with one line", "[database]") {
  test::TemporaryDirectory directory;
  REQUIRE(open_at(directory / "a.db", 2));
  const auto version = GENERATE(1, 3);
  auto database = open_at(directory / "a.db", version);
  REQUIRE_FALSE(database);
  CHECK(database.error().kind == Error::Kind::Conflict);
  CHECK_THAT(database.error().message, Catch::Contains(directory / "a.db") && Catch::Contains("version 2"));
  CHECK(database.error().message.find('\n') == std::string::npos);
  auto reader = Database::open_read_only(directory / "a.db", version);
  REQUIRE_FALSE(reader);
  CHECK(reader.error().kind == Error::Kind::Conflict);
}

TEST_CASE("an SQLite database of somebody else is refused", "[database]") {
  test::TemporaryDirectory directory;
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open((directory / "a.db").c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "CREATE TABLE songs (name)", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(other);
  auto database = open_at(directory / "a.db");
  REQUIRE_FALSE(database);
  CHECK(database.error().kind == Error::Kind::Conflict);
}

TEST_CASE("a file that is no database is corrupt", "[database]") {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "a.db") << std::string(5000, 'x');
  auto database = open_at(directory / "a.db");
  REQUIRE_FALSE(database);
  CHECK(database.error().kind == Error::Kind::Corrupt);
  CHECK_THAT(database.error().message, Catch::StartsWith(directory / "a.db"));
}

TEST_CASE("an empty file left by a creation cut short becomes a new database", "[database]") {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "a.db").flush();
  auto reader = Database::open_read_only(directory / "a.db", 1);
  REQUIRE_FALSE(reader);
  CHECK(reader.error().kind == Error::Kind::NotFound);
  auto database = open_at(directory / "a.db");
  REQUIRE(database);
  CHECK(ask(*database, "PRAGMA user_version") == 1);
}

TEST_CASE("a schema that fails leaves a new file behind", "[database]") {
  test::TemporaryDirectory directory;
  REQUIRE_FALSE(Database::open(directory / "a.db", 1, "CREATE TABLE t (a); CREATE TABLE t (a)", Durability::Process, false));
  CHECK(open_at(directory / "a.db"));
}

TEST_CASE("a directory that does not exist is named", "[database]") {
  auto database = open_at("/proc/nonexistent/a.db");
  REQUIRE_FALSE(database);
  CHECK(database.error().kind == Error::Kind::NotFound);
  CHECK_THAT(database.error().message, Catch::StartsWith("/proc/nonexistent/a.db"));
}

TEST_CASE("a reader sees commits of a live writer and cannot write", "[database]") {
  test::TemporaryDirectory directory;
  CHECK(Database::open_read_only(directory / "a.db", 1).error().kind == Error::Kind::NotFound);
  auto writer = open_at(directory / "a.db");
  auto reader = Database::open_read_only(directory / "a.db", 1);
  REQUIRE(reader);
  REQUIRE(insert(*writer, "x"));
  CHECK(ask(*reader, "SELECT count(*) FROM t") == 1);
  CHECK_FALSE(insert(*reader, "y"));
}

TEST_CASE("an exclusive database has no shared memory file", "[database]") {
  test::TemporaryDirectory directory;
  auto writer = open_at(directory / "a.db", 1, Durability::Process, true);
  REQUIRE(insert(*writer, "x"));
  CHECK_FALSE(std::filesystem::exists(directory / "a.db-shm"));
}

TEST_CASE("a full database is told apart, rolled back, and goes on when there is room", "[database]") {
  test::TemporaryDirectory directory;
  auto database = open_at(directory / "a.db");
  REQUIRE(insert(*database, "before"));
  REQUIRE(database->execute("PRAGMA max_page_count=8"));
  const std::string big(100'000, 'x');
  REQUIRE(database->execute("BEGIN"));
  auto full = insert(*database, big);
  REQUIRE_FALSE(full);
  CHECK(full.error().kind == Error::Kind::Full);
  REQUIRE(database->rollback());
  CHECK_FALSE(database->is_in_transaction());
  CHECK(ask(*database, "SELECT count(*) FROM t") == 1);
  REQUIRE(database->execute("PRAGMA max_page_count=100000"));
  REQUIRE(insert(*database, big));
  CHECK(ask(*database, "SELECT count(*) FROM t") == 2);
}

TEST_CASE("a full file system is told apart, and the database goes on when there is room", "[database]") {
  test::TemporaryDirectory directory;
  if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=256k,mode=0700") != 0) {
    WARN("not allowed to mount a small file system here");
    return;
  }
  {
    auto database = open_at(directory / "a.db");
    REQUIRE(database);
    REQUIRE(insert(*database, "before"));
    std::ofstream(directory / "ballast") << std::string(150'000, 'x');
    auto full = insert(*database, std::string(100'000, 'x'));
    REQUIRE_FALSE(full);
    CHECK(full.error().kind == Error::Kind::Full);
    REQUIRE(database->rollback());
    std::filesystem::remove(directory / "ballast");
    REQUIRE(insert(*database, std::string(50'000, 'x')));
    CHECK(ask(*database, "SELECT count(*) FROM t") == 2);
  }
  ::umount(directory.path().c_str());
}

TEST_CASE("rollback without a transaction has no effect", "[database]") {
  test::TemporaryDirectory directory;
  auto database = open_at(directory / "a.db");
  CHECK(database->rollback());
}

TEST_CASE("an exclusive database may be used by two threads at once", "[database]") {
  test::TemporaryDirectory directory;
  auto database = open_at(directory / "a.db", 1, Durability::Process, true);
  int failed = 0;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) failed += insert(*database, "x") ? 0 : 1;
  });
  for (int i = 0; i < 100; ++i) CHECK(insert(*database, "y"));
  other.join();
  CHECK(failed == 0);
  CHECK(ask(*database, "SELECT count(*) FROM t") == 200);
}
