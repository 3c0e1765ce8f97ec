#include "base/kill_point.h"

#ifdef PUSHMILL_KILL_POINTS

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace base {

namespace {

struct Wanted {
  std::string_view name;  // empty: none
  std::atomic<unsigned> passes_left{0};
  bool holds = false;

  Wanted() {
    const char* value = std::getenv("PUSHMILL_KILL_POINT");
    std::string_view text = value == nullptr ? "" : value;
    constexpr std::string_view kHold = ":hold";
    if ((holds = text.ends_with(kHold))) text.remove_suffix(kHold.size());
    const std::size_t colon = std::min(text.find(':'), text.size());
    name = text.substr(0, colon);
    unsigned passes = 1;
    if (colon < text.size()) std::from_chars(text.data() + colon + 1, text.data() + text.size(), passes);
    passes_left = passes;
  }
};

}  // namespace

void kill_point(std::string_view name) {
  static Wanted wanted;
  if (name != wanted.name || wanted.passes_left == 0 || --wanted.passes_left > 0) return;
  if (!wanted.holds) std::raise(SIGKILL);
  std::fprintf(stderr, "held at %.*s\n", static_cast<int>(name.size()), name.data());
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace base

#endif
