// What happens to the connections of an Uplink or a Pull, as text, so that a role can say in one line for what it waits. For diagnosis only:
// nothing may depend on an event.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "io/socket.h"

namespace io {

struct ConnectionEvent {
  enum class Kind { Connected, Refused, Lost, HandshakeFailed };
  Kind kind;
  std::string text;  // one line that names the endpoint
};

class Monitor {
 public:
  // REQUIRES: `socket` is used by this thread, and outlives the monitor or is closed first.
  static base::Result<Monitor> watch(Context& context, Socket& socket);
  Monitor(Monitor&&) noexcept;
  Monitor& operator=(Monitor&&) noexcept;
  ~Monitor();

  std::optional<ConnectionEvent> next();  // never waits

 private:
  Monitor() = default;
  void* events_ = nullptr;
};

}  // namespace io
