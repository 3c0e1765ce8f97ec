#include "io/reactor.h"

#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "io/signals.h"
#include "tests/io/support.h"

using io::Reactor;
using Tags = std::vector<Reactor::Tag>;

TEST_CASE("a wait ends at its deadline, not before and without spinning", "[reactor]") {
  Reactor reactor;
  const auto length = GENERATE(base::Duration(400), base::Duration(20'000));
  timespec before{}, after{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  int waits = 0;
  const auto deadline = io::now() + length;
  while (io::now() < deadline) {
    CHECK(reactor.wait(deadline).empty());
    ++waits;
  }
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  CHECK(waits <= 2);
  CHECK(reactor.wait(io::now() - std::chrono::seconds(1)).empty());
}

TEST_CASE("descriptors and sockets are waited for together, and named by their tags", "[reactor]") {
  auto zmq = io::Context::create(0, 16);
  auto pull = io::Pull::create(*zmq, 1000);
  auto bound = pull->bind("inproc://a");
  REQUIRE(bound);
  auto lane = io::Lane::open(*zmq, *bound);
  auto event = io::Event::create();
  Reactor reactor;
  reactor.watch(*pull, 7);
  reactor.watch(event->fd(), POLLIN, 8);
  CHECK(reactor.wait(io::now()).empty());

  event->set();
  CHECK(reactor.wait(test::soon()) == Tags{8});
  REQUIRE(lane->send("x") == io::Sent::Ok);
  CHECK(reactor.wait(test::soon()) == Tags{7, 8});
  event->clear();
  CHECK(reactor.wait(test::soon()) == Tags{7});
  std::string bytes;
  REQUIRE(pull->receive(bytes));
  CHECK(reactor.wait(io::now()).empty());

  event->set();
  reactor.unwatch(8);
  reactor.unwatch(8);
  CHECK_FALSE(reactor.is_watching(8));
  CHECK(reactor.is_watching(7));
  CHECK(reactor.wait(io::now()).empty());
}

TEST_CASE("a connecting lane wakes its thread when the connection stands", "[reactor]") {
  auto zmq = io::Context::create(1, 16);
  auto pull = io::Pull::create(*zmq, 1000);
  auto bound = pull->bind("tcp://127.0.0.1:*");
  REQUIRE(bound);
  auto lane = io::Lane::open(*zmq, *bound);
  REQUIRE(lane->send("x") == io::Sent::Ok);
  Reactor reactor;
  reactor.watch(*lane, 1);
  CHECK(reactor.wait(test::soon()) == Tags{1});
  CHECK(lane->flush() == io::Sent::Ok);
  CHECK_FALSE(lane->is_connecting());
  reactor.unwatch(1);
  reactor.watch(*pull, 2);
  CHECK(reactor.wait(test::soon()) == Tags{2});
}

TEST_CASE("a wait without deadline is ended by another thread's bell", "[reactor]") {
  auto event = io::Event::create();
  Reactor reactor;
  reactor.watch(event->fd(), POLLIN, 1);
  std::thread other([&] { event->set(); });
  CHECK(reactor.wait(base::kNever) == Tags{1});
  other.join();
}

TEST_CASE("the other end of a pipe closing is ready", "[reactor]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Reactor reactor;
  reactor.watch(ends[0], POLLIN, 1);
  CHECK(reactor.wait(io::now()).empty());
  ::close(ends[1]);
  CHECK(reactor.wait(test::soon()) == Tags{1});
  ::close(ends[0]);
}
