#include "io/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace io {

void allow_open_files(std::uint64_t count) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= count) return;
  files.rlim_cur = std::min<rlim_t>(count, files.rlim_max);
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace io
