// SQLite behind a small wrapper: the only user of sqlite3.h. A Database is one connection to one file, opened by its only writer.
// Errors come back as Results: kind Full for a full disk (the caller may retry), Conflict for a newer schema, Corrupt, Io for the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace io {

enum class Durability { Process, Power };  // survives kill -9; survives power loss as well

class Statement {
 public:
  Statement() = default;
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // Parameters and columns count from 1 and 0, as in SQLite. Text and blobs are not copied: they must live until the next reset().
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind_text(int parameter, std::string_view value);
  Statement& bind_blob(int parameter, std::string_view value);
  Statement& bind_null(int parameter);
  base::Result<bool> step();  // true: a row is there; false: done. On done and on error it is reset.
  base::Status run();         // step() to the end, rows ignored
  std::int64_t integer(int column) const;
  std::string_view text(int column) const;  // text or blob, valid until the next step or reset
  double real(int column) const;
  bool is_null(int column) const;
  void reset();

  // For queries that others wrote. type(): of the column in this row.
  enum class Type { Null, Integer, Real, Text, Blob };
  int columns() const;
  std::string column_name(int column) const;
  Type type(int column) const;
  bool is_read_only() const;

 private:
  friend class Database;
  Statement& bound(int code);
  sqlite3_stmt* statement_ = nullptr;
  int bind_error_ = 0;  // the first since the last reset: the next step() returns it
};

class Database {
 public:
  // Opens or creates `path` (mode 0600) in WAL mode. `schema` creates the tables of version `version` (PRAGMA user_version) when the file is new;
  // a file of another version is refused with Conflict. `exclusive`: locking_mode=EXCLUSIVE, for network filesystems.
  // The connection may be used by several threads at once only if it is exclusive: then no other can be had. Else each thread has its own, which is faster.
  static base::Result<Database> open(const std::string& path, int version, const char* schema, Durability durability, bool exclusive);
  // An existing file, for reading only, by one thread at a time; NotFound if there is none. Nothing is written but the memory that readers share (-shm),
  // and that only where it can be: a directory may be read-only.
  static base::Result<Database> open_read_only(const std::string& path, int version);
  // Adds another file to a connection for reading, as `name`.
  base::Status attach_read_only(const std::string& path, std::string_view name);
  Database() = default;
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();  // closes; all Statements must be gone

  // The first statement of `sql`; what stands behind it goes to `rest`, if given.
  base::Result<Statement> prepare(std::string_view sql, std::string_view* rest = nullptr);
  base::Status execute(const char* sql);  // one or several statements, rows ignored
  bool is_in_transaction() const;
  // Ends an open transaction, if there is one. SQLite ends one itself after some errors (a full disk among them), so after an error of
  // a step or a COMMIT call this, not ROLLBACK.
  base::Status rollback();

 private:
  base::Status connect(const std::string& path, int flags);
  base::Status use_wal();
  base::Status check_for_reading(const std::string& path, int version);
  base::Status create_schema(int version, const char* schema);
  base::Result<std::int64_t> query_integer(std::string_view sql);

  sqlite3* db_ = nullptr;
};

}  // namespace io
