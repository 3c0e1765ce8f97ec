#include "sink/outlet.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "cli/status_line.h"

namespace sink {

namespace {

constexpr std::size_t kBuffer = 64u << 10;  // bytes gathered for one write
constexpr std::size_t kFilePiece = 256u << 10;

mode_t type_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

// The terminal once more, for us alone and never blocking: one with a little room makes a larger write wait, and a stopped one (^S) for ever.
io::UniqueFd open_terminal(int fd) {
  if (::isatty(fd) != 1) return {};
  return io::UniqueFd(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

}  // namespace

Outlet::Stream Outlet::stream(int fd, const io::UniqueFd& terminal, const std::string& name) {
  const mode_t type = type_of(fd);
  return {terminal ? terminal.get() : fd, type == S_IFREG || type == S_IFBLK, type == S_IFIFO, ::isatty(fd) == 1, name};
}

Outlet::Outlet(int out, int err, const std::string& out_name)
    : terminals_{open_terminal(out), open_terminal(err)},
      out_(stream(out, terminals_[0], out_name.empty() ? "standard output" : out_name)),
      err_(stream(err, terminals_[1], "standard error")),
      stop_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  buffer_.reserve(kBuffer);
}

base::Status Outlet::ready() const {
  if (!stop_fd_) return base::Error{base::Error::Kind::Io, std::string("cannot create an eventfd: ") + std::strerror(errno)};
  return base::ok();
}

bool Outlet::fail(Failure failure) {
  failure_ = std::move(failure);
  return false;
}

// One buffer for both streams: what was asked for first is written first, also where both are the same terminal or file.
bool Outlet::append(bool to_err, std::string_view bytes) {
  if (failure_) return false;
  if (bytes.empty()) return true;
  const Stream& stream = to_err ? err_ : out_;
  if (buffered_ != &stream || buffer_.size() + bytes.size() > kBuffer) {
    if (!flush()) return false;
    buffered_ = &stream;
  }
  if (bytes.size() > kBuffer) return write_all(stream, bytes);
  buffer_ += bytes;
  return true;
}

bool Outlet::append_file(bool to_err, int file, const std::string& name, std::uint64_t from, std::uint64_t until, Dress& dress) {
  const Stream& stream = to_err ? err_ : out_;
  if (stream.is_pipe && dress.is_none() && until - from > kBuffer) {
    if (!flush() || !splice(stream, file, from, until)) return false;
  }
  std::string piece, dressed;
  while (from < until) {
    piece.resize(std::min<std::uint64_t>(kFilePiece, until - from));
    const ssize_t n = ::pread(file, piece.data(), piece.size(), static_cast<off_t>(from));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail({false, "cannot read " + name + ": " + (n == 0 ? "it is too short" : std::strerror(errno))});
    piece.resize(static_cast<std::size_t>(n));
    dressed.clear();
    if (!dress.is_none()) dress.append(piece, dressed);
    if (!append(to_err, dress.is_none() ? piece : dressed)) return false;
    from += static_cast<std::uint64_t>(n);
  }
  return true;
}

// As much as can go so; `from` says how much that was.
bool Outlet::splice(const Stream& stream, int file, std::uint64_t& from, std::uint64_t until) {
  while (from < until) {
    wait_for_room(stream);
    if (stopping_) return false;
    auto at = static_cast<loff_t>(from);
    const ssize_t n = ::splice(file, &at, stream.fd, nullptr, std::min<std::uint64_t>(1u << 20, until - from), SPLICE_F_NONBLOCK);
    if (n > 0) {
      from += static_cast<std::uint64_t>(n);
    } else if (n < 0 && errno == EPIPE) {
      return fail({true, "cannot write to " + stream.name + ": " + std::strerror(errno)});
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
      return true;  // what splice cannot do, read and write can, or say why not
    }
  }
  return true;
}

bool Outlet::flush() {
  if (failure_) return false;  // part of what is gathered may be out
  if (!buffer_.empty() && !write_all(*buffered_, buffer_)) return false;
  buffer_.clear();
  ++flushes_;
  return true;
}

bool Outlet::settle() {
  if (is_settled_) return true;
  for (const Stream* stream : {&out_, &err_}) {
    if (!stream->is_file) continue;
    const int copy = ::fcntl(stream->fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return fail({false, "cannot ask " + stream->name + " for errors: " + std::strerror(errno)});
    if (::close(copy) != 0 && errno != EINTR) return fail({false, "cannot write to " + stream->name + ": " + std::strerror(errno)});
  }
  return is_settled_ = true;
}

ssize_t Outlet::write_once(const Stream& stream, std::string_view bytes) {
  if (!stream.is_terminal) return ::write(stream.fd, bytes.data(), bytes.size());
  auto& line = cli::StatusLine::of_process();
  const auto way = line.make_way();
  const ssize_t n = ::write(stream.fd, bytes.data(), bytes.size());
  if (n > 0) line.note_written(bytes[static_cast<std::size_t>(n) - 1]);
  return n;
}

bool Outlet::write_all(const Stream& stream, std::string_view bytes) {
  while (!bytes.empty()) {
    if (!stream.is_file) wait_for_room(stream);
    if (stopping_) return false;
    const ssize_t n = write_once(stream, bytes.substr(0, stream.is_file ? bytes.size() : PIPE_BUF));
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      is_settled_ = is_settled_ && !stream.is_file;
    } else if (errno != EINTR && errno != EAGAIN) {  // EAGAIN: somebody else made it non-blocking
      return fail({errno == EPIPE, "cannot write to " + stream.name + ": " + std::strerror(errno)});
    }
  }
  return true;
}

// Until there is room, the reader has gone away (which is for write() to tell), or stop().
void Outlet::wait_for_room(const Stream& stream) {
  pollfd polled[] = {{stream.fd, POLLOUT, 0}, {stop_fd_.get(), POLLIN, 0}};
  while (::poll(polled, 2, -1) < 0 && errno == EINTR) {
  }
}

void Outlet::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then it is readable anyway.
  [[maybe_unused]] const ssize_t n = ::write(stop_fd_.get(), &one, sizeof one);
}

}  // namespace sink
