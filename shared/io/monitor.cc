#include "io/monitor.h"

#include <zmq.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "io/entropy.h"

namespace io {

namespace {

constexpr int kEvents = ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

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

}  // namespace

void Monitor::attach(Context& context, Socket& socket) {
  detach();
  state_ = State::Unknown;
  const std::string name = "inproc://monitor-" + random_hex(8);
  if (zmq_socket_monitor(socket.handle_, name.c_str(), kEvents) != 0) return;
  events_ = zmq_socket(context.handle_, ZMQ_PAIR);
  if (events_ != nullptr && zmq_connect(events_, name.c_str()) != 0) detach();
}

void Monitor::detach() {
  if (events_ == nullptr) return;
  const int none = 0;
  zmq_setsockopt(events_, ZMQ_LINGER, &none, sizeof none);
  zmq_close(std::exchange(events_, nullptr));
}

const std::string& Monitor::trouble() {
  while (events_ != nullptr) {
    const auto header = receive_part(events_);
    if (!header) break;
    (void)receive_part(events_);  // the endpoint; both parts of a message arrive together
    std::uint16_t event = 0;
    if (header->size() >= sizeof event) std::memcpy(&event, header->data(), sizeof event);
    note(event);
  }
  return trouble_;
}

void Monitor::note(int event) {
  switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      state_ = State::Connected;
      trouble_.clear();
      return;
    case ZMQ_EVENT_CLOSED:  // before it was a connection
      state_ = State::Unknown;
      trouble_ = ": nobody answers there";
      return;
    case ZMQ_EVENT_DISCONNECTED:
      // A ZeroMQ socket that is no PULL ends the connection behind the greetings, and ours is one as well.
      if (state_ == State::Unknown) trouble_ = ": what answers there does not speak this protocol, or the link met itself: a port below 32768 keeps it from that";
      if (state_ == State::Connected) trouble_ = ": the connection was lost";
      state_ = State::Unknown;
      return;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:  // also when it hangs up at once
      trouble_ = ": what answers there does not speak this protocol, or has no room";
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      trouble_ = ": what answers there does not speak this protocol";
      break;
    default: return;
  }
  state_ = State::Failed;
}

}  // namespace io
