#include "io/signals.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

namespace {

// In a process of its own: what it tests is per process and stays.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    ::_exit(body());
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

bool is_ready(int fd) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1, 0) == 1;
}

}  // namespace

TEST_CASE("signals are read, not suffered", "[signals]") {
  CHECK(in_child([] {
          auto signals = io::Signals::block();
          if (!signals || signals->next()) return 1;
          for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
            ::kill(::getpid(), signal);
            if (!is_ready(signals->fd()) || signals->next() != signal || signals->next()) return 2;
          }
          return 0;
        }) == 0);
}

TEST_CASE("writing to a pipe without reader does not kill", "[signals]") {
  CHECK(in_child([] {
          auto signals = io::Signals::block();
          int ends[2];
          if (!signals || signals->was_sigpipe_ignored() || ::pipe(ends) != 0) return 1;
          ::close(ends[0]);
          return ::write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
        }) == 0);
}

TEST_CASE("a signal ignored from the start stays ignored", "[signals]") {
  CHECK(in_child([] {
          std::signal(SIGHUP, SIG_IGN);
          std::signal(SIGPIPE, SIG_IGN);
          auto signals = io::Signals::block();
          if (!signals || !signals->was_sigpipe_ignored()) return 1;
          ::kill(::getpid(), SIGHUP);
          return signals->next() ? 2 : 0;
        }) == 0);
}

TEST_CASE("the mask from before is kept for children", "[signals]") {
  CHECK(in_child([] {
          sigset_t blocked;
          ::sigemptyset(&blocked);
          ::sigaddset(&blocked, SIGUSR1);
          ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
          auto signals = io::Signals::block();
          if (!signals) return 1;
          const auto& mask = signals->original_mask();
          return ::sigismember(&mask, SIGUSR1) == 1 && ::sigismember(&mask, SIGTERM) == 0 ? 0 : 2;
        }) == 0);
}

TEST_CASE("an event stays set until it is cleared", "[signals]") {
  auto event = io::Event::create();
  REQUIRE(event);
  CHECK_FALSE(event->is_set());
  event->set();
  event->set();
  CHECK(event->is_set());
  CHECK(event->is_set());
  event->clear();
  CHECK_FALSE(event->is_set());
  event->clear();
}
