// How a run was first called: the shell that its commands are written for, the directory, and the words of the command line. Kept in jobs.db, so that whoever
// continues the run, from another shell or directory, asks for the same jobs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ventilator {

struct Origin {
  std::string shell;
  std::string directory;
  std::vector<std::string> arguments;

  std::string encode() const;  // the fields, each ended by a NUL byte
  static Origin decode(std::string_view text);
};

// That of the run in `directory`; none if no run has begun there.
base::Result<std::optional<Origin>> origin_of(const std::string& directory);

}  // namespace ventilator
