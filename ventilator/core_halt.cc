// How a run stops before its end: nothing more is handed out, the workers hear it with each heartbeat, and when nothing is out any more all leave, as at the end.
#include "ventilator/core.h"

namespace ventilator {

void Core::note_halt(const wire::Halt& halt) {
  if (halt.number <= halts_over_ || halt == halt_ || complete_at_) return;
  halt_ = halt;
  next_heartbeat_ = now_;  // the workers hear it at once
}

void Core::on_event(const Drain&) {
  if (is_halting() || complete_at_) return;
  halt_.when = wire::HaltRule::When::Soon;
  next_heartbeat_ = now_;
}

void Core::tend_halt() {
  if (!is_halting() || complete_at_ || !jobs_.assigned().empty() || !is_grace_over_) return;
  if (total_ && jobs_.finished() >= *total_) return;  // the end is near
  is_halted_ = true;
  complete_at_ = next_heartbeat_ = now_;
  if (halt_.number > 0) effects_->push_back(CommitHaltsOver{halts_over_ = halt_.number});
}

}  // namespace ventilator
