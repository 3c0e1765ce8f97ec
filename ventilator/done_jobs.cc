#include "ventilator/done_jobs.h"

#include <algorithm>
#include <utility>

#include "ventilator/mark.h"
#include "ventilator/spool.h"
#include "wire/codec.h"

namespace ventilator {

base::Result<DoneJobs> DoneJobs::read(const std::string& directory, const base::JobSet& failed, bool is_new_call) {
  DoneJobs done;
  const auto summary = Spool::peek(directory);
  if (!summary && summary.error().kind == base::Error::Kind::NotFound) return done;
  if (!summary) return summary.error();
  const auto read = Spool::for_each_accepted(directory, [&](base::JobId job, base::JobSpec&& spec) {
    done.accepted_ = job;
    if (!failed.contains(job)) (is_new_call || job <= summary->accepted_before ? done.contents_ : done.own_).push_back(content_of(std::move(spec)));
  });
  if (!read) return read.error();
  std::sort(done.contents_.begin(), done.contents_.end());
  std::sort(done.own_.begin(), done.own_.end());
  done.taken_.resize(done.own_.size());
  return done;
}

bool DoneJobs::take(base::JobSpec job) {
  const Content content = content_of(std::move(job));
  if (std::binary_search(contents_.begin(), contents_.end(), content)) return true;
  const auto [first, last] = std::equal_range(own_.begin(), own_.end(), content);
  if (first == last) return false;
  std::uint32_t& taken = taken_[static_cast<std::size_t>(first - own_.begin())];
  return taken < last - first && ++taken > 0;
}

// Encoded by this program, also where an older one has accepted the job.
DoneJobs::Content DoneJobs::content_of(base::JobSpec job) {
  job.label.clear();
  job.time_limit = base::Duration::zero();
  auto* record = std::get_if<base::Record>(&job.work);
  if (auto* command = record != nullptr ? &record->program : std::get_if<base::Command>(&job.work)) {
    command->environment.clear();
    command->term_seq = {};
    command->kill_leftovers = command->live = false;
    command->nice = 0;
  }
  std::string bytes;
  wire::encode_spec(job, bytes);
  Mark mark;
  mark.add(bytes);
  return {content_hash(bytes), mark.value()};
}

}  // namespace ventilator
