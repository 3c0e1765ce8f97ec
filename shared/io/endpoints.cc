#include "io/endpoints.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>

#include "io/entropy.h"
#include "io/run_directory.h"
#include "io/unique_fd.h"

namespace io {

using base::Error;

namespace {

constexpr std::string_view kTcp = "tcp://", kIpc = "ipc://", kInproc = "inproc://";
constexpr std::size_t kMaxIpcPath = sizeof(sockaddr_un{}.sun_path) - 1;
constexpr std::size_t kMaxHost = 240;  // with scheme and port within the protocol's limit of a name

Error bad(std::string_view text, const std::string& why) {
  return {Error::Kind::Usage, "bad endpoint '" + std::string(text) + "': " + why};
}

using AddressInfo = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

base::Result<AddressInfo> resolve(const std::string& host) {
  std::string name = host;
  addrinfo hints{};
  hints.ai_family = AF_INET;  // sockets speak IPv6 only for a literal [address]
  if (name.starts_with('[') && name.ends_with(']')) {
    name = name.substr(1, name.size() - 2);
    hints.ai_family = AF_INET6;
  }
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(name.c_str(), "9", &hints, &found);
  if (error != 0) return Error{Error::Kind::Protocol, "cannot find host '" + host + "': " + ::gai_strerror(error)};
  return AddressInfo(found, &::freeaddrinfo);
}

std::string numeric_host(const sockaddr* address, socklen_t size) {
  char text[NI_MAXHOST] = "";
  ::getnameinfo(address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return address->sa_family == AF_INET6 ? "[" + std::string(text) + "]" : std::string(text);
}

// Connecting a datagram socket sends nothing, but makes the kernel choose the way and with it our address.
base::Result<std::string> local_address_towards(const std::string& host) {
  auto info = resolve(host);
  if (!info) return info.error();
  const addrinfo& there = **info;
  const UniqueFd fd(::socket(there.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage mine{};
  socklen_t size = sizeof mine;
  if (!fd || ::connect(fd.get(), there.ai_addr, there.ai_addrlen) != 0 || ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&mine), &size) != 0)
    return Error{Error::Kind::Protocol, "cannot find the way to host '" + host + "': " + std::strerror(errno)};
  return numeric_host(reinterpret_cast<const sockaddr*>(&mine), size);
}

base::Result<Endpoint> parse_tcp(std::string_view text, EndpointUse use) {
  const std::string_view rest = text.substr(kTcp.size());
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == rest.size()) return bad(text, "the port is missing; write tcp://HOST:PORT");
  Endpoint endpoint{Transport::Tcp, std::string(rest.substr(0, colon)), std::string(rest.substr(colon + 1)), ""};
  const bool listens = use == EndpointUse::Listen;

  if (endpoint.host.empty()) return bad(text, "the host is missing; write tcp://HOST:PORT");
  if (endpoint.host.size() > kMaxHost) return bad(text.substr(0, 60), "the host name is too long");
  if (endpoint.host == "*" && !listens) return bad(text, "'*' is a place to listen on, not one to connect to");
  const bool is_bracketed = endpoint.host.front() == '[' && endpoint.host.back() == ']';
  if (!is_bracketed && endpoint.host.find(':') != std::string::npos) return bad(text, "write an IPv6 address in brackets: tcp://[::1]:PORT");
  if (endpoint.host.find_first_of(";@/ \t\n") != std::string::npos) return bad(text, "the host has characters that no host name has");

  unsigned port = 0;
  const char* const end = endpoint.port.data() + endpoint.port.size();
  const auto [stop, error] = std::from_chars(endpoint.port.data(), end, port);
  const bool is_number = error == std::errc() && stop == end && port <= 65535;
  if (endpoint.port != "*" && !is_number) return bad(text, "the port is not a number from 1 to 65535");
  if (endpoint.port == "*" || port == 0) {
    if (!listens) return bad(text, "the port to connect to must be a number from 1 to 65535");
    endpoint.port = "*";
  }
  return endpoint;
}

base::Result<Endpoint> parse_ipc(std::string_view text, EndpointUse use) {
  Endpoint endpoint{Transport::Ipc, "", "", std::string(text.substr(kIpc.size()))};
  if (endpoint.path.empty() || endpoint.path.ends_with('/')) return bad(text, "the name of the socket file is missing; write ipc:///PATH");
  if (endpoint.path.front() == '@') return bad(text, "abstract sockets have no permissions; write ipc:///PATH");
  if (endpoint.path.find('\0') != std::string::npos) return bad("ipc://", "the path has a zero byte");
  if (endpoint.path.front() != '/') {
    std::error_code error;
    const auto here = std::filesystem::current_path(error);
    if (error) return bad(text, "the path is relative and the working directory is gone");
    endpoint.path = here.string() + "/" + endpoint.path;
  }
  const bool is_wild = endpoint.path.ends_with("/*");
  if (is_wild && use == EndpointUse::Connect) return bad(text, "'*' is a place to listen on, not one to connect to");
  if (endpoint.path.size() > kMaxIpcPath)
    return bad(text, "the path is " + std::to_string(endpoint.path.size()) + " bytes long, and a socket's may have " +
                         std::to_string(kMaxIpcPath) + "; choose a shorter directory");
  return endpoint;
}

base::Result<std::string> private_ipc_endpoint() {
  auto directory = runtime_directory();
  if (!directory) return directory.error();
  return std::string(kIpc) + *directory + "/*";
}

}  // namespace

std::string Endpoint::text() const {
  switch (transport) {
    case Transport::Tcp: return std::string(kTcp) + host + ":" + port;
    case Transport::Ipc: return std::string(kIpc) + path;
    case Transport::Inproc: break;
  }
  return std::string(kInproc) + path;
}

base::Result<Endpoint> parse_endpoint(std::string_view text, EndpointUse use) {
  if (text.starts_with(kTcp)) return parse_tcp(text, use);
  if (text.starts_with(kIpc)) return parse_ipc(text, use);
  if (text.starts_with(kInproc)) {
    if (text.size() == kInproc.size()) return bad(text, "the name is missing");
    return Endpoint{Transport::Inproc, "", "", std::string(text.substr(kInproc.size()))};
  }
  return bad(text, "it must begin with tcp:// or ipc://");
}

base::Result<Endpoint> bindable_endpoint(const Endpoint& endpoint) {
  Endpoint bindable = endpoint;
  if (endpoint.transport == Transport::Ipc && endpoint.path.ends_with("/*")) {
    bindable.path.pop_back();
    bindable.path += random_hex(6);
    if (bindable.path.size() > kMaxIpcPath) return bad(endpoint.text(), "the directory's name is too long for a socket");
  }
  const bool is_name = endpoint.transport == Transport::Tcp && endpoint.host != "*" && endpoint.host.front() != '[' &&
                       ::if_nametoindex(endpoint.host.c_str()) == 0;
  if (is_name) {
    auto info = resolve(endpoint.host);
    if (!info) return Error{info.error().kind, "cannot listen on " + endpoint.text() + ": " + info.error().message};
    bindable.host = numeric_host((*info)->ai_addr, (*info)->ai_addrlen);
  }
  return bindable;
}

base::Result<std::string> default_listen(std::string_view sink_endpoint) {
  auto sink = parse_endpoint(sink_endpoint, EndpointUse::Connect);
  if (!sink) return sink.error();
  switch (sink->transport) {
    case Transport::Ipc: return private_ipc_endpoint();
    case Transport::Inproc: return std::string(kInproc) + random_hex(8);
    case Transport::Tcp: break;
  }
  auto address = local_address_towards(sink->host);
  if (!address) return address.error();
  return std::string(kTcp) + *address + ":*";
}

base::Result<std::string> reachable_endpoint(std::string_view bound, std::string_view sink_endpoint) {
  auto own = parse_endpoint(bound, EndpointUse::Listen);
  if (!own) return own.error();
  if (own->transport != Transport::Tcp || (own->host != "0.0.0.0" && own->host != "[::]" && own->host != "*")) return std::string(bound);
  auto sink = parse_endpoint(sink_endpoint, EndpointUse::Connect);
  if (!sink) return sink.error();
  if (sink->transport != Transport::Tcp) own->host = own->host == "[::]" ? "[::1]" : "127.0.0.1";
  else if (auto address = local_address_towards(sink->host); address) own->host = *address;
  else return address.error();
  return own->text();
}

bool needs_insecure(std::string_view endpoint) { return endpoint.starts_with(kTcp); }

Error insecure_refusal(std::string_view endpoint) {
  return {Error::Kind::Usage, "refusing " + std::string(endpoint) +
                                  ": whoever can connect to it, every user of this host included, could run commands as you; use an ipc:// "
                                  "endpoint, or add --insecure if nobody else can reach it"};
}

base::Status check_endpoint(std::string_view endpoint, EndpointUse use, bool is_insecure_allowed) {
  const auto parsed = parse_endpoint(endpoint, use);
  if (!parsed) return parsed.error();
  if (parsed->transport == Transport::Inproc) {
    return base::Error{base::Error::Kind::Usage, std::string(endpoint) + " is for the threads of one process; programs meet at ipc:// or tcp://"};
  }
  if (needs_insecure(endpoint) && !is_insecure_allowed) return insecure_refusal(endpoint);
  return base::ok();
}

}  // namespace io
