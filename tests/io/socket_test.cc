#include "io/socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <optional>

#include "io/monitor.h"
#include "io/reactor.h"
#include "io/unique_fd.h"
#include "tests/io/support.h"

using base::Error;
using io::Context;
using io::Lane;
using io::Pull;
using io::Reactor;
using io::Sent;
using io::Uplink;

namespace {

constexpr std::size_t kMaxFrame = 1 << 20;

Context context(int io_threads = 1, int max_sockets = 1024) {
  auto made = Context::create(io_threads, max_sockets);
  REQUIRE(made);
  return std::move(*made);
}

Pull pull(Context& context) {
  auto made = Pull::create(context, kMaxFrame);
  REQUIRE(made);
  return std::move(*made);
}

std::string listen_on(Pull& pull, const std::string& endpoint) {
  auto bound = pull.bind(endpoint);
  if (!bound) FAIL(bound.error().message);
  return *bound;
}

Lane lane(Context& context, const std::string& endpoint, std::size_t queue_bytes = Lane::kQueueBytes) {
  auto opened = Lane::open(context, endpoint, queue_bytes);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

Uplink uplink(Context& context, const std::string& endpoint, int outbox = 1000) {
  auto made = Uplink::create(context, endpoint, outbox);
  if (!made) FAIL(made.error().message);
  return std::move(*made);
}

// The next frame, or nothing after ten seconds.
std::optional<std::string> next_frame(Pull& pull) {
  Reactor reactor;
  reactor.watch(pull, 1);
  const auto deadline = test::soon();
  for (std::string bytes; io::now() < deadline; reactor.wait(deadline))
    if (pull.receive(bytes)) return bytes;
  return std::nullopt;
}

bool becomes_open(Lane& lane) {
  return test::eventually([&] {
    lane.flush();
    return !lane.is_connecting();
  });
}

bool becomes_gone(Lane& lane) {
  return test::eventually([&] { return lane.is_gone(); });
}

// A server that is none of ours.
struct Stranger {
  explicit Stranger(int backlog = 5) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd.get(), backlog) == 0);
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    endpoint = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  io::UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string endpoint;
};

// A port where nobody listens now, and nobody is likely to soon. Not by a Pull: ZeroMQ closes in the background.
std::string dead_endpoint() { return Stranger().endpoint; }

const std::initializer_list<std::string> kEndpoints = {"tcp://127.0.0.1:*", "ipc", "inproc://a"};

std::string endpoint_in(const test::TemporaryDirectory& directory, const std::string& kind) {
  return kind == "ipc" ? "ipc://" + directory.path() + "/*" : kind;
}

}  // namespace

TEST_CASE("frames of an uplink and of a lane arrive whole and in order over every transport", "[socket]") {
  const std::string kind = GENERATE(values<std::string>({"tcp://127.0.0.1:*", "tcp://localhost:*", "ipc", "inproc://a"}));
  test::TemporaryDirectory directory;
  auto zmq = context();
  auto in = pull(zmq);
  const auto endpoint = listen_on(in, endpoint_in(directory, kind));
  const std::string binary("a\0b", 3);

  auto up = uplink(zmq, endpoint);
  for (const auto& frame : {binary, std::string(), std::string(kMaxFrame, 'x')}) {
    REQUIRE(up.send(frame));
    CHECK(next_frame(in) == frame);
  }
  auto down = lane(zmq, endpoint);
  for (int i = 0; i < 100; ++i) REQUIRE(down.send(std::to_string(i)) == Sent::Ok);
  REQUIRE(becomes_open(down));
  for (int i = 0; i < 100; ++i) CHECK(next_frame(in) == std::to_string(i));
}

TEST_CASE("a context without I/O threads serves inproc and refuses tcp", "[socket]") {
  auto zmq = context(0);
  auto in = pull(zmq);
  auto down = lane(zmq, listen_on(in, "inproc://a"));
  REQUIRE(down.send("x") == Sent::Ok);
  CHECK(next_frame(in) == "x");
  CHECK_FALSE(Lane::open(zmq, "tcp://127.0.0.1:9"));
}

