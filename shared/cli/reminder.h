// What a role waits for, said to the user: when it changes, and now and then while it lasts.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "cli/log.h"

namespace cli {

class Reminder {
 public:
  explicit Reminder(const Log& log) : log_(log) {}

  // `line`: what is waited for now; empty: nothing. Written when it is new or was written half a minute ago.
  void say(std::string_view line, base::TimePoint now) {
    if (line == last_ && (line.empty() || now < again_at_)) return;
    last_ = line;
    again_at_ = now + kAgain;
    if (!line.empty()) log_.info(line);
  }

 private:
  static constexpr base::Duration kAgain{30'000'000};

  const Log& log_;
  std::string last_;
  base::TimePoint again_at_{};
};

}  // namespace cli
