// The line at the foot of a terminal that is drawn over and over, and how it keeps out of the way of what else is written there. One a process, as stderr is.
#pragma once

#include <mutex>
#include <string_view>

namespace cli {

class StatusLine {
 public:
  static StatusLine& of_process();

  // Draws the line on stderr in place of the one before. Not while somebody writes, nor behind the beginning of a line of theirs.
  void draw(std::string_view text);
  void clear();

  // To be held during one write of something else to the terminal, never while waiting for room there: the line is gone, and stays so until the lock is.
  std::unique_lock<std::mutex> make_way();
  // The same without waiting: not locked if somebody is writing.
  std::unique_lock<std::mutex> try_make_way();
  // The last byte of what was written. REQUIRES: the lock of make_way() is held.
  void note_written(char last) { is_at_line_start_ = last == '\n'; }

 private:
  void erase();

  std::mutex mutex_;
  bool is_drawn_ = false;
  bool is_at_line_start_ = true;
};

}  // namespace cli
