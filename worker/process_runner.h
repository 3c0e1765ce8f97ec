// The seam between the worker and running commands: one real body (KeeperRunner, which has the keeper start and watch them) and fakes in tests.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/time.h"
#include "wire/messages.h"
#include "worker/events.h"

namespace worker {

class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;

  // Starts `command` as `attempt`. Every start gives exactly one result through collect(), whatever happens: a command that cannot be started is a failed
  // result with the shell's exit code (126, 127) and a reason; attempts that a dead keeper ran are results with outcome Lost; where
  // nothing can be run (no keeper can be started) the outcome is Returned.
  // `limit`: 0 for none; after it the whole process tree is ended and the outcome is Timeout.
  virtual void start(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, base::Duration limit) = 0;

  // Ends the whole process tree of a running attempt, TERM first, then KILL; its result has outcome Cancelled. Unknown attempts are ignored.
  virtual void kill(const base::Attempt& attempt) = 0;

  // A descriptor to poll for `events()` (poll(2) bits), or -1 while there is nothing to wait for; both may change after every call here.
  virtual int fd() const = 0;
  virtual short events() const = 0;

  // An output of a running attempt may be read up to `length`; beyond that its pipe is left to fill. At first that is a window given beforehand.
  virtual void grant(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t length) = 0;

  // To be called when the descriptor is ready: moves what was read of large outputs to the end of `outputs`, and what is finished to the end of
  // `results`, behind all of its outputs. Never blocks.
  // Filled in: attempt, outcome, exit_code, signal, slot, times, rusage, outputs (those that are not large) and their lengths, reason. `command` is left
  // to the caller.
  virtual void collect(std::vector<OutputRead>& outputs, std::vector<wire::Result>& results) = 0;
};

}  // namespace worker
