// Where a socket listens or connects: tcp://HOST:PORT, ipc://PATH or inproc://NAME. Parsing, choosing defaults, and the one refusal of tcp.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace io {

enum class Transport { Tcp, Ipc, Inproc };
enum class EndpointUse { Listen, Connect };

struct Endpoint {
  Transport transport = Transport::Tcp;
  std::string host;  // tcp: a name, an address ("[::1]" in brackets) or "*"
  std::string port;  // tcp: a number or "*"
  std::string path;  // ipc: absolute; inproc: the name
  std::string text() const;
};

// Errors are of kind Usage and say what is wrong. A relative ipc path is taken from the working directory. Listening only: host `*`, port `*`
// or 0 (any free one), and an ipc path whose last part is `*` (a random name).
base::Result<Endpoint> parse_endpoint(std::string_view text, EndpointUse use);

// What ZeroMQ can bind: it knows addresses and interfaces, not host names, and no random ipc names.
base::Result<Endpoint> bindable_endpoint(const Endpoint& endpoint);

// Where to listen, for a role that was only told where the sink is: a private ipc path for an ipc sink, for tcp any free port of the
// address this host uses to reach the sink, for inproc a name of its own.
base::Result<std::string> default_listen(std::string_view sink_endpoint);

// `bound`, as a peer can dial it: the wildcard addresses 0.0.0.0 and [::] become the address this host uses to reach `sink_endpoint`.
base::Result<std::string> reachable_endpoint(std::string_view bound, std::string_view sink_endpoint);

// True for every tcp endpoint, loopback too: whoever can connect could run commands.
bool needs_insecure(std::string_view endpoint);
base::Error insecure_refusal(std::string_view endpoint);  // kind Usage
// Whether a program may use `endpoint`: well-formed, not inproc, and not tcp unless `is_insecure_allowed`.
base::Status check_endpoint(std::string_view endpoint, EndpointUse use, bool is_insecure_allowed);

}  // namespace io
