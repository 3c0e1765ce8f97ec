#include "cli/program.h"

#include <unistd.h>

#include <climits>

namespace cli {

std::string find_program(const std::string& name) {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) return {};
  const std::string path(self, static_cast<std::size_t>(length));
  const std::string directory = path.substr(0, path.rfind('/'));
  for (const std::string& candidate : {directory + "/" + name, directory + "/../libexec/pushmill/" + name}) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace cli
