#include "pushmill/skip_done.h"

#include <utility>

#include "base/kill_point.h"
#include "sink/result_log.h"
#include "ventilator/spool.h"

namespace pushmill {

using base::Error;

namespace {

base::Result<ventilator::DoneJobs> done_in(const std::string& directory, bool only_settled, bool is_new_call) {
  const auto failed = sink::ResultLog::failures(directory, only_settled);
  if (!failed) return failed.error();
  return ventilator::DoneJobs::read(directory, *failed, is_new_call);
}

}  // namespace

base::Result<std::optional<ventilator::DoneJobs>> go_on(const std::string& directory, const std::string& template_text, const std::string& origin, io::TakeOver take_over) {
  using Done = std::optional<ventilator::DoneJobs>;
  const auto ventilator = io::Lock::take(directory, io::Lock::kVentilator, "run", take_over);
  if (!ventilator) return ventilator.error();
  const auto sink = io::Lock::take(directory, io::Lock::kSink, "run", take_over);
  if (!sink) return sink.error();
  const auto summary = ventilator::Spool::peek(directory);
  if (!summary && summary.error().kind == Error::Kind::NotFound) return Done();
  if (!summary) return summary.error();
  if (!summary->template_text) return Done();
  const auto log = sink::ResultLog::peek(directory);
  if (!log && log.error().kind != Error::Kind::NotFound) return log.error();
  const std::uint64_t unfinished = summary->accepted - (log ? log->finished : 0);
  if (unfinished > 0 && *summary->template_text != template_text) {
    return Error{Error::Kind::Conflict, directory + ": " + std::to_string(unfinished) + " jobs of another command line are not finished there: finish them by pushmill resume, or take another directory"};
  }
  // Behind an end the ventilator's mark goes first: while the sink's is there, it is put back at the next start, as if nothing had been. Without one nothing would
  // put it back, and what has failed would pass for done: then the sink's goes first.
  const bool has_ended = log && log->ended;
  if (log && !has_ended) {
    if (auto done = sink::ResultLog::settle(directory); !done) return done.error();
    base::kill_point(base::kill_points::kGoesOn);
  }
  if (auto done = ventilator::Spool::go_on(directory, template_text, origin); !done) return done.error();
  if (has_ended) {
    base::kill_point(base::kill_points::kGoesOn);
    if (auto done = sink::ResultLog::settle(directory); !done) return done.error();
  }
  auto done = done_in(directory, true, true);
  if (!done) return done.error();
  return Done(std::move(*done));
}

base::Result<ventilator::DoneJobs> done_so_far(const std::string& directory) { return done_in(directory, true, false); }
base::Result<ventilator::DoneJobs> done_now(const std::string& directory) { return done_in(directory, false, true); }

}  // namespace pushmill
