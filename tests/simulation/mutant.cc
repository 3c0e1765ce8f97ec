// Which mutation runs (mutations.py), by the environment; none without it.
#include <cstdlib>
#include <cstring>

bool is_running(const char* mutation) {
  static const char* const chosen = std::getenv("PUSHMILL_MUTATION");
  return chosen != nullptr && std::strcmp(chosen, mutation) == 0;
}
