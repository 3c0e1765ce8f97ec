#include "io/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "io/clock.h"
#include "io/endpoints.h"
#include "io/monitor.h"
#include "io/open_files.h"
#include "io/unique_fd.h"

namespace io {

using base::Error;

namespace {

// A dead peer is noticed by the kernel; ZMTP heartbeats are off, since they cut peers that are merely busy.
constexpr int kConnectTimeoutMs = 3000;
constexpr int kHandshakeTimeoutMs = 8000;
constexpr int kBacklog = 1024;
constexpr std::uint64_t kLeastFiles = 64;
constexpr int kKeepaliveIdleS = 15;
constexpr int kKeepaliveIntervalS = 5;
constexpr int kKeepaliveCount = 3;
constexpr int kMaxRetransmitMs = 20000;
constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 2000;

// ZeroMQ looks at what its I/O thread tells about a pipe at most every millisecond or so; older knowledge is refreshed before a send.
constexpr base::Duration kStale = std::chrono::milliseconds(1);

Error failure(const std::string& what, int error) { return {Error::Kind::Protocol, what + ": " + zmq_strerror(error)}; }

zmq_msg_t* raw(unsigned char* storage) {
  static_assert(sizeof(zmq_msg_t) == 64 && alignof(zmq_msg_t) <= alignof(void*));
  return reinterpret_cast<zmq_msg_t*>(storage);
}

// ZeroMQ unlinks whatever is at the path it binds: a file of the user, or the socket of a live process, which then hears nothing any more.
base::Status check_ipc_path(const std::string& endpoint, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return base::ok();
  if (!S_ISSOCK(status.st_mode)) return Error{Error::Kind::Usage, "cannot listen on " + endpoint + ": a file that is no socket is there"};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (connected == 0 || errno == EAGAIN) return failure("cannot listen on " + endpoint, EADDRINUSE);
  return base::ok();
}

}  // namespace

base::Result<Context> Context::create(int io_threads, int max_sockets) {
  // With fewer ZeroMQ aborts the program.
  if (const auto files = allowed_open_files(); files < kLeastFiles) {
    return base::Error{base::Error::Kind::Usage, "the limit of open files (ulimit -n) is " + std::to_string(files) + "; pushmill needs at least " + std::to_string(kLeastFiles)};
  }
  Context context;
  context.handle_ = zmq_ctx_new();
  if (context.handle_ == nullptr) return failure("cannot start ZeroMQ", errno);
  // All before the first socket: afterwards they have no effect.
  if (zmq_ctx_set(context.handle_, ZMQ_IO_THREADS, io_threads) != 0 || zmq_ctx_set(context.handle_, ZMQ_MAX_SOCKETS, max_sockets) != 0 ||
      zmq_ctx_set(context.handle_, ZMQ_BLOCKY, 0) != 0)
    return failure("cannot start ZeroMQ with " + std::to_string(max_sockets) + " sockets", errno);
  return context;
}

Context::Context(Context&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Context& Context::operator=(Context&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Context::~Context() {
  if (handle_ == nullptr) return;
  while (zmq_ctx_term(handle_) != 0 && errno == EINTR) {
  }
}

Socket::Socket(Socket&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), endpoint_(std::move(other.endpoint_)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close(base::Duration::zero());
    handle_ = std::exchange(other.handle_, nullptr);
    endpoint_ = std::move(other.endpoint_);
  }
  return *this;
}

void Socket::close(base::Duration linger) {
  if (handle_ == nullptr) return;
  const int ms = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(linger).count());
  (void)set(ZMQ_LINGER, ms);
  // ZeroMQ goes on with the connection behind the close, and would wait for ever, in the thread of all connections, to tell a monitor of it that has gone.
  zmq_socket_monitor(handle_, nullptr, 0);
  zmq_close(std::exchange(handle_, nullptr));
}

base::Status Socket::make(Context& context, int type) {
  handle_ = zmq_socket(context.handle_, type);
  if (handle_ == nullptr) return failure("cannot make a socket", errno);
  return base::ok();
}

base::Status Socket::set(int option, int value) {
  if (zmq_setsockopt(handle_, option, &value, sizeof value) != 0) return failure("cannot set socket option " + std::to_string(option), errno);
  return base::ok();
}

base::Status Socket::set_transport_options(const std::string& endpoint) {
  const std::pair<int, int> options[] = {
      {ZMQ_LINGER, 0},
      {ZMQ_CONNECT_TIMEOUT, kConnectTimeoutMs},
      {ZMQ_HANDSHAKE_IVL, kHandshakeTimeoutMs},
      {ZMQ_BACKLOG, kBacklog},
      {ZMQ_TCP_KEEPALIVE, 1},
      {ZMQ_TCP_KEEPALIVE_IDLE, kKeepaliveIdleS},
      {ZMQ_TCP_KEEPALIVE_INTVL, kKeepaliveIntervalS},
      {ZMQ_TCP_KEEPALIVE_CNT, kKeepaliveCount},
      {ZMQ_TCP_MAXRT, kMaxRetransmitMs},
      {ZMQ_IPV6, endpoint.starts_with("tcp://[") ? 1 : 0},
  };
  for (const auto& [option, value] : options)
    if (auto done = set(option, value); !done) return done;
  return base::ok();
}

base::Status Socket::connect(const std::string& endpoint) {
  if (auto done = set_transport_options(endpoint); !done) return done;
  endpoint_ = endpoint;
  // Who tries a port of the own host may be given that very port, and meet himself. If his end was named before, the kernel lets others listen there at once;
  // else only when it has forgotten that connection, a minute later.
  std::string dialled = endpoint;
  if (endpoint.starts_with("tcp://")) dialled.insert(sizeof "tcp://" - 1, endpoint.starts_with("tcp://[") ? "[::]:0;" : "0.0.0.0:0;");
  if (zmq_connect(handle_, dialled.c_str()) != 0) return failure("cannot connect to " + endpoint, errno);
  return base::ok();
}

bool Socket::push(std::string_view frame) {
  for (bool again = false;; again = true) {
    int sent;
    do sent = zmq_send(handle_, frame.data(), frame.size(), ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return true;
    // A non-blocking send that fails may be a millisecond behind: look once, then believe it.
    if (errno != EAGAIN || again || !is_writable()) return false;
  }
}

bool Socket::is_writable() {
  int events = 0;
  std::size_t size = sizeof events;
  int got;
  do got = zmq_getsockopt(handle_, ZMQ_EVENTS, &events, &size);
  while (got != 0 && errno == EINTR);
  return got == 0 && (events & ZMQ_POLLOUT) != 0;
}

Frame::Frame() { zmq_msg_init(raw(message_)); }

Frame::~Frame() { zmq_msg_close(raw(message_)); }

std::string_view Frame::bytes() const {
  auto* message = raw(const_cast<unsigned char*>(message_));
  return {static_cast<const char*>(zmq_msg_data(message)), zmq_msg_size(message)};
}

base::Result<Pull> Pull::create(Context& context, std::size_t max_frame) {
  Pull pull;
  if (auto made = pull.make(context, ZMQ_PULL); !made) return made.error();
  const auto max = static_cast<std::int64_t>(max_frame);
  if (zmq_setsockopt(pull.handle_, ZMQ_MAXMSGSIZE, &max, sizeof max) != 0) return failure("cannot limit the size of frames", errno);
  return pull;
}

Pull& Pull::operator=(Pull&& other) noexcept {
  if (this != &other) {
    close(base::Duration::zero());
    Socket::operator=(std::move(other));
    files_ = std::move(other.files_);
  }
  return *this;
}

base::Result<std::string> Pull::bind(const std::string& endpoint) {
  auto parsed = parse_endpoint(endpoint, EndpointUse::Listen);
  if (!parsed) return parsed.error();
  auto bindable = bindable_endpoint(*parsed);
  if (!bindable) return bindable.error();
  const std::string text = bindable->text();
  const bool is_ipc = bindable->transport == Transport::Ipc;
  if (auto done = set_transport_options(text); !done) return done.error();
  if (is_ipc) {
    if (auto free = check_ipc_path(endpoint, bindable->path); !free) return free.error();
    // The mode of the socket file follows the umask, so it guards nothing: let the kernel tell who connects.
    const uid_t self = ::geteuid();
    if (zmq_setsockopt(handle_, ZMQ_IPC_FILTER_UID, &self, sizeof self) != 0) return failure("cannot guard " + endpoint, errno);
  }
  if (zmq_bind(handle_, text.c_str()) != 0) return failure("cannot listen on " + endpoint, errno);
  if (is_ipc) {
    struct stat status {};
    if (::lstat(bindable->path.c_str(), &status) == 0) files_.push_back({bindable->path, status.st_ino});
  }
  char real[512];
  std::size_t size = sizeof real;
  if (zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, real, &size) != 0) return failure("cannot listen on " + endpoint, errno);
  endpoint_ = real;
  return endpoint_;
}

bool Pull::receive(Frame& frame) {
  zmq_msg_t* message = raw(frame.message_);
  bool is_first = true;
  for (;;) {
    int size;
    do size = zmq_msg_recv(message, handle_, ZMQ_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0) return false;
    if (!zmq_msg_more(message)) break;
    is_first = false;
  }
  if (!is_first) {
    zmq_msg_close(message);
    zmq_msg_init(message);
  }
  return true;
}

bool Pull::receive(std::string& bytes) {
  Frame frame;
  if (!receive(frame)) return false;
  bytes.assign(frame.bytes());
  return true;
}

void Pull::close(base::Duration linger) {
  // Only what this socket made: another process may have taken the path over.
  for (const SocketFile& file : std::exchange(files_, {})) {
    struct stat status {};
    if (::lstat(file.path.c_str(), &status) == 0 && status.st_ino == file.inode) ::unlink(file.path.c_str());
  }
  Socket::close(linger);
}

base::Result<Uplink> Uplink::create(Context& context, const std::string& endpoint, int outbox, Monitor* monitor) {
  Uplink uplink;
  if (auto made = uplink.make(context, ZMQ_PUSH); !made) return made.error();
  for (const auto& [option, value] : {std::pair{ZMQ_RECONNECT_IVL, kReconnectMs}, std::pair{ZMQ_RECONNECT_IVL_MAX, kReconnectMaxMs},
                                      std::pair{ZMQ_IMMEDIATE, 0}, std::pair{ZMQ_SNDHWM, outbox}})
    if (auto done = uplink.set(option, value); !done) return done.error();
  if (monitor != nullptr && !endpoint.starts_with("inproc://")) monitor->attach(context, uplink);
  if (auto connected = uplink.connect(endpoint); !connected) return connected.error();
  return uplink;
}

base::Result<Lane> Lane::open(Context& context, const std::string& endpoint, std::size_t queue_bytes) {
  Lane lane;
  lane.queue_bytes_ = queue_bytes;
  if (auto made = lane.make(context, ZMQ_PUSH); !made) return made.error();
  // Without IMMEDIATE a lane whose first connect failed would swallow every frame; without RECONNECT_IVL -1 it would come back to life.
  for (const auto& [option, value] : {std::pair{ZMQ_RECONNECT_IVL, -1}, std::pair{ZMQ_IMMEDIATE, 1}, std::pair{ZMQ_SNDHWM, 0}})
    if (auto done = lane.set(option, value); !done) return done.error();
  if (auto connected = lane.connect(endpoint); !connected) return connected.error();
  return lane;
}

Sent Lane::send(std::string_view frame) {
  if (state_ == State::Connecting && flush() == Sent::Gone) return Sent::Gone;
  if (state_ == State::Connecting) {
    if (waiting_bytes_ + frame.size() > queue_bytes_) return become_gone();
    waiting_.emplace_back(frame);
    waiting_bytes_ += frame.size();
    return Sent::Ok;
  }
  if (is_gone()) return Sent::Gone;
  return push(frame) ? Sent::Ok : become_gone();
}

Sent Lane::flush() {
  if (state_ == State::Gone) return Sent::Gone;
  if (state_ == State::Open) return Sent::Ok;
  if (!is_writable()) return Sent::Ok;
  state_ = State::Open;
  looked_at_ = now();
  for (const std::string& frame : waiting_)
    if (!push(frame)) return become_gone();
  waiting_ = {};
  waiting_bytes_ = 0;
  return Sent::Ok;
}

bool Lane::is_gone() {
  if (state_ != State::Open) return state_ == State::Gone;
  const auto time = now();
  if (time - looked_at_ < kStale) return false;
  looked_at_ = time;
  if (is_writable()) return false;
  become_gone();
  return true;
}

Sent Lane::become_gone() {
  state_ = State::Gone;
  waiting_ = {};
  waiting_bytes_ = 0;
  return Sent::Gone;
}

}  // namespace io
