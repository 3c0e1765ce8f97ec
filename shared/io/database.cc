#include "io/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace io {

using base::Error;

namespace {

constexpr int kBusyMilliseconds = 5000;

// The errors behind which stands one of the system.
bool is_of_system(int code) { return (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN; }

bool is_out_of_space(int code, int system_errno) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  return is_of_system(code) && (system_errno == ENOSPC || system_errno == EDQUOT);
}

Error::Kind kind_of(int code, int system_errno) {
  if (is_out_of_space(code, system_errno)) return Error::Kind::Full;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Error::Kind::Corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Error::Kind::Busy;
    default: return Error::Kind::Io;
  }
}

// REQUIRES: errno was zero before the call that failed. sqlite3_system_errno() knows nothing of what fails in a COMMIT, or still has what failed before it.
Error error_of(sqlite3* db, int code, const std::string& path) {
  const int system_errno = errno;
  const int extended = sqlite3_extended_errcode(db);
  const bool same = (extended & 0xff) == (code & 0xff);
  std::string text = same ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  if (is_of_system(code) && system_errno != 0) text += std::string(": ") + std::strerror(system_errno);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return {kind_of(same ? extended : code, system_errno), path + ": " + text};
}

Error error_of(sqlite3* db, int code) {
  const char* path = sqlite3_db_filename(db, "main");
  return error_of(db, code, path != nullptr ? path : "database");
}

Error system_error(const std::string& path, const char* what, int error) {
  const auto kind = error == ENOSPC || error == EDQUOT ? Error::Kind::Full : error == ENOENT ? Error::Kind::NotFound : Error::Kind::Io;
  return {kind, path + ": " + what + ": " + std::strerror(error)};
}

// Makes the file private before SQLite sees it: SQLite gives the -wal and -shm files the mode of the database itself.
// An existing file is never opened here: closing any descriptor of it would drop the POSIX locks this process holds on it through SQLite.
base::Status make_private(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) {
    const int changed = ::fchmod(fd, 0600);
    const int error = errno;
    ::close(fd);
    return changed == 0 ? base::ok() : base::Status(system_error(path, "cannot set its mode", error));
  }
  if (errno != EEXIST) return system_error(path, "cannot create", errno);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return system_error(path, "cannot open", errno);
  if ((status.st_mode & 077) != 0 && ::chmod(path.c_str(), 0600) != 0) return system_error(path, "cannot set its mode", errno);
  return base::ok();
}

bool has_log(const std::string& path) {
  struct stat status {};
  return ::stat((path + "-wal").c_str(), &status) == 0 && status.st_size > 0;
}

// A path as it stands in a file: URI.
std::string in_uri(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == '%') text += "%25";
    else if (c == '?') text += "%3f";
    else if (c == '#') text += "%23";
    else text += c;
  }
  return text;
}

base::Status check_version(const std::string& path, std::int64_t found, int version) {
  if (found == version) return base::ok();
  if (found > version)
    return Error{Error::Kind::Conflict, path + ": has schema version " + std::to_string(found) + ", this pushmill knows up to " +
                                            std::to_string(version) + ": use the newer pushmill that made it"};
  if (found == 0) return Error{Error::Kind::Conflict, path + ": is an SQLite database, but not one of pushmill"};
  return Error{Error::Kind::Conflict, path + ": has schema version " + std::to_string(found) + ", this pushmill needs " +
                                          std::to_string(version) + ": use the older pushmill that made it"};
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), bind_error_(std::exchange(other.bind_error_, 0)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(bind_error_, other.bind_error_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bound(int code) {
  if (bind_error_ == 0) bind_error_ = code;
  return *this;
}

Statement& Statement::bind(int parameter, std::int64_t value) { return bound(sqlite3_bind_int64(statement_, parameter, value)); }

Statement& Statement::bind_text(int parameter, std::string_view value) {
  // A null pointer would mean NULL, not the empty text.
  const char* data = value.data() != nullptr ? value.data() : "";
  return bound(sqlite3_bind_text64(statement_, parameter, data, value.size(), SQLITE_STATIC, SQLITE_UTF8));
}

Statement& Statement::bind_blob(int parameter, std::string_view value) {
  const char* data = value.data() != nullptr ? value.data() : "";
  return bound(sqlite3_bind_blob64(statement_, parameter, data, value.size(), SQLITE_STATIC));
}

Statement& Statement::bind_null(int parameter) { return bound(sqlite3_bind_null(statement_, parameter)); }

base::Result<bool> Statement::step() {
  if (statement_ == nullptr) return Error{Error::Kind::Io, "a statement that was never prepared"};
  sqlite3* db = sqlite3_db_handle(statement_);
  if (bind_error_ != 0) {
    const int code = std::exchange(bind_error_, 0);
    sqlite3_reset(statement_);
    return error_of(db, code);
  }
  errno = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_);
    return false;
  }
  Error error = error_of(db, code);
  sqlite3_reset(statement_);
  return error;
}

