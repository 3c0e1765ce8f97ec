#include "ventilator/done_jobs.h"

#include <algorithm>
#include <utility>

#include "ventilator/mark.h"
#include "ventilator/spool.h"
#include "wire/codec.h"

namespace ventilator {

base::Result<DoneJobs> DoneJobs::read(const std::string& directory, const base::JobSet& failed) {
  DoneJobs done;
  const auto read = Spool::for_each_accepted(directory, [&](base::JobId job, base::JobSpec&& spec) {
    done.accepted_ = job;
    if (!failed.contains(job)) done.contents_.push_back(content_of(std::move(spec)));
  });
  if (!read && read.error().kind != base::Error::Kind::NotFound) return read.error();
  std::sort(done.contents_.begin(), done.contents_.end());
  return done;
}

bool DoneJobs::contains(base::JobSpec job) const { return std::binary_search(contents_.begin(), contents_.end(), content_of(std::move(job))); }

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
