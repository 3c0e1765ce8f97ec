// May a shell line run without the shell? Only where nobody can tell the difference: same program, same words, same environment, same exit status, same
// messages. Whatever is not certain goes to the shell, above all what is not found: the user then sees the shell's own words and its 127.
// Executables are looked up anew each time. A cache would have to look at every directory of PATH as well, to notice a new program in an earlier one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace worker {

// What to execute in place of `SHELL -c LINE`. Moved, never copied: `environment` points into `added` and into what it was made from.
struct DirectPlan {
  DirectPlan() = default;
  DirectPlan(DirectPlan&&) = default;
  DirectPlan(const DirectPlan&) = delete;
  std::string path;
  std::vector<std::string> argv;
  std::vector<const char*> environment;  // as the shell would pass it on: PWD, OLDPWD, SHLVL, _
  std::vector<std::string> added;
};

// The words of a line made of plain words and single-quoted pieces alone; nothing if anything in it could mean more to a shell.
std::optional<std::vector<std::string>> plain_words(std::string_view line);

// `environment`: NAME=VALUE, no name twice. `directory`: where the command will run, empty for the current one.
// REQUIRES: no signal is blocked or, for SIGCHLD, ignored when the command starts; a shell would change that.
// If execve then fails, for whatever cause, the shell has to be run after all (a script without #! is one such).
std::optional<DirectPlan> direct_plan(std::string_view line, const std::string& shell, const std::vector<const char*>& environment,
                                      const std::string& directory);

// A regular file that may be executed. `directory`: for a relative path.
bool is_executable(const std::string& path, const std::string& directory);
// `path` seen from `directory`, for looking at it before the child has gone there.
std::string seen_from(const std::string& directory, const std::string& path);

}  // namespace worker