base::Status Statement::run() {
  for (;;) {
    auto row = step();
    if (!row) return row.error();
    if (!*row) return base::ok();
  }
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::text(int column) const {
  // The bytes before their count: asking for the bytes may convert the value.
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }

int Statement::columns() const { return sqlite3_column_count(statement_); }

std::string Statement::column_name(int column) const {
  const char* name = sqlite3_column_name(statement_, column);
  return name != nullptr ? name : "";
}

Statement::Type Statement::type(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER: return Type::Integer;
    case SQLITE_FLOAT: return Type::Real;
    case SQLITE_TEXT: return Type::Text;
    case SQLITE_BLOB: return Type::Blob;
    default: return Type::Null;
  }
}

bool Statement::is_read_only() const { return sqlite3_stmt_readonly(statement_) != 0; }

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

void Statement::reset() {
  sqlite3_reset(statement_);
  bind_error_ = 0;
}

Database::Database(Database&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(db_, other.db_);
  return *this;
}

Database::~Database() { sqlite3_close_v2(db_); }

base::Status Database::connect(const std::string& path, int flags) {
  errno = 0;
  const int code = sqlite3_open_v2(path.c_str(), &db_, flags, nullptr);
  if (code != SQLITE_OK) {
    if (db_ == nullptr) return Error{Error::Kind::Io, path + ": out of memory"};
    return error_of(db_, code, path);
  }
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, kBusyMilliseconds);
  return base::ok();
}

base::Result<std::int64_t> Database::query_integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  return *row ? statement->integer(0) : 0;
}

base::Status Database::use_wal() {
  auto statement = prepare("PRAGMA journal_mode=WAL");
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  if (!*row || statement->text(0) != "wal")
    return Error{Error::Kind::Io, std::string(sqlite3_db_filename(db_, "main")) + ": this file system cannot hold a WAL database"};
  return base::ok();
}

base::Status Database::create_schema(int version, const char* schema) {
  const std::string script = "BEGIN IMMEDIATE;" + std::string(schema) + ";PRAGMA user_version=" + std::to_string(version) + ";COMMIT;";
  auto created = execute(script.c_str());
  if (!created) {
    const Error error = created.error();  // a rollback that fails too has nothing to add
    (void)rollback();
    return error;
  }
  return base::ok();
}

