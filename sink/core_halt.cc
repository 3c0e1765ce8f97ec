// How a run stops before its end: the sink counts and decides with the commit that holds what it counted.
#include <algorithm>

#include "sink/core.h"

namespace sink {

namespace {
constexpr std::uint32_t kManyFailed = 101;  // and more
}

void Core::become_finished(JobId job, bool failed) {
  progress_.become_finished(job, failed);
  done_.push_back(job);
  judge_halt();
}

// As a shell shows it. What ended by no code or signal of its own has failed all the same.
void Core::note_failure(const wire::Result& result) {
  const auto status = static_cast<std::uint32_t>(result.signal != 0 ? 128 + result.signal : result.exit_code & 255);
  last_status_[0] = last_status_[2] = status != 0 ? status : 1;
}

void Core::judge_halt() {
  const wire::HaltRule& rule = policy_.halt;
  if (rule.when == wire::HaltRule::When::Never || is_halting() || is_end_logged_) return;
  const std::uint64_t failed = progress_.failed() - std::min(halt_.failed, progress_.failed());
  const std::uint64_t done = progress_.finished() - std::min(halt_.finished, progress_.finished());
  using Of = wire::HaltRule::Of;
  const std::uint64_t counted = rule.of == Of::Failed ? failed : rule.of == Of::Done ? done : done - std::min(failed, done);
  if (counted == 0) return;
  const std::uint64_t total = total_.value_or(0), wanted = rule.is_percent ? total * rule.count : rule.count;
  if (rule.is_percent && !total_) return;
  if ((rule.is_percent ? counted * 100 : counted) < wanted) return;
  const bool is_one = wanted == (rule.is_percent ? 100 : 1);  // the one job that was waited for says how the run ends
  halt_.halt = {halt_.halt.number + 1, rule.when, 0};
  if (is_one) halt_.halt.status = last_status_[static_cast<std::size_t>(rule.of)];
  else if (rule.of != Of::Succeeded) halt_.halt.status = rule.is_percent ? static_cast<std::uint32_t>((failed * 100 + total - 1) / total) : static_cast<std::uint32_t>(std::min<std::uint64_t>(failed, kManyFailed));
  halt_.is_over = false;
  log(LogHalt(halt_));
  alive_due_ = true;  // the ventilator is to hear it at once
}

// The user has the run go on: what was finished until now counts towards no other halt.
void Core::end_halt(std::uint64_t halts_over) {
  if (!is_halting() || halts_over < halt_.halt.number) return;
  halt_.is_over = true;
  halt_.finished = progress_.finished();
  halt_.failed = progress_.failed();
  log(LogHalt(halt_));
}

// As far as it can be: in the order of the jobs, up to the first that is not finished.
bool Core::is_all_emitted() const {
  return emitted_ >= (in_job_order_ ? progress_.finished_jobs().next_absent(1) - 1 : progress_.finished()) + moved_;
}

}  // namespace sink
