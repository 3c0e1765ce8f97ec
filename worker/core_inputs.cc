// Jobs whose input comes from the ventilator in parts: they may start when it is whole.
#include <algorithm>
#include <utility>

#include "worker/core.h"

namespace worker {

using base::Attempt;

// What was not received in the generation before will not come in this one.
void Core::restart_inputs() {
  inputs_.restart(!unfed_.empty());
  announced_input_limit_ = 0;
  return_unfed("its connection was replaced before its input was whole");
}

void Core::return_unfed(const char* reason) {
  for (const Unfed& unfed : std::exchange(unfed_, {})) give_back(unfed.job, reason);
}

void Core::return_unfed(const Attempt& attempt, const char* reason) {
  const auto unfed = std::find_if(unfed_.begin(), unfed_.end(), [&](const Unfed& u) { return u.job.attempt == attempt; });
  if (unfed == unfed_.end()) return;
  give_back(unfed->job, reason);
  unfed_.erase(unfed);
}

// Received is received, also for an attempt that was given back meanwhile: the ventilator has sent it.
void Core::on_event(wire::Input&& message) {
  if (!accept(message.worker, message.session, message.generation, 0)) return;
  if (message.sent > inputs_.limit() || message.bytes.size() > inputs_.limit() - message.sent) return void(++ignored_);
  inputs_.note_received(message.sent + message.bytes.size(), now_);
  const auto unfed = std::find_if(unfed_.begin(), unfed_.end(), [&](const Unfed& u) { return u.job.attempt == message.attempt; });
  if (unfed == unfed_.end() || message.offset < unfed->kept) return void(++ignored_);
  if (message.fault.empty() && (message.offset > unfed->kept || message.bytes.size() > unfed->length - unfed->kept)) message.fault = "its input came with a gap";
  unfed->kept += message.bytes.size();
  const bool is_settled = !message.fault.empty() || unfed->kept == unfed->length;
  effects_->push_back(KeepInput{message.attempt, std::move(message.bytes), std::move(message.fault)});
  if (!is_settled) return;
  window_.note_feed(now_ - std::max(fed_at_, unfed->job.since));
  fed_at_ = unfed->job.since = now_;
  queue_.push_back(std::move(unfed->job));
  unfed_.erase(unfed);
}

// Others may have room for them. An input that has been used says that there is some again.
void Core::await_room(bool lacks_room) {
  if (!lacks_room) return room_wait_.reset();
  if (now_ < room_at_) return;  // one that came with the first
  room_at_ = now_ + room_wait_.current();
  room_wait_.grow(random_);
}

}  // namespace worker
