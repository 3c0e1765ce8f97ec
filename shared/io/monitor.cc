#include "io/monitor.h"

#include <zmq.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "io/entropy.h"

namespace io {

namespace {

constexpr int kEvents = ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

std::optional<std::string> receive_part(void* socket) {
  zmq_msg_t message;
  zmq_msg_init(&message);
  int size;
  do size = zmq_msg_recv(&message, socket, ZMQ_DONTWAIT);
  while (size < 0 && errno == EINTR);
  std::optional<std::string> part;
  if (size >= 0) part.emplace(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
  zmq_msg_close(&message);
  return part;
}

ConnectionEvent describe(int event, const std::string& endpoint) {
  using Kind = ConnectionEvent::Kind;
  switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return {Kind::Connected, "connected: " + endpoint};
    case ZMQ_EVENT_CONNECT_RETRIED: return {Kind::Refused, "nobody answers at " + endpoint + " yet; trying again"};
    case ZMQ_EVENT_DISCONNECTED: return {Kind::Lost, "connection lost: " + endpoint};
    default: return {Kind::HandshakeFailed, "what answers at " + endpoint + " does not speak this protocol"};
  }
}

}  // namespace

base::Result<Monitor> Monitor::watch(Context& context, Socket& socket) {
  const std::string name = "inproc://monitor-" + random_hex(8);
  const auto failure = [] { return base::Error{base::Error::Kind::Protocol, std::string("cannot watch a socket: ") + zmq_strerror(errno)}; };
  if (zmq_socket_monitor(socket.handle_, name.c_str(), kEvents) != 0) return failure();
  Monitor monitor;
  monitor.events_ = zmq_socket(context.handle_, ZMQ_PAIR);
  if (monitor.events_ == nullptr || zmq_connect(monitor.events_, name.c_str()) != 0) return failure();
  return monitor;
}

Monitor::Monitor(Monitor&& other) noexcept : events_(std::exchange(other.events_, nullptr)) {}

Monitor& Monitor::operator=(Monitor&& other) noexcept {
  std::swap(events_, other.events_);
  return *this;
}

Monitor::~Monitor() {
  if (events_ == nullptr) return;
  const int none = 0;
  zmq_setsockopt(events_, ZMQ_LINGER, &none, sizeof none);
  zmq_close(events_);
}

std::optional<ConnectionEvent> Monitor::next() {
  const auto header = receive_part(events_);
  if (!header || header->size() < sizeof(std::uint16_t)) return std::nullopt;
  const auto endpoint = receive_part(events_);  // both parts of a message arrive together
  std::uint16_t event;
  std::memcpy(&event, header->data(), sizeof event);
  return describe(event, endpoint.value_or("?"));
}

}  // namespace io
