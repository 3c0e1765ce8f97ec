// Where pushmill's own executables are: beside this one, as in the build tree and in libexec/pushmill, or in ../libexec/pushmill, as seen from bin.
#pragma once

#include <string>

namespace cli {

// The absolute path of `name` (keeper, ventilator, worker, sink); empty if it is in neither place.
std::string find_program(const std::string& name);

}  // namespace cli
