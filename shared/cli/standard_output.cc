#include "cli/standard_output.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace cli {

base::Status flush(std::FILE* out) {
  if (std::fflush(out) == 0 && std::ferror(out) == 0) return base::ok();
  const char* name = out == stdout ? "standard output" : "a temporary file";
  return base::Error{errno == ENOSPC ? base::Error::Kind::Full : base::Error::Kind::Io, std::string("cannot write to ") + name + ": " + std::strerror(errno)};
}

}  // namespace cli
