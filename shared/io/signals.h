// Signals as something to wait for, and a bell between threads.
#pragma once

#include <csignal>
#include <initializer_list>
#include <optional>

#include "base/result.h"
#include "io/unique_fd.h"

namespace io {

// SIGINT, SIGTERM, SIGHUP and what else is wanted blocked and readable at fd(), SIGPIPE ignored. One that was ignored when the program started (nohup, a background
// job of a script) stays ignored. The destructor leaves all that as it is: the process is about to end.
class Signals {
 public:
  // Also opens /dev/null for each standard stream that is closed.
  // REQUIRES: no other thread exists yet, no file is open and no Context either: they inherit the mask, and one without it would take the signal and die.
  static base::Result<Signals> block(std::initializer_list<int> more = {});

  int fd() const { return fd_.get(); }
  std::optional<int> next();  // a signal's number, or none now

  // What the commands we start must have again.
  const sigset_t& original_mask() const { return original_mask_; }
  bool was_sigpipe_ignored() const { return was_sigpipe_ignored_; }

 private:
  Signals() = default;
  UniqueFd fd_;
  sigset_t original_mask_{};
  bool was_sigpipe_ignored_ = false;
};

// A bell: any thread rings it, one waits for it with a Reactor. Level-triggered: ready from set() until clear().
class Event {
 public:
  static base::Result<Event> create();
  int fd() const { return fd_.get(); }
  void set() const;
  void clear() const;
  bool is_set() const;

 private:
  Event() = default;
  UniqueFd fd_;
};

}  // namespace io
