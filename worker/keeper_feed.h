// What goes to the stdin of one command through a pipe: some bytes and then a part of a file, as fast as it reads them. Used by the keeper only.
#pragma once

#include <cstdint>
#include <string>

#include "base/job.h"

namespace worker {

class Feed {
 public:
  enum class State {
    Waiting,  // for room in the pipe
    Over,     // all is written, or nobody reads any more
    Cut,      // the file has become shorter
  };

  // `pipe` is the end to write to, not blocking; both descriptors are the feed's now. `input` is a part of `file`.
  Feed(int pipe, int file, std::string before, base::InputFile input);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  int fd() const { return pipe_; }  // to be polled for writing while Waiting
  const base::InputFile& input() const { return input_; }
  // Writes what there is room for, at most a pipe at once.
  State step();

 private:
  const int pipe_, file_;
  std::string before_;
  base::InputFile input_;
  std::uint64_t done_ = 0;  // of the bytes before, and then of the part
  bool is_in_file_ = false;
};

// The file for a command that has one as input, -1 with `why_not`.
int open_input(const base::InputFile& input, std::string& why_not);
// It is all of the file, which the command can have as it is.
bool is_whole_file(int file, const base::InputFile& input);

}  // namespace worker
