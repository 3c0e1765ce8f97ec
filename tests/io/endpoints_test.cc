#include "io/endpoints.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "io/socket.h"
#include "tests/io/support.h"

using base::Error;
using io::Endpoint;
using io::EndpointUse;
using io::parse_endpoint;
using io::Transport;

TEST_CASE("endpoints are taken apart and put together again", "[endpoints]") {
  auto tcp = parse_endpoint("tcp://head.example:7000", EndpointUse::Connect);
  REQUIRE(tcp);
  CHECK(tcp->transport == Transport::Tcp);
  CHECK(tcp->host == "head.example");
  CHECK(tcp->port == "7000");
  const std::string text = GENERATE(values<std::string>(
      {"tcp://head.example:7000", "tcp://10.0.0.1:1", "tcp://[::1]:65535", "ipc:///run/user/0/s", "inproc://a"}));
  CHECK(parse_endpoint(text, EndpointUse::Connect)->text() == text);
  CHECK(parse_endpoint(text, EndpointUse::Listen)->text() == text);
}

TEST_CASE("wildcards are for listening", "[endpoints]") {
  const std::string text = GENERATE(values<std::string>({"tcp://*:7000", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "ipc:///tmp/*"}));
  CHECK(parse_endpoint(text, EndpointUse::Listen));
  CHECK_FALSE(parse_endpoint(text, EndpointUse::Connect));
}

TEST_CASE("a bad endpoint is a usage error that repeats it", "[endpoints]") {
  const std::string text = GENERATE(values<std::string>(
      {"", "head:7000", "udp://a:1", "tcp://", "tcp://head", "tcp://head:", "tcp://:7000", "tcp://head:65536", "tcp://head:-1",
       "tcp://head:7000x", "tcp://::1:7000", "tcp://he ad:7000", "tcp://a;b:7000", "ipc://", "ipc:///tmp/", "ipc://@abstract", "inproc://"}));
  auto endpoint = parse_endpoint(text, EndpointUse::Listen);
  REQUIRE_FALSE(endpoint);
  CHECK(endpoint.error().kind == Error::Kind::Usage);
  CHECK_THAT(endpoint.error().message, Catch::Contains("'" + text + "'"));
}

TEST_CASE("an ipc path may have 107 bytes", "[endpoints]") {
  CHECK(parse_endpoint("ipc:///" + std::string(106, 'x'), EndpointUse::Listen));
  auto endpoint = parse_endpoint("ipc:///" + std::string(107, 'x'), EndpointUse::Listen);
  REQUIRE_FALSE(endpoint);
  CHECK_THAT(endpoint.error().message, Catch::Contains("108 bytes") && Catch::Contains("107"));
}

TEST_CASE("a relative ipc path is taken from the working directory", "[endpoints]") {
  test::TemporaryDirectory directory;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  auto endpoint = parse_endpoint("ipc://s", EndpointUse::Connect);
  std::filesystem::current_path(before);
  REQUIRE(endpoint);
  CHECK(endpoint->path == std::filesystem::canonical(directory.path()).string() + "/s");
}

TEST_CASE("the default place to listen matches the sink's transport and can be bound", "[endpoints]") {
  test::TemporaryDirectory runtime;
  const test::Variable variable("XDG_RUNTIME_DIR", runtime.path());
  auto zmq = io::Context::create(1, 16);
  const auto listens = [&](const char* sink) {
    auto endpoint = io::default_listen(sink);
    REQUIRE(endpoint);
    auto pull = io::Pull::create(*zmq, 1000);
    auto bound = pull->bind(*endpoint);
    if (!bound) FAIL(bound.error().message);
    return *bound;
  };
  CHECK_THAT(listens("tcp://127.0.0.1:7000"), Catch::StartsWith("tcp://127.0.0.1:"));
  CHECK_THAT(listens("tcp://localhost:7000"), Catch::StartsWith("tcp://127.0.0.1:"));
  CHECK_THAT(listens("ipc:///tmp/s"), Catch::StartsWith("ipc://" + runtime.path() + "/pushmill/"));
  CHECK(listens("ipc:///tmp/s") != listens("ipc:///tmp/s"));
  CHECK_THAT(listens("inproc://s"), Catch::StartsWith("inproc://"));
  CHECK(listens("inproc://s") != listens("inproc://s"));
}

TEST_CASE("a host that does not exist is named", "[endpoints]") {
  auto endpoint = io::default_listen("tcp://no-such-host.invalid:7000");
  REQUIRE_FALSE(endpoint);
  CHECK_THAT(endpoint.error().message, Catch::Contains("no-such-host.invalid"));
}

TEST_CASE("a wildcard address becomes one that peers can dial", "[endpoints]") {
  CHECK(*io::reachable_endpoint("tcp://0.0.0.0:7001", "tcp://127.0.0.1:7000") == "tcp://127.0.0.1:7001");
  CHECK(*io::reachable_endpoint("tcp://0.0.0.0:7001", "ipc:///tmp/s") == "tcp://127.0.0.1:7001");
  CHECK(*io::reachable_endpoint("tcp://10.0.0.1:7001", "tcp://127.0.0.1:7000") == "tcp://10.0.0.1:7001");
  CHECK(*io::reachable_endpoint("ipc:///tmp/s", "ipc:///tmp/t") == "ipc:///tmp/s");
}

TEST_CASE("every tcp endpoint needs --insecure, and the refusal says why", "[endpoints]") {
  CHECK(io::needs_insecure("tcp://127.0.0.1:7000"));
  CHECK(io::needs_insecure("tcp://*:*"));
  CHECK_FALSE(io::needs_insecure("ipc:///tmp/s"));
  CHECK_FALSE(io::needs_insecure("inproc://a"));
  const auto refusal = io::insecure_refusal("tcp://127.0.0.1:7000");
  CHECK(refusal.kind == Error::Kind::Usage);
  CHECK_THAT(refusal.message, Catch::Contains("tcp://127.0.0.1:7000") && Catch::Contains("run commands as you") && Catch::Contains("--insecure"));
}
