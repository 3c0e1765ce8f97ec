// Standard output and standard error (or a table in its place), as the output writer's thread writes to them: gathered into large writes, in the order in which
// it was asked for. A reader that is slow makes it wait, until stop().
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "io/unique_fd.h"
#include "sink/presentation.h"

namespace sink {

class Outlet {
 public:
  struct Failure {
    bool reader_gone = false;  // EPIPE
    std::string message;       // one line for the user
  };

  // The descriptors stay the caller's and get no flags. `out_name`: of what takes the place of standard output; empty: it is that.
  Outlet(int out, int err, const std::string& out_name);
  base::Status ready() const;  // whether what it needs is there

  // Each false: stopped, or failure() says why not; then no more is to be asked for.
  bool append(bool to_err, std::string_view bytes);
  bool append_file(bool to_err, int file, const std::string& name, std::uint64_t from, std::uint64_t until, Dress& dress);
  bool flush();
  bool settle();  // what was flushed has room where it went: some file systems say only at a close that there was none
  bool is_empty() const { return buffer_.empty(); }
  std::uint64_t flushes() const { return flushes_; }
  bool fail(Failure failure);  // false
  std::optional<Failure> take_failure() { return std::exchange(failure_, std::nullopt); }

  // Any thread: what waits for room ends at once, and nothing more is written.
  void stop();
  bool is_stopping() const { return stopping_; }

 private:
  struct Stream {
    int fd = -1;
    bool is_file = false;      // takes any write at once
    bool is_pipe = false;      // takes pages of files without a copy
    bool is_terminal = false;  // may have a status line at its foot
    std::string name;
  };
  static Stream stream(int fd, const io::UniqueFd& terminal, const std::string& name);
  bool splice(const Stream& stream, int file, std::uint64_t& from, std::uint64_t until);
  ssize_t write_once(const Stream& stream, std::string_view bytes);
  bool write_all(const Stream& stream, std::string_view bytes);
  void wait_for_room(const Stream& stream);

  const io::UniqueFd terminals_[2];
  const Stream out_, err_;
  const io::UniqueFd stop_fd_;
  std::atomic<bool> stopping_{false};
  std::string buffer_;  // small outputs on their way to `buffered_`
  const Stream* buffered_ = nullptr;
  bool is_settled_ = true;
  std::uint64_t flushes_ = 0;
  std::optional<Failure> failure_;
};

}  // namespace sink