TEST_CASE("one pull listens on several endpoints", "[socket]") {
  auto zmq = context();
  auto in = pull(zmq);
  const auto first = listen_on(in, "tcp://127.0.0.1:*"), second = listen_on(in, "tcp://127.0.0.1:*");
  CHECK(first != second);
  auto a = uplink(zmq, first), b = uplink(zmq, second);
  REQUIRE(a.send("x"));
  CHECK(next_frame(in) == "x");
  REQUIRE(b.send("y"));
  CHECK(next_frame(in) == "y");
}

TEST_CASE("an endpoint in use is named", "[socket]") {
  test::TemporaryDirectory directory;
  const std::string kind = GENERATE(values<std::string>(kEndpoints));
  auto zmq = context();
  auto first = pull(zmq), second = pull(zmq);
  const auto endpoint = listen_on(first, endpoint_in(directory, kind));
  auto stolen = second.bind(endpoint);
  REQUIRE_FALSE(stolen);
  CHECK(stolen.error().kind == Error::Kind::Protocol);
  CHECK(stolen.error().message == "cannot listen on " + endpoint + ": Address already in use");
}

TEST_CASE("an abandoned ipc socket is taken over, a file that is none is left alone", "[socket]") {
  test::TemporaryDirectory directory;
  const auto path = directory / "s";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  {
    const io::UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    REQUIRE(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  auto zmq = context();
  auto in = pull(zmq);
  auto up = uplink(zmq, listen_on(in, "ipc://" + path));
  REQUIRE(up.send("x"));
  CHECK(next_frame(in) == "x");

  std::ofstream(directory / "file") << "precious";
  auto refused = in.bind("ipc://" + (directory / "file"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == Error::Kind::Usage);
  CHECK(std::filesystem::file_size(directory / "file") == 8);
}

TEST_CASE("a closed pull removes its ipc socket file, unless another has taken the path over", "[socket]") {
  test::TemporaryDirectory directory;
  auto zmq = context();
  const auto path = directory / "s";
  auto first = pull(zmq);
  listen_on(first, "ipc://" + path);
  std::filesystem::remove(path);
  auto second = pull(zmq);
  listen_on(second, "ipc://" + path);
  first.close(base::Duration::zero());
  CHECK(std::filesystem::exists(path));
  second.close(base::Duration::zero());
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("another user cannot send to an ipc endpoint", "[socket]") {
  if (::geteuid() != 0) {
    WARN("needs root to become another user");
    return;
  }
  test::TemporaryDirectory directory;
  ::chmod(directory.path().c_str(), 0755);
  const test::Umask umask(0);
  auto zmq = context();
  auto in = pull(zmq);
  const auto endpoint = listen_on(in, "ipc://" + directory.path() + "/s");
  const pid_t child = ::fork();
  if (child == 0) {
    // A raw connection, since the greeting is what a listener sends to whom it admits.
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    endpoint.copy(address.sun_path, sizeof address.sun_path - 1, 6);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    char byte;
    if (::setuid(65534) != 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::_exit(2);
    ::_exit(::read(fd, &byte, 1) <= 0 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("a frame above the limit cuts its sender off and nothing else", "[socket]") {
  auto zmq = context();
  auto in = pull(zmq);
  const auto endpoint = listen_on(in, "tcp://127.0.0.1:*");
  auto rude = lane(zmq, endpoint), good = lane(zmq, endpoint);
  REQUIRE(rude.send(std::string(kMaxFrame + 1, 'x')) == Sent::Ok);
  REQUIRE(becomes_open(rude));
  CHECK(becomes_gone(rude));
  REQUIRE(good.send("x") == Sent::Ok);
  REQUIRE(becomes_open(good));
  CHECK(next_frame(in) == "x");
}

TEST_CASE("a frame can be read where ZeroMQ put it", "[socket]") {
  auto zmq = context(0);
  auto in = pull(zmq);
  auto down = lane(zmq, listen_on(in, "inproc://a"));
  REQUIRE(down.send("first") == Sent::Ok);
  REQUIRE(down.send("second") == Sent::Ok);
  io::Frame frame;
  REQUIRE(in.receive(frame));
  CHECK(frame.bytes() == "first");
  REQUIRE(in.receive(frame));
  CHECK(frame.bytes() == "second");
  CHECK_FALSE(in.receive(frame));
}

TEST_CASE("an uplink reaches a peer that comes later, and again after a restart", "[socket]") {
  auto zmq = context();
  const auto endpoint = dead_endpoint();
  auto up = uplink(zmq, endpoint);
  REQUIRE(up.send("early"));
  {
    auto in = pull(zmq);
    REQUIRE(test::eventually([&] { return static_cast<bool>(in.bind(endpoint)); }));
    CHECK(next_frame(in) == "early");
  }
  auto in = pull(zmq);
  REQUIRE(test::eventually([&] { return static_cast<bool>(in.bind(endpoint)); }));
  // What is sent before the break is noticed may be lost: go on until one arrives.
  CHECK(test::eventually([&] {
    (void)up.send("late");
    std::string bytes;
    return in.receive(bytes);
  }));
}

TEST_CASE("a full outbox refuses and has room again when the peer reads", "[socket]") {
  auto zmq = context();
  const auto endpoint = dead_endpoint();
  auto up = uplink(zmq, endpoint, 3);
  for (int i = 0; i < 3; ++i) REQUIRE(up.send("x"));
  REQUIRE_FALSE(up.send("x"));
  Reactor reactor;
  reactor.watch(up, 1);
  CHECK(reactor.wait(io::now()).empty());
  auto in = pull(zmq);
  REQUIRE(test::eventually([&] { return static_cast<bool>(in.bind(endpoint)); }));
  CHECK(reactor.wait(test::soon()) == std::vector<Reactor::Tag>{1});
  CHECK(up.send("x"));
}

TEST_CASE("a lane to a dead endpoint stays connecting, keeps its frames, and never comes to life", "[socket]") {
  auto zmq = context();
  const auto endpoint = dead_endpoint();
  auto dead = lane(zmq, endpoint, 10);
  CHECK(dead.send("12345") == Sent::Ok);
  CHECK(dead.flush() == Sent::Ok);
  // ZeroMQ's one I/O thread works in order: once this lane stands, the connect of the first has failed.
  auto elsewhere = pull(zmq);
  auto later = lane(zmq, listen_on(elsewhere, "tcp://127.0.0.1:*"));
  REQUIRE(becomes_open(later));

  auto in = pull(zmq);
  listen_on(in, endpoint);
  auto next = lane(zmq, endpoint);
  REQUIRE(next.send("of the next lane") == Sent::Ok);
  REQUIRE(becomes_open(next));
  CHECK(next_frame(in) == "of the next lane");
  CHECK(dead.flush() == Sent::Ok);
  CHECK(dead.is_connecting());
  CHECK_FALSE(dead.is_gone());

  CHECK(dead.send("123456") == Sent::Gone);  // more than it may keep
  CHECK(dead.send("1") == Sent::Gone);
  CHECK(dead.is_gone());
}

TEST_CASE("a lane whose peer goes away says so, for good", "[socket]") {
  const std::string kind = GENERATE(values<std::string>(kEndpoints));
  test::TemporaryDirectory directory;
  auto zmq = context();
  auto in = pull(zmq);
  const auto endpoint = listen_on(in, endpoint_in(directory, kind));
  auto down = lane(zmq, endpoint);
  REQUIRE(down.send("x") == Sent::Ok);
  REQUIRE(becomes_open(down));
  REQUIRE(next_frame(in) == "x");
  in.close(base::Duration::zero());
  CHECK(test::eventually([&] { return down.send("y") == Sent::Gone; }));

  auto again = pull(zmq);
  REQUIRE(test::eventually([&] { return static_cast<bool>(again.bind(endpoint)); }));
  CHECK(down.send("z") == Sent::Gone);
  CHECK(down.flush() == Sent::Gone);
}

TEST_CASE("a lane that nobody sends to notices that its peer was killed", "[socket]") {
  test::TemporaryDirectory directory;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const auto endpoint = "ipc://" + directory.path() + "/s";
  const pid_t child = ::fork();
  if (child == 0) {
    auto zmq = Context::create(1, 16);
    auto in = Pull::create(*zmq, kMaxFrame);
    if (!in->bind(endpoint)) ::_exit(1);
    (void)!::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char byte;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  auto zmq = context();
  auto down = lane(zmq, endpoint);
  REQUIRE(becomes_open(down));
  CHECK_FALSE(down.is_gone());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(becomes_gone(down));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("a clean end lets queued frames out", "[socket]") {
  auto receiving = context();
  auto in = pull(receiving);
  const auto endpoint = listen_on(in, "tcp://127.0.0.1:*");
  {
    auto zmq = context();
    auto up = uplink(zmq, endpoint);
    for (int i = 0; i < 100; ++i) REQUIRE(up.send(std::to_string(i)));
    up.close(std::chrono::seconds(10));
  }
  for (int i = 0; i < 100; ++i) CHECK(next_frame(in) == std::to_string(i));
}

TEST_CASE("a context with unsent frames ends at once when its sockets were given up", "[socket]") {
  const auto start = io::now();
  {
    auto zmq = context();
    auto up = uplink(zmq, dead_endpoint());
    REQUIRE(up.send("x"));
  }
  CHECK(io::now() - start < std::chrono::seconds(5));
}

TEST_CASE("more sockets than asked for are an error, not a crash", "[socket]") {
  auto zmq = context(1, 2);
  auto first = pull(zmq), second = pull(zmq);
  auto third = Pull::create(zmq, kMaxFrame);
  REQUIRE_FALSE(third);
  CHECK_THAT(third.error().message, Catch::StartsWith("cannot make a socket"));
}

TEST_CASE("a monitor tells in words what stands in the way of a connection", "[socket]") {
  auto zmq = context();
  io::Monitor monitor;
  const auto connect = [&](const std::string& endpoint) {
    auto made = Uplink::create(zmq, endpoint, 10, &monitor);
    REQUIRE(made);
    return std::move(*made);
  };
  const auto says = [&](const std::string& words) {
    return test::eventually([&] { return words.empty() ? monitor.trouble().empty() : monitor.trouble().find(words) != std::string::npos; });
  };
  const auto endpoint = dead_endpoint();
  {
    auto up = connect(endpoint);
    CHECK(says(": nobody answers there"));
    auto in = pull(zmq);
    REQUIRE(test::eventually([&] { return static_cast<bool>(in.bind(endpoint)); }));
    CHECK(says(""));
    in.close(base::Duration::zero());
    CHECK(says(": the connection was lost"));
  }
  // What was known holds for the next connection until something happens to it.
  const Stranger server;
  auto up = connect(server.endpoint);
  CHECK_FALSE(monitor.trouble().empty());
  const io::UniqueFd connection(::accept(server.fd.get(), nullptr, nullptr));
  REQUIRE(::send(connection.get(), "220 mail.example.org ESMTP\r\n", 28, 0) == 28);
  CHECK(says("does not speak this protocol"));
}

TEST_CASE("what becomes of a closed connection is told to nobody, and stops no other", "[socket]") {
  auto zmq = context();
  const Stranger full(0);  // one waits there to be accepted, and the next gets no answer
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(full.fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const io::UniqueFd first(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(first.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);

  std::optional<io::Monitor> monitor(std::in_place);
  auto up = Uplink::create(zmq, full.endpoint, 10, &*monitor);
  REQUIRE(up);
  REQUIRE(up->send("for which ZeroMQ waits a little"));
  up->close(std::chrono::milliseconds(200));
  monitor.reset();
  ::usleep(400'000);  // now it has given up, and would say so

  auto in = pull(zmq);
  auto other = uplink(zmq, listen_on(in, "tcp://127.0.0.1:*"));
  REQUIRE(other.send("frame"));
  CHECK(next_frame(in) == "frame");
}
