// What became of the connection of an Uplink, in words, so that a role can say in one line for what it waits. For words only: nothing may depend on them.
#pragma once

#include <string>

#include "io/socket.h"

namespace io {

class Monitor {
 public:
  Monitor() = default;
  Monitor(const Monitor&) = delete;
  ~Monitor() { detach(); }

  // Watches `socket` from now on, instead of the one before, which is closed; what was known holds until something new happens. Uplink::create does it.
  void attach(Context& context, Socket& socket);
  // Why nothing may be heard of the other side, to be put behind its name: ": nobody answers there"; empty when nothing is known to stand in the way. Never waits.
  // REQUIRES: it is asked now and then, whether its words are wanted or not: ZeroMQ keeps some 2,000 events, and then waits with all connections.
  const std::string& trouble();

 private:
  enum class State { Unknown, Connected, Failed };
  void detach();
  void note(int event);

  void* events_ = nullptr;
  State state_ = State::Unknown;  // of the present attempt to connect
  std::string trouble_;
};

}  // namespace io
