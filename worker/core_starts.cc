// Which job starts when: slots, whose number may change, what holds starts back, and the halt of a run.
#include <algorithm>
#include <utility>

#include "worker/core.h"

namespace worker {

using base::Attempt;
using base::Outcome;
using When = wire::HaltRule::When;

void Core::start_jobs() {
  if (is_stopped_ || is_complete_ || halt_ != When::Never || is_full() || !overdue_.empty()) return;
  if (queue_.empty() || free_slots_ == 0 || !to_judge_.empty()) return;
  if (gate_.wants_measure(now_)) return effects_->push_back(LookAtMachine{});  // a Turn follows its answer
  for (std::uint32_t number = 1; number <= wanted_slots_ && free_slots_ > 0 && !queue_.empty(); ++number) {
    const Slot& slot = slots_[number];
    if (slot.running != 0 || slot.is_lost) continue;
    const std::uint32_t room = gate_.room(now_);
    if (room == 0) return;
    const bool is_single = !gate_.rules().is_none() || config_.halt.when != When::Never || config_.has_relative_limit;
    start_in(number, is_single ? 1 : window_.batch(queue_.size()));
  }
}

void Core::start_in(std::uint32_t number, std::uint32_t most) {
  Slot& slot = slots_[number];
  slot.since = now_;
  for (; slot.running < most && !queue_.empty(); queue_.pop_front()) {
    Queued& next = queue_.front();
    if (!running_.emplace(next.attempt, number).second) continue;  // sent twice
    ++slot.running;
    if (no_overlap_) tell_until(std::min(told_until_, permits_.until(next.attempt)));
    effects_->push_back(Start{next.attempt, number, std::move(next.spec)});
    gate_.note_started(now_);
  }
  slot.batch = slot.running;
  if (slot.running > 0) --free_slots_;
}

// ---- slots

void Core::on_event(Slots&& event) {
  wanted_slots_ = std::max(event.slots, 1u);
  if (slots_.size() <= wanted_slots_) slots_.resize(wanted_slots_ + 1);
  count_slots();
}

// One above the number wanted finishes what it runs, and is left alone then.
void Core::count_slots() {
  free_slots_ = usable_slots_ = 0;
  for (std::uint32_t number = 1; number <= wanted_slots_; ++number) {
    usable_slots_ += !slots_[number].is_lost;
    free_slots_ += !slots_[number].is_lost && slots_[number].running == 0;
  }
  window_.set_slots(usable_slots_);
  state_due_ = true;
}

// ---- what the machine has room for

// While jobs run it is looked at for memory that gets short, before starts for the rest.
void Core::look_at_machine() {
  if (gate_.rules().free_memory > 0 && running_.size() > 1 && gate_.wants_measure(now_)) effects_->push_back(LookAtMachine{});
}

void Core::on_event(Measured&& event) {
  gate_.note(event.machine, now_);
  if (gate_.take_shortage()) end_youngest();
}

// It runs again, and that counts for nothing. The last one is left to run: otherwise a job that needs much would never end.
void Core::end_youngest() {
  if (running_.size() < 2 || !evicted_.empty() || is_stopped_ || is_complete_) return;
  const auto youngest = std::max_element(running_.begin(), running_.end(), [this](const auto& a, const auto& b) {
    return std::pair(slots_[a.second].since, a.first) < std::pair(slots_[b.second].since, b.first);
  });
  evicted_.insert(youngest->first);
  effects_->push_back(Kill{youngest->first});
}

// ---- the run stops

bool Core::is_to_judge(Outcome outcome) const {
  using Of = wire::HaltRule::Of;
  if (config_.halt.when == When::Never) return false;
  return outcome == Outcome::Ok ? config_.halt.of != Of::Failed : base::is_failure(outcome) && config_.halt.of != Of::Succeeded;
}

void Core::obey_halt(When halt) {
  if (std::exchange(halt_, halt) == halt || halt == When::Never || is_stopped_ || is_complete_) return;
  return_all("the run stops");
  if (halt != When::Now) return;
  for (const auto& [attempt, slot] : running_) effects_->push_back(Kill{attempt});
}

}  // namespace worker
