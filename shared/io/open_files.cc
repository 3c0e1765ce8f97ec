#include "io/open_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/unique_fd.h"

namespace io {

namespace {

// Descriptors are given out from below: the next one tells how many are left.
bool leaves(int fd, std::uint64_t spare) { return fd >= 0 && static_cast<std::uint64_t>(fd) + spare < allowed_open_files(); }

}  // namespace

std::uint64_t allow_open_files(std::uint64_t count) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return count;
  if (files.rlim_cur >= count) return files.rlim_cur;
  files.rlim_cur = std::min<rlim_t>(count, files.rlim_max);
  setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur;
}

std::uint64_t allowed_open_files() {
  rlimit files{};
  return ::getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : RLIM_INFINITY;
}

bool has_spare_files(std::uint64_t spare) {
  const UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return leaves(next.get(), spare);
}

}  // namespace io

extern "C" int accept4(int listener, sockaddr* address, socklen_t* size, int flags) {
  const int fd = static_cast<int>(::syscall(SYS_accept4, listener, address, size, flags));
  if (fd >= 0 && io::leaves(fd, io::kReservedFiles)) return fd;
  if (fd >= 0) {
    ::close(fd);
  } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    const timespec pause{0, 10'000'000};  // the listener stays ready, and would spin
    ::nanosleep(&pause, nullptr);
  } else {
    return -1;
  }
  errno = ECONNABORTED;  // which every listener takes for a peer that changed its mind
  return -1;
}
