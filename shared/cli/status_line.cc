#include "cli/status_line.h"

#include <cstdio>

namespace cli {

StatusLine& StatusLine::of_process() {
  static StatusLine line;
  return line;
}

void StatusLine::draw(std::string_view text) {
  const std::unique_lock lock(mutex_, std::try_to_lock);  // a terminal may be stopped (^S) in the middle of a write, and we are not to wait for it
  if (!lock || !is_at_line_start_) return;
  is_drawn_ = true;
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(text.size()), text.data());
}

void StatusLine::erase() {
  if (is_drawn_) std::fputs("\r\033[K", stderr);
  is_drawn_ = false;
}

void StatusLine::clear() {
  const std::lock_guard lock(mutex_);
  erase();
}

std::unique_lock<std::mutex> StatusLine::make_way() {
  std::unique_lock lock(mutex_);
  erase();
  return lock;
}

std::unique_lock<std::mutex> StatusLine::try_make_way() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock) erase();
  return lock;
}

}  // namespace cli
