#include "sink/status_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "io/clock.h"
#include "io/run_directory.h"
#include "io/unique_fd.h"

namespace sink {

namespace {

constexpr std::size_t kRateSamples = 60;

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool is_older(const LiveAttempt* a, const LiveAttempt* b) { return std::tie(a->since, a->attempt) < std::tie(b->since, b->attempt); }

// The attempts that are out, those for the longest time first, and how many there are in all.
std::vector<const LiveAttempt*> oldest(const Progress& progress, std::size_t most, std::uint64_t& count) {
  std::vector<const LiveAttempt*> listed;  // a heap with the youngest of them on top
  for (const auto& [job, record] : progress.records()) {
    for (const LiveAttempt& live : record.live) {
      if (!live.leased) continue;
      ++count;
      listed.push_back(&live);
      std::push_heap(listed.begin(), listed.end(), is_older);
      if (listed.size() <= most) continue;
      std::pop_heap(listed.begin(), listed.end(), is_older);
      listed.pop_back();
    }
  }
  std::sort_heap(listed.begin(), listed.end(), is_older);
  return listed;
}

}  // namespace

StatusFile::StatusFile(const std::string& run_directory, std::uint64_t sink_epoch, Tallies before, std::uint64_t finished, base::TimePoint now)
    : path_(run_directory + "/" + io::kStatusFile), sink_epoch_(sink_epoch), started_at_(io::wall_now()), tallies_(std::move(before)),
      next_(now + wire::Policy{}.heartbeat), finished_{{now, finished}} {
  ::unlink(path_.c_str());  // of an earlier life: nothing in it is true any more
}

void StatusFile::heard(const wire::State& state, base::WallTime at) {
  here_[state.worker] = state.slots;
  Tally& tally = tallies_[state.worker];
  tally.host = state.host;
  tally.heard_at = at;
}

void StatusFile::ended(const base::WorkerId& worker, const std::string& host, base::Outcome outcome, std::uint64_t runtime_us) {
  if (last_ == nullptr || last_->first != worker) last_ = &*tallies_.try_emplace(worker).first;
  Tally& tally = last_->second;
  if (tally.host.empty()) tally.host = host;
  tally.add(outcome, runtime_us);
}

void StatusFile::write(const Core& core, const base::RunId& run, base::TimePoint now) {
  next_ = now + core.heartbeat();
  const base::WallTime wall = io::wall_now();
  json::Value status{{"version", 1}, {"run", run.hex()}, {"sink_epoch", sink_epoch_}, {"started_at", started_at_}};
  status["has_ventilator"] = core.has_heard_ventilator();
  status["total"] = core.total() ? json::Value(*core.total()) : json::Value();
  status["is_cut"] = core.is_cut();
  status["finished"] = core.progress().finished();
  status["failed"] = core.progress().failed();
  add_jobs(core, wall, status);
  add_workers(core, status);
  const double per_second = rate(core.progress().finished(), now);
  if (status == written_) return;
  written_ = status;
  status["rate"] = per_second;
  status["written_at"] = wall;
  const std::string fresh = path_ + ".new";
  const io::UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd || !write_whole(fd.get(), json::print(status) + "\n") || ::rename(fresh.c_str(), path_.c_str()) != 0) written_ = {};
}

void StatusFile::add_jobs(const Core& core, base::WallTime wall, json::Value& status) const {
  std::uint64_t out = 0;
  json::Value jobs = json::Value::array();
  for (const LiveAttempt* live : oldest(core.progress(), kListedJobs, out)) {
    const base::WallTime since = wall - (core.now() - live->since).count();
    jobs.push_back({{"job", live->attempt.job}, {"epoch", live->attempt.epoch}, {"n", live->attempt.n}, {"worker", live->worker.hex()},
                    {"since", since}, {"is_running", live->is_running}, {"is_alone", live->alone}});
  }
  status["out"] = out;
  status["jobs"] = std::move(jobs);
}

void StatusFile::add_workers(const Core& core, json::Value& status) {
  std::erase_if(here_, [&core](const auto& item) { return !core.knows(item.first); });
  std::vector<const Tallies::value_type*> listed;
  for (const auto& item : tallies_) listed.push_back(&item);
  const auto is_newer = [](const auto* a, const auto* b) { return a->second.heard_at > b->second.heard_at; };
  const std::size_t count = std::min(listed.size(), kListedWorkers);
  std::partial_sort(listed.begin(), listed.begin() + static_cast<std::ptrdiff_t>(count), listed.end(), is_newer);
  listed.resize(count);
  json::Value workers = json::Value::array();
  for (const auto* item : listed) {
    const auto& [id, tally] = *item;
    const auto here = here_.find(id);
    workers.push_back({{"worker", id.hex()}, {"host", json::bytes(tally.host)}, {"has_left", here == here_.end()},
                       {"slots", here != here_.end() ? here->second : 0}, {"done", tally.done}, {"failed", tally.failed}, {"lost", tally.lost},
                       {"runtime_us", tally.runtime_us}, {"heard_at", tally.heard_at}});
  }
  status["known_workers"] = tallies_.size();
  status["workers"] = std::move(workers);
}

// Jobs a second, over the last minute of heartbeats.
double StatusFile::rate(std::uint64_t finished, base::TimePoint now) {
  finished_.emplace_back(now, finished);
  if (finished_.size() > kRateSamples) finished_.pop_front();
  const double seconds = static_cast<double>((now - finished_.front().first).count()) / 1e6;
  return seconds > 0 ? static_cast<double>(finished - finished_.front().second) / seconds : 0;
}

}  // namespace sink
