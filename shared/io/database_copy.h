// Databases of a program that has them to itself, as on a network file system: read from a copy, which is made without its help and disturbs it in nothing.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace io {

class DatabaseCopy {
 public:
  // Copies `names` of `directory`, those that are there, one after the other into a private directory under $TMPDIR or /tmp. Each is as it was at one moment, with
  // all that was committed then. Busy: it was written so fast that there was no such moment.
  static base::Result<DatabaseCopy> make(const std::string& directory, const std::vector<std::string>& names);

  const std::string& path() const { return path_; }

  DatabaseCopy(DatabaseCopy&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  DatabaseCopy& operator=(DatabaseCopy&&) = delete;
  ~DatabaseCopy();

 private:
  explicit DatabaseCopy(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace io
