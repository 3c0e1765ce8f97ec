#include "worker/keeper_feed.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace worker {

namespace {
constexpr int kPipe = 1 << 20;
}

Feed::Feed(int pipe, int file, std::string before, base::InputFile input)
    : pipe_(pipe), file_(file), before_(std::move(before)), input_(std::move(input)), is_in_file_(before_.empty()) {
  fcntl(pipe_, F_SETPIPE_SZ, kPipe);  // fewer, larger parts; a user at the limit keeps what there is
}

Feed::~Feed() {
  close(pipe_);
  close(file_);
}

Feed::State Feed::step() {
  for (;;) {
    ssize_t n = 0;
    if (!is_in_file_) {
      n = write(pipe_, before_.data() + done_, before_.size() - done_);
    } else {
      if (done_ == input_.length) return State::Over;
      auto at = static_cast<off64_t>(input_.offset + done_);
      n = splice(file_, &at, pipe_, nullptr, std::min<std::uint64_t>(input_.length - done_, kPipe), SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (n == 0) return State::Cut;
    }
    if (n < 0 && errno == EAGAIN) return State::Waiting;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EPIPE) return State::Cut;
    if (n < 0) return State::Over;
    done_ += static_cast<std::uint64_t>(n);
    if (!is_in_file_ && done_ == before_.size()) {
      is_in_file_ = true;
      done_ = 0;
    }
  }
}

int open_input(const base::InputFile& input, std::string& why_not) {
  const int file = open(input.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) {
    why_not = "its input " + input.path + " cannot be read: " + std::strerror(errno);
  } else if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) < input.offset + input.length) {
    why_not = "its input " + input.path + " has become shorter";
  } else {
    fcntl(file, F_SETFL, 0);
    return file;
  }
  if (file >= 0) close(file);
  return -1;
}

bool is_whole_file(int file, const base::InputFile& input) {
  struct stat status;
  return input.offset == 0 && fstat(file, &status) == 0 && static_cast<std::uint64_t>(status.st_size) == input.length;
}

}  // namespace worker
