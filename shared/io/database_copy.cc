#include "io/database_copy.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "io/clock.h"

namespace io {

using base::Error;
namespace fs = std::filesystem;

namespace {

constexpr base::Duration kPatience{10'000'000};
constexpr std::size_t kLogHead = 32;  // bytes (sqlite.org, "WAL file format"): among them two numbers that are new each time the log begins anew

// Empty: there is no log.
std::string head_of_log(const std::string& database) {
  std::ifstream file(database + "-wal", std::ios::binary);
  std::string head(kLogHead, '\0');
  file.read(head.data(), kLogHead);
  head.resize(static_cast<std::size_t>(file.gcount()));
  return head;
}

base::Status copy_file(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::remove(to, error);
  fs::copy_file(from, to, error);
  if (!error || error == std::errc::no_such_file_or_directory) return base::ok();
  return Error{error == std::errc::no_space_on_device ? Error::Kind::Full : Error::Kind::Io, "cannot copy " + from + " to " + to + ": " + error.message()};
}

// While the log has not begun anew all that was written to the database meanwhile stands in the log too, which is copied behind it; and of the log's own end only
// whole transactions count. So the two together are the database at the moment at which the end of the log was read. It rests on this order, on a writer that syncs
// its log before it writes the database, and that before it begins the log anew (synchronous NORMAL or FULL), and on files that are read anew when they are opened.
base::Status copy_database(const std::string& from, const std::string& to) {
  const auto until = now() + kPatience;
  do {
    const std::string head = head_of_log(from);
    if (auto copied = copy_file(from, to); !copied) return copied;
    if (head_of_log(from) != head) continue;
    if (auto copied = copy_file(from + "-wal", to + "-wal"); !copied) return copied;
    if (head_of_log(from) == head) return base::ok();
  } while (now() < until);
  return Error{Error::Kind::Busy, from + ": is being written too fast to be copied: try again"};
}

}  // namespace

base::Result<DatabaseCopy> DatabaseCopy::make(const std::string& directory, const std::string& name) {
  const char* named = ::getenv("TMPDIR");
  std::string path = std::string(named != nullptr && named[0] == '/' ? named : "/tmp") + "/pushmill-copy-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return Error{Error::Kind::Io, "cannot create " + path + ": " + std::strerror(errno)};
  DatabaseCopy copy(std::move(path), name);
  if (auto copied = copy_database(directory + "/" + name, copy.path()); !copied) return copied.error();
  return copy;
}

DatabaseCopy::~DatabaseCopy() {
  std::error_code error;
  if (!directory_.empty()) fs::remove_all(directory_, error);
}

}  // namespace io
