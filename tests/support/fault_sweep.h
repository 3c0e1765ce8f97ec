// Something done again and again, each time with the fault at the next call, until it passes without one.
#pragma once

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/exit_status.h"
#include "tests/io/support.h"
#include "tests/support/fault_vfs.h"

namespace test {

// Calls `round(disk, fault)` for each kind of fault, once and for ever, at the first, second ... call that changes the disk. The round arms the disk, and
// opens what it needs anew. `stride`: only one call of so many is tried.
template <typename Round>
void sweep(Round round, int stride = 1) {
  using Kind = FaultVfs::Kind;
  const Variable memory("TMPDIR", std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp");  // thousands of databases are made
  for (const Kind kind : {Kind::Full, Kind::ShortWrite, Kind::Quota, Kind::Io}) {
    for (const bool for_ever : {false, true}) {
      int faults = 0;
      for (int nth = 1;; nth += stride) {
        INFO("fault of kind " << static_cast<int>(kind) << " at call " << nth << (for_ever ? " and after" : ""));
        FaultVfs disk;
        round(disk, FaultVfs::Fault{kind, nth, for_ever});
        if (disk.fired() == 0) break;
        ++faults;
      }
      CHECK(faults > 0);
    }
  }
}

// The error tells a full disk, behind which one waits, from any other, which ends the program with the status of a storage error.
inline void check_kind(const base::Error& error, const FaultVfs::Fault& fault, const FaultVfs& disk) {
  INFO(error.message << " after a failed " << disk.first());
  CHECK(disk.fired() > 0);
  CHECK((error.kind == base::Error::Kind::Full) == (fault.kind != FaultVfs::Kind::Io));
  CHECK(cli::exit_status(error.kind) == cli::kExitStorage);
  CHECK(error.message.find('\n') == std::string::npos);
}

// A database and its log as they would be found after a kill -9 now.
inline void copy_as_after_a_crash(const std::string& from, const std::string& to) {
  for (const char* part : {"", "-wal"})
    if (std::filesystem::exists(from + part)) std::filesystem::copy_file(from + part, to + part, std::filesystem::copy_options::overwrite_existing);
}

}  // namespace test
