// A database of a program that has it to itself, as on a network file system: read from a copy, which is made without its help and disturbs it in nothing.
#pragma once

#include <string>

#include "base/result.h"

namespace io {

class DatabaseCopy {
 public:
  // Copies `name` of `directory`, if it is there, into a private directory under $TMPDIR or /tmp. It is as it was at one moment, with all that was committed then.
  // Busy: it was written so fast, for ten seconds, that there was no such moment.
  static base::Result<DatabaseCopy> make(const std::string& directory, const std::string& name);

  // Who has opened it, and read from it once, needs the file no more.
  std::string path() const { return directory_ + "/" + name_; }

  DatabaseCopy(DatabaseCopy&& other) noexcept : directory_(std::move(other.directory_)), name_(std::move(other.name_)) { other.directory_.clear(); }
  DatabaseCopy& operator=(DatabaseCopy&&) = delete;
  ~DatabaseCopy();

 private:
  DatabaseCopy(std::string directory, std::string name) : directory_(std::move(directory)), name_(std::move(name)) {}
  std::string directory_, name_;
};

}  // namespace io
