#include "cli/standard_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace cli {

namespace {

// Some file systems say only at a close that there was no room.
bool is_settled(int fd) {
  if (fd < 0) return true;  // it is in memory
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy >= 0 && (::close(copy) == 0 || errno == EINTR);
}

}  // namespace

base::Status flush(std::FILE* out) {
  if (std::fflush(out) == 0 && std::ferror(out) == 0 && is_settled(::fileno(out))) return base::ok();
  const char* name = out == stdout ? "standard output" : "a temporary file";
  return base::Error{errno == ENOSPC ? base::Error::Kind::Full : base::Error::Kind::Io, std::string("cannot write to ") + name + ": " + std::strerror(errno)};
}

}  // namespace cli
