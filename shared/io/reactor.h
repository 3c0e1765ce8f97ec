// Where a thread waits: one zmq_poll over few sockets and raw descriptors, until something is ready or a deadline passes. One thread only.
// Ready means "look": drain a Pull until it has nothing more; call flush() on a Lane.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/time.h"
#include "io/clock.h"
#include "io/socket.h"

namespace io {

class Reactor {
 public:
  using Tag = std::uint64_t;  // the caller's name for what it watches, each in use once

  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  void watch(Pull& pull, Tag tag);             // ready: frames are there
  void watch(Lane& lane, Tag tag);             // ready: the connection stands. Only while is_connecting(): an open lane is always ready.
  void watch(Uplink& uplink, Tag tag);         // ready: the outbox has room again. Only after a send that returned false.
  void watch(int fd, short events, Tag tag);   // `events` as for poll(2): POLLIN, POLLOUT; ready also on an error or hang-up
  // Required before the socket or descriptor is closed; a socket may be moved meanwhile. No effect when the tag is not in use.
  void unwatch(Tag tag);
  bool is_watching(Tag tag) const;

  // Waits until something is ready or `deadline` has passed, and names what is ready, in order of watching. The list is valid until the next
  // call. Wakes up to 1 ms after the deadline, not before it; a deadline in the past only looks.
  const std::vector<Tag>& wait(base::TimePoint deadline);

 private:
  struct Items;  // the vector that zmq_poll takes
  std::unique_ptr<Items> items_;
  std::vector<Tag> tags_;  // parallel to it
  std::vector<Tag> ready_;
};

}  // namespace io
