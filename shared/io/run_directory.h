// The directory of a run and the directory for sockets: choosing, creating, guarding and removing them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/lock.h"

namespace io {

// What the sink says of itself while it lives, in its run directory.
inline constexpr const char* kStatusFile = "status.json";

// A folder in it for what jobs read on stdin, in files named by their numbers: the ventilator makes them, the sink drops those of jobs that have succeeded.
inline constexpr const char* kInputs = "inputs";

struct RunDirectory {
  std::string path;  // absolute
  bool is_new = false;
  bool was_narrowed = false;  // it was open to others and is 0700 now: worth a line to the user
};

// Opens `path`, creating it and its parents with mode 0700 whatever the umask. Refuses (Usage) what is no directory or belongs to another user.
// An open one is narrowed to 0700 if it is empty or holds a run, and refused otherwise: it was meant for something else.
base::Result<RunDirectory> open_run_directory(const std::string& path);
// An existing one that holds a run; NotFound otherwise.
base::Result<RunDirectory> find_run_directory(const std::string& path);

// The same for those who only look: whosever it is, and nothing is changed.
base::Result<RunDirectory> look_at_run_directory(const std::string& path);

// The directory in which runs without a name get theirs: $PUSHMILL_STATE, else $XDG_STATE_HOME/pushmill or $HOME/.local/state/pushmill if local
// and writable, else one in $TMPDIR, else /var/tmp/pushmill-UID. Exists with mode 0700 then. An error if $PUSHMILL_STATE cannot be used.
base::Result<std::string> default_run_parent();
// Every directory, of those that default_run_parent() might choose here, that exists. Makes none.
std::vector<std::string> run_parents();
// Our run directories in them, the one that was made last first.
std::vector<std::string> runs_without_a_name();
// A new run directory in `parent`, named run-YYYYMMDD-HHMMSS-PID-xxxx.
base::Result<RunDirectory> create_run_directory(const std::string& parent);
// Deletes what pushmill puts into a run directory, then the directory. One that holds anything else stays (Io).
// REQUIRES: the caller holds both locks or knows that nobody does.
base::Status remove_run_directory(const std::string& path);
// What else than pushmill's own is in a run directory: a name, empty if there is nothing.
std::string stranger_in(const std::string& path);

// A short private directory for ipc sockets: $XDG_RUNTIME_DIR/pushmill, else host_directory().
base::Result<std::string> runtime_directory();
// The one private directory for what all processes of this user on this host must find, whatever the environment of each (a session, cron, sudo -u): /tmp/pushmill-UID;
// or PUSHMILL_HOST_DIRECTORY of the environment, which is for tests. Not /dev/shm, from which logind takes what a user has there at the end of the last session.
base::Result<std::string> host_directory();

// True if `path`, or the nearest parent that exists, is on a file system whose shared memory or locks other hosts do not see; or if the environment has
// PUSHMILL_NETWORK_FILESYSTEM=1, which is for tests.
bool is_network_filesystem(const std::string& path);

}  // namespace io
