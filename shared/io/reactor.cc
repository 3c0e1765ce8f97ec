#include "io/reactor.h"

#include <poll.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>

#include "base/check.h"

namespace io {

struct Reactor::Items {
  std::vector<zmq_pollitem_t> list;
};

namespace {

short zmq_events(short events) {
  short result = ZMQ_POLLERR;
  if (events & POLLIN) result |= ZMQ_POLLIN;
  if (events & POLLOUT) result |= ZMQ_POLLOUT;
  if (events & POLLPRI) result |= ZMQ_POLLPRI;
  return result;
}

// Rounded up: with less than a millisecond to go, rounding down would spin.
long timeout_ms(base::TimePoint deadline) {
  if (deadline == base::kNever) return -1;
  const auto left = deadline - now();
  if (left <= base::Duration::zero()) return 0;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<long>(std::min<std::int64_t>(ms, std::numeric_limits<int>::max()));
}

}  // namespace

Reactor::Reactor() : items_(std::make_unique<Items>()) {}
Reactor::~Reactor() = default;

void Reactor::watch(Pull& pull, Tag tag) {
  CHECK_INVARIANT(!is_watching(tag));
  items_->list.push_back({pull.handle_, -1, ZMQ_POLLIN, 0});
  tags_.push_back(tag);
}

void Reactor::watch(Lane& lane, Tag tag) {
  CHECK_INVARIANT(!is_watching(tag));
  items_->list.push_back({lane.handle_, -1, ZMQ_POLLOUT, 0});
  tags_.push_back(tag);
}

void Reactor::watch(Uplink& uplink, Tag tag) {
  CHECK_INVARIANT(!is_watching(tag));
  items_->list.push_back({uplink.handle_, -1, ZMQ_POLLOUT, 0});
  tags_.push_back(tag);
}

void Reactor::watch(int fd, short events, Tag tag) {
  CHECK_INVARIANT(!is_watching(tag));
  items_->list.push_back({nullptr, fd, zmq_events(events), 0});
  tags_.push_back(tag);
}

void Reactor::unwatch(Tag tag) {
  const auto at = std::find(tags_.begin(), tags_.end(), tag);
  if (at == tags_.end()) return;
  items_->list.erase(items_->list.begin() + (at - tags_.begin()));
  tags_.erase(at);
}

bool Reactor::is_watching(Tag tag) const { return std::find(tags_.begin(), tags_.end(), tag) != tags_.end(); }

const std::vector<Reactor::Tag>& Reactor::wait(base::TimePoint deadline) {
  ready_.clear();
  int count;
  do count = zmq_poll(items_->list.data(), static_cast<int>(items_->list.size()), timeout_ms(deadline));
  while (count < 0 && errno == EINTR);
  CHECK_INVARIANT(count >= 0);  // fails only for a socket that was closed while watched
  if (count == 0) return ready_;
  for (std::size_t i = 0; i < tags_.size(); ++i)
    if (items_->list[i].revents != 0) ready_.push_back(tags_[i]);
  return ready_;
}

}  // namespace io
