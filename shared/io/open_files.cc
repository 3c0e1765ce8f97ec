#include "io/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace io {

std::uint64_t allow_open_files(std::uint64_t count) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return count;
  if (files.rlim_cur >= count) return files.rlim_cur;
  files.rlim_cur = std::min<rlim_t>(count, files.rlim_max);
  setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur;
}

}  // namespace io
