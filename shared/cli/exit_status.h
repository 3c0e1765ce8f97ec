// Every exit status of pushmill's programs, for users and scripts. The table in the README says the same.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace cli {

enum ExitStatus : int {
  kExitOk = 0,                 // all jobs succeeded
                               // 1 to 100: so many jobs failed
  kExitManyFailed = 101,       // more than 100 jobs failed
  kExitUsage = 102,            // a mistake in the command line, or a run directory that does not fit it
  kExitStorage = 103,          // the run directory could not be read or written
  kExitInputCut = 104,         // the input was cut short, or a record of it refused
  kExitHeadNotFound = 105,     // a worker found no ventilator and sink in time
  kExitRunDirectoryInUse = 106,
  kExitHungUp = 129,           // SIGHUP
  kExitInterrupted = 130,      // SIGINT
  kExitReaderLeft = 141,       // SIGPIPE: nobody reads the outputs any more
  kExitTerminated = 143,       // SIGTERM
  kExitOther = 255,            // anything else of pushmill's own
};

// Of a run that ended with `failed` failed jobs. `is_cut`: its input was cut short or refused, so that success cannot be claimed.
constexpr int exit_status(std::uint64_t failed, bool is_cut) {
  if (is_cut) return kExitInputCut;
  return failed > 100 ? kExitManyFailed : static_cast<int>(failed);
}

// Of a program that gave up with `kind`. NotFound is a name the user gave; Protocol is what concerns endpoints and peers.
constexpr int exit_status(base::Error::Kind kind) {
  using Kind = base::Error::Kind;
  switch (kind) {
    case Kind::Usage:
    case Kind::NotFound:
    case Kind::Conflict: return kExitUsage;
    case Kind::Corrupt:
    case Kind::Io:
    case Kind::Full: return kExitStorage;
    case Kind::Busy: return kExitRunDirectoryInUse;
    case Kind::Protocol: break;
  }
  return kExitOther;
}

// Of a program ended by SIGINT, SIGTERM or SIGHUP, as a shell shows it.
constexpr int exit_status_of_signal(int signal) { return 128 + signal; }

}  // namespace cli
