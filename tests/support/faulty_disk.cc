#include "tests/support/faulty_disk.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace test {

std::atomic<const DiskFault*> disk_fault{nullptr};

namespace {

const char* switch_file = nullptr;

[[gnu::constructor]] void read_environment() {
  static char call[16], path[256];
  static DiskFault fault{call, path, 0};
  const char* value = std::getenv("DISK_FAULT");
  switch_file = std::getenv("DISK_FAULT_WHILE");
  if (value == nullptr) return;
  int number = 0, end = 0;
  if (std::sscanf(value, "%15s %255s %d%n", call, path, &number, &end) != 3) {
    std::fprintf(stderr, "DISK_FAULT: CALL PATH ERRNO or CALL PATH MILLISECONDSms\n");
    std::abort();
  }
  (std::strcmp(value + end, "ms") == 0 ? fault.milliseconds : fault.error) = number;
  disk_fault = &fault;
}

// The errno with which this call is to fail, or 0; it has waited then if it is to.
int fault_of(const char* call, int fd) {
  const DiskFault* fault = disk_fault;
  if (fault == nullptr || std::strcmp(fault->call, call) != 0) return 0;
  const int before = errno;
  struct stat status {};
  char link[32], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? ::readlink(link, path, sizeof path - 1) : -1;
  const bool is_on = switch_file == nullptr || ::access(switch_file, F_OK) == 0;
  errno = before;
  if (size < 0 || !is_on) return 0;
  path[size] = '\0';
  if (std::strstr(path, fault->path) == nullptr) return 0;
  const timespec time{fault->milliseconds / 1000, fault->milliseconds % 1000 * 1'000'000L};
  ::nanosleep(&time, nullptr);
  return fault->error;
}

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

int failed(int error) {
  errno = error;
  return -1;
}

}  // namespace

}  // namespace test

// These come before those of the C library.

extern "C" ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = test::real<ssize_t (*)(int, const void*, size_t)>("write");
  if (const int error = test::fault_of("write", fd)) return test::failed(error);
  return real(fd, data, size);
}

extern "C" ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  static const auto real = test::real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  if (const int error = test::fault_of("write", fd)) return test::failed(error);
  return real(fd, data, size, offset);
}

extern "C" ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

extern "C" int fsync(int fd) {
  static const auto real = test::real<int (*)(int)>("fsync");
  if (const int error = test::fault_of("sync", fd)) return test::failed(error);
  return real(fd);
}

extern "C" int fdatasync(int fd) {
  static const auto real = test::real<int (*)(int)>("fdatasync");
  if (const int error = test::fault_of("sync", fd)) return test::failed(error);
  return real(fd);
}

extern "C" int close(int fd) {
  static const auto real = test::real<int (*)(int)>("close");
  const int error = test::fault_of("close", fd);
  const int closed = real(fd);
  return error != 0 ? test::failed(error) : closed;
}
