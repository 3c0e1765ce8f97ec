// The disk as a test wants it: calls of the C library on files fail or take long, in the whole program, SQLite's among them. Linked into a test program,
// which sets `disk_fault`; or preloaded into a program (libfaulty_disk.so), which is told by its environment:
//
//   DISK_FAULT="write outputs/ 5"     each write() and pwrite() to a file whose path holds "outputs/" fails with errno 5
//   DISK_FAULT="sync results 200ms"   each fsync() and fdatasync() of one whose path holds "results" takes 200 ms longer
//
// The third call is "close", which closes all the same. Only regular files are meant. With DISK_FAULT_WHILE=FILE it is so only while that file exists.
#pragma once

#include <atomic>

namespace test {

struct DiskFault {
  const char* call;
  const char* path;
  int error;
  int milliseconds = 0;
};

extern std::atomic<const DiskFault*> disk_fault;  // null: none

// While it lives.
class FaultyDisk {
 public:
  FaultyDisk(const char* call, const char* path, int error) : fault_{call, path, error} { disk_fault = &fault_; }
  ~FaultyDisk() { disk_fault = nullptr; }
  FaultyDisk(const FaultyDisk&) = delete;

 private:
  const DiskFault fault_;
};

}  // namespace test
