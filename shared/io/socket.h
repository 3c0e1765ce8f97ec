// ZeroMQ behind a small wrapper; the only user of zmq.h besides reactor.cc and monitor.cc. It uses libzmq's C interface, not cppzmq, so that
// its headers name no ZeroMQ type and no exception has to be stopped. Every option of a socket is set here and nowhere else.
//
// Each link is one-way. A Pull is bound and receives; an Uplink is a PUSH that reconnects for ever; a Lane is a PUSH that dies with its peer
// and is replaced, never repaired. One frame is one message. A sent frame is queued in this process, no more: only a confirm counts.
// A socket belongs to one thread, and must be closed before its Context is destroyed. Nothing here blocks, but for the linger of a close,
// which the destructor of the Context waits for.
//
// Errors have the kind Protocol and name the endpoint; a malformed endpoint is Usage (io/endpoints.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace io {

class Monitor;

class Context {
 public:
  // `io_threads` 0 serves inproc endpoints only, without a thread or a file of the network. REQUIRES: signals are blocked already, since
  // ZeroMQ's threads inherit the mask.
  static base::Result<Context> create(int io_threads, int max_sockets);
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();  // waits for the linger of its closed sockets. REQUIRES: all of them are closed.

 private:
  friend class Socket;
  friend class Monitor;
  Context() = default;
  void* handle_ = nullptr;
};

// What the three kinds share.
class Socket {
 public:
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket() { close(base::Duration::zero()); }

  // `linger` bounds how long frames still queued may go out after the close: zero when the socket is given up, a few hundred ms at a clean
  // end. REQUIRES: no Reactor watches it any more.
  void close(base::Duration linger);
  bool is_closed() const { return handle_ == nullptr; }
  // As given for a connecting socket, the last one bound for a Pull.
  const std::string& endpoint() const { return endpoint_; }

 protected:
  Socket() = default;
  base::Status make(Context& context, int type);
  base::Status set(int option, int value);
  base::Status set_transport_options(const std::string& endpoint);
  base::Status connect(const std::string& endpoint);
  bool push(std::string_view frame);  // false: no room or no peer
  bool is_writable();                 // asks ZeroMQ anew: also lets it notice a dead peer

  void* handle_ = nullptr;
  std::string endpoint_;

 private:
  friend class Reactor;
  friend class Monitor;
};

// A received frame, in ZeroMQ's own memory.
class Frame {
 public:
  Frame();
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  std::string_view bytes() const;  // valid until the next receive into it

 private:
  friend class Pull;
  alignas(void*) unsigned char message_[64];
};

class Pull : public Socket {
 public:
  // A peer that sends a frame above `max_frame` bytes is disconnected.
  static base::Result<Pull> create(Context& context, std::size_t max_frame);
  Pull(Pull&&) noexcept = default;
  Pull& operator=(Pull&& other) noexcept;
  ~Pull() { close(base::Duration::zero()); }

  // Also several times, for several endpoints. Returns the endpoint to tell others: a `*` for the port of tcp or the last part of an ipc
  // path has become what was chosen. A live listener's ipc path is refused, not stolen; an abandoned one is taken over.
  base::Result<std::string> bind(const std::string& endpoint);

  // The next frame, or false when there is none now. A message of several frames, which none of ours sends, arrives as one empty frame.
  bool receive(Frame& frame);
  bool receive(std::string& bytes);
  void close(base::Duration linger);  // also removes the socket files of its ipc endpoints

 private:
  Pull() = default;
  struct SocketFile {
    std::string path;
    std::uint64_t inode;
  };
  std::vector<SocketFile> files_;
};

class Uplink : public Socket {
 public:
  // Connects and reconnects, waiting 0.1 s at first, 2 s at most; the peer may come later. Holds `outbox` frames for an absent or slow peer.
  // `monitor` watches it then, if one is given.
  static base::Result<Uplink> create(Context& context, const std::string& endpoint, int outbox, Monitor* monitor = nullptr);
  bool send(std::string_view frame) { return push(frame); }  // false: the outbox is full, nothing was taken

 private:
  Uplink() = default;
};

enum class Sent { Ok, Gone };

class Lane : public Socket {
 public:
  static constexpr std::size_t kQueueBytes = 64u << 20;

  // Tries to connect once. Frames sent before it stands wait in the lane, up to `queue_bytes`; above that it counts as gone.
  static base::Result<Lane> open(Context& context, const std::string& endpoint, std::size_t queue_bytes = kQueueBytes);

  // Gone: the peer went away, this frame was not taken and no later one will be. The frames accepted last may be lost with the peer.
  Sent send(std::string_view frame);
  // Sends what waits, if the connection stands by now. Call it when the Reactor says that the lane is ready.
  Sent flush();
  // No connection has stood yet. A first connect that fails leaves this true for ever: the caller's patience decides.
  bool is_connecting() const { return state_ == State::Connecting; }
  // Asks whether the peer went away since. For a lane that nobody sends to: a send would notice by itself.
  bool is_gone();

 private:
  enum class State { Connecting, Open, Gone };
  Lane() = default;
  Sent become_gone();

  State state_ = State::Connecting;
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::size_t queue_bytes_ = kQueueBytes;
  base::TimePoint looked_at_{};  // when ZeroMQ last processed what it knows of this peer
};

}  // namespace io
