// How frames get to a worker: the seam behind which the kind of connection is hidden. LaneDownlink is the one body: a PUSH socket for each worker that
// connects to the worker's PULL and dies with it.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "io/reactor.h"
#include "io/socket.h"

namespace ventilator {

class Downlink {
 public:
  enum class Sent { Ok, Gone };

  virtual ~Downlink() = default;
  // Replaces what was open to this worker.
  virtual base::Status open(const base::WorkerId& worker, const std::string& endpoint, const std::string& key) = 0;
  // Gone: this frame was not taken, and no later one will be until the next open().
  virtual Sent send(const base::WorkerId& worker, std::string_view frame) = 0;
  virtual void close(const base::WorkerId& worker) = 0;
};

class LaneDownlink : public Downlink {
 public:
  // Tags from `first_tag` up are its own in `reactor`.
  LaneDownlink(io::Context& context, io::Reactor& reactor, io::Reactor::Tag first_tag) : context_(context), reactor_(reactor), next_tag_(first_tag) {}
  ~LaneDownlink() override { close_all(base::Duration::zero()); }

  base::Status open(const base::WorkerId& worker, const std::string& endpoint, const std::string& key) override;
  Sent send(const base::WorkerId& worker, std::string_view frame) override;
  void close(const base::WorkerId& worker) override { close(worker, base::Duration::zero()); }

  // A tag that the reactor named: the connection stands, what waited goes out.
  void on_ready(io::Reactor::Tag tag);
  void close_all(base::Duration linger);

 private:
  struct Entry {
    io::Lane lane;
    io::Reactor::Tag tag;
  };
  void close(const base::WorkerId& worker, base::Duration linger);

  io::Context& context_;
  io::Reactor& reactor_;
  io::Reactor::Tag next_tag_;
  std::unordered_map<base::WorkerId, Entry, base::HashId128> lanes_;
  std::unordered_map<io::Reactor::Tag, base::WorkerId> connecting_;
};

}  // namespace ventilator