base::Result<Database> Database::open(const std::string& path, int version, const char* schema, Durability durability, bool exclusive) {
  if (auto made = make_private(path); !made) return made.error();
  Database database;
  if (auto opened = database.connect(path, SQLITE_OPEN_READWRITE | (exclusive ? SQLITE_OPEN_FULLMUTEX : SQLITE_OPEN_NOMUTEX)); !opened) return opened.error();
  // Before the first access to the file, or SQLite would use shared memory, which a network file system does not have.
  if (exclusive)
    if (auto set = database.execute("PRAGMA locking_mode=EXCLUSIVE"); !set) return set.error();

  auto found = database.query_integer("PRAGMA user_version");
  if (!found) return found.error();
  bool is_new = false;
  if (*found == 0) {
    auto tables = database.query_integer("SELECT count(*) FROM sqlite_master");
    if (!tables) return tables.error();
    is_new = *tables == 0;
  }
  if (!is_new)
    if (auto known = check_version(path, *found, version); !known) return known.error();

  // Nothing is worth an fsync before the schema stands: a creation cut short is seen as a new file again.
  if (is_new)
    if (auto set = database.execute("PRAGMA synchronous=OFF"); !set) return set.error();
  if (auto set = database.use_wal(); !set) return set.error();
  if (is_new)
    if (auto created = database.create_schema(version, schema); !created) return created.error();
  const bool power = durability == Durability::Power;
  if (auto set = database.execute(power ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"); !set) return set.error();
  // Each checkpoint waits for the disk, in the loop of a role: where nobody asked for that care, there are few of them.
  if (!power) {
    if (auto set = database.execute("PRAGMA wal_autocheckpoint=10000"); !set) return set.error();
  }
  // The file's own first page must reach the disk too: SQLite deletes the WAL of a database that is empty after a power loss. One that is not new may have been
  // made by a process that was killed right here, or that promised less.
  if (power)
    if (auto synced = database.execute("PRAGMA wal_checkpoint(PASSIVE)"); !synced) return synced.error();
  return database;
}

base::Status Database::check_for_reading(const std::string& path, int version) {
  auto found = query_integer("PRAGMA user_version");
  if (!found) return found.error();
  if (*found == 0) {
    auto tables = query_integer("SELECT count(*) FROM sqlite_master");
    if (!tables) return tables.error();
    if (*tables == 0) return Error{Error::Kind::NotFound, path + ": is empty: its run never got so far as to write it"};
  }
  return check_version(path, *found, version);
}

base::Result<Database> Database::open_read_only(const std::string& path, int version) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return system_error(path, "cannot open", errno);
  Database database;
  if (auto opened = database.connect(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI); !opened) return opened.error();
  auto fine = database.check_for_reading(path, version);
  if (fine) return database;
  // Where the -shm file cannot be made SQLite refuses. Without a log nobody writes, and the file alone is the whole of it.
  if (fine.error().kind != Error::Kind::Io || has_log(path)) return fine.error();
  Database still;
  const std::string uri = "file:" + in_uri(path) + "?immutable=1";
  if (auto opened = still.connect(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI); !opened) return opened.error();
  if (fine = still.check_for_reading(path, version); !fine) return fine.error();
  return still;
}

base::Status Database::attach_read_only(const std::string& path, std::string_view name) {
  const std::string quoted = "\"" + std::string(name) + "\"";
  for (const bool is_still : {false, true}) {  // as above
    auto attach = prepare("ATTACH ?1 AS " + quoted);
    if (!attach) return attach.error();
    const std::string where = is_still ? "file:" + in_uri(path) + "?immutable=1" : path;
    const auto attached = attach->bind_text(1, where).run();
    const auto tables = attached ? query_integer("SELECT count(*) FROM " + quoted + ".sqlite_master") : base::Result<std::int64_t>(attached.error());
    if (tables) return base::ok();
    if (is_still || tables.error().kind != Error::Kind::Io || has_log(path)) return tables.error();
    if (attached)
      if (auto detached = execute(("DETACH " + quoted).c_str()); !detached) return detached;
  }
  return base::ok();
}

base::Result<Statement> Database::prepare(std::string_view sql, std::string_view* rest) {
  if (db_ == nullptr) return Error{Error::Kind::Io, "a database that was never opened"};
  Statement statement;
  errno = 0;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement.statement_, &tail);
  if (code != SQLITE_OK) return error_of(db_, code);
  if (rest != nullptr) *rest = sql.substr(static_cast<std::size_t>(tail - sql.data()));
  return statement;
}

base::Status Database::execute(const char* sql) {
  if (db_ == nullptr) return Error{Error::Kind::Io, "a database that was never opened"};
  errno = 0;
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error_of(db_, code);
  return base::ok();
}

bool Database::is_in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

base::Status Database::rollback() {
  return is_in_transaction() ? execute("ROLLBACK") : base::ok();
}

}  // namespace io
