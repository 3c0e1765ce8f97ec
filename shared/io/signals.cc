#include "io/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace io {

namespace {

base::Error failure(const char* what) { return {base::Error::Kind::Io, std::string(what) + ": " + std::strerror(errno)}; }

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

base::Result<Signals> Signals::block(std::initializer_list<int> more) {
  // A standard stream that the caller closed would be the next file that we open, and be written to as if it were that stream.
  // What is written to a closed stdout is an error: it is lost.
  for (int last = -1; last < STDERR_FILENO;) {
    last = ::open("/dev/null", ::fcntl(STDIN_FILENO, F_GETFD) >= 0 && ::fcntl(STDOUT_FILENO, F_GETFD) < 0 ? O_RDONLY : O_RDWR);
    if (last < 0) break;
    if (last > STDERR_FILENO) ::close(last);
  }
  Signals signals;
  sigset_t caught;
  ::sigemptyset(&caught);
  const auto add = [&caught](int signal) {
    if (!is_ignored(signal)) ::sigaddset(&caught, signal);  // blocked, it would reach signalfd although ignored
  };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) add(signal);
  for (const int signal : more) add(signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &caught, &signals.original_mask_); error != 0) {
    errno = error;
    return failure("cannot block signals");
  }
  signals.was_sigpipe_ignored_ = is_ignored(SIGPIPE);
  std::signal(SIGXFSZ, SIG_IGN);  // a write over the limit of file sizes fails then, with a reason
  std::signal(SIGPIPE, SIG_IGN);
  signals.fd_.reset(::signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals.fd_) return failure("cannot wait for signals");
  return signals;
}

std::optional<int> Signals::next() {
  signalfd_siginfo info;
  ssize_t got;
  do got = ::read(fd_.get(), &info, sizeof info);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

base::Result<Event> Event::create() {
  Event event;
  event.fd_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!event.fd_) return failure("cannot make an event");
  return event;
}

void Event::set() const {
  const std::uint64_t one = 1;
  // EAGAIN means that the count is full: it is set.
  while (::write(fd_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Event::clear() const {
  std::uint64_t count;
  while (::read(fd_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

bool Event::is_set() const {
  pollfd item{fd_.get(), POLLIN, 0};
  return ::poll(&item, 1, 0) == 1;
}

}  // namespace io
