#include "ventilator/downlink.h"

#include <utility>

#include "io/open_files.h"

namespace ventilator {

base::Status LaneDownlink::open(const base::WorkerId& worker, const std::string& endpoint, const std::string&) {
  close(worker);
  if (!io::has_spare_files(io::kReservedFiles)) return base::Error{base::Error::Kind::Io, "no room for a connection to it: raise the limit of open files (ulimit -n)"};
  auto lane = io::Lane::open(context_, endpoint);
  if (!lane) return lane.error();
  const auto tag = next_tag_++;
  const auto it = lanes_.emplace(worker, Entry{std::move(*lane), tag}).first;
  reactor_.watch(it->second.lane, tag);
  connecting_.emplace(tag, worker);
  return base::ok();
}

Downlink::Sent LaneDownlink::send(const base::WorkerId& worker, std::string_view frame) {
  const auto it = lanes_.find(worker);
  return it != lanes_.end() && it->second.lane.send(frame) == io::Sent::Ok ? Sent::Ok : Sent::Gone;
}

void LaneDownlink::on_ready(io::Reactor::Tag tag) {
  const auto it = connecting_.find(tag);
  if (it == connecting_.end()) return;
  io::Lane& lane = lanes_.at(it->second).lane;
  lane.flush();  // a loss shows at the next send
  if (lane.is_connecting()) return;
  reactor_.unwatch(tag);
  connecting_.erase(it);
}

void LaneDownlink::close(const base::WorkerId& worker, base::Duration linger) {
  const auto it = lanes_.find(worker);
  if (it == lanes_.end()) return;
  if (connecting_.erase(it->second.tag) > 0) reactor_.unwatch(it->second.tag);
  it->second.lane.close(linger);
  lanes_.erase(it);
}

void LaneDownlink::close_all(base::Duration linger) {
  while (!lanes_.empty()) close(base::WorkerId(lanes_.begin()->first), linger);
}

}  // namespace ventilator
