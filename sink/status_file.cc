#include "sink/status_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/json_bytes.h"
#include "io/clock.h"
#include "io/run_directory.h"
#include "io/unique_fd.h"

namespace sink {

namespace {

constexpr std::size_t kRateSamples = 60;

void append(std::string& json, const char* key, std::uint64_t value) {
  json += '"';
  json += key;
  json += "\":" + std::to_string(value) + ",";
}

void append(std::string& json, const char* key, const std::string& bytes) {
  json += '"';
  json += key;
  json += "\":";
  base::append_json_bytes(bytes, json);
  json += ',';
}

void append_flag(std::string& json, const char* key, bool value) {
  json += '"';
  json += key;
  json += value ? "\":true," : "\":false,";
}

void close(std::string& json, char bracket) {
  if (json.back() == ',') json.back() = bracket;
  else json += bracket;
}

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

StatusFile::StatusFile(const std::string& run_directory, std::uint64_t sink_epoch, Tallies before, std::uint64_t finished, base::TimePoint now)
    : path_(run_directory + "/" + io::kStatusFile), sink_epoch_(sink_epoch), started_at_(io::wall_now()), tallies_(std::move(before)),
      next_(now + wire::Policy{}.heartbeat), finished_{{now, finished}} {}

void StatusFile::heard(const wire::State& state, base::WallTime at) {
  here_[state.worker] = state.slots;
  Tally& tally = tallies_[state.worker];
  tally.host = state.host;
  tally.heard_at = at;
}

void StatusFile::ended(const base::WorkerId& worker, const std::string& host, base::Outcome outcome, std::uint64_t runtime_us) {
  Tally& tally = tallies_[worker];
  if (tally.host.empty()) tally.host = host;
  tally.add(outcome, runtime_us);
}

void StatusFile::write(const Core& core, const base::RunId& run, base::TimePoint now) {
  next_ = now + core.heartbeat();
  const base::WallTime wall = io::wall_now();
  std::string json = "{\"version\":1,";
  append(json, "run", run.hex());
  append(json, "sink_epoch", sink_epoch_);
  append(json, "started_at", static_cast<std::uint64_t>(started_at_));
  append_counts(core, json);
  append_jobs(core, wall, json);
  append_workers(json);
  const double per_second = rate(core.progress().finished(), now);
  if (json == written_) return;
  written_ = json;
  char rest[80];
  std::snprintf(rest, sizeof rest, "\"rate\":%.3f,\"written_at\":%lld}\n", per_second, static_cast<long long>(wall));
  json += rest;
  const std::string fresh = path_ + ".new";
  const io::UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd || !write_whole(fd.get(), json) || ::rename(fresh.c_str(), path_.c_str()) != 0) written_.clear();
}

void StatusFile::append_counts(const Core& core, std::string& json) const {
  append_flag(json, "has_ventilator", core.has_heard_ventilator());
  if (core.total()) append(json, "total", *core.total());
  else json += "\"total\":null,";
  append_flag(json, "is_cut", core.is_cut());
  append(json, "finished", core.progress().finished());
  append(json, "failed", core.progress().failed());
}

// The oldest, by a heap with the youngest of them on top.
void StatusFile::append_jobs(const Core& core, base::WallTime wall, std::string& json) const {
  std::vector<const LiveAttempt*> listed;
  const auto is_older = [](const LiveAttempt* a, const LiveAttempt* b) { return std::tie(a->since, a->attempt) < std::tie(b->since, b->attempt); };
  std::uint64_t out = 0;
  for (const auto& [job, record] : core.progress().records()) {
    for (const LiveAttempt& live : record.live) {
      if (!live.leased) continue;
      ++out;
      listed.push_back(&live);
      std::push_heap(listed.begin(), listed.end(), is_older);
      if (listed.size() <= kListedJobs) continue;
      std::pop_heap(listed.begin(), listed.end(), is_older);
      listed.pop_back();
    }
  }
  std::sort_heap(listed.begin(), listed.end(), is_older);
  append(json, "out", out);
  json += "\"jobs\":[";
  for (const LiveAttempt* live : listed) {
    json += '{';
    append(json, "job", live->attempt.job);
    append(json, "epoch", live->attempt.epoch);
    append(json, "n", live->attempt.n);
    append(json, "worker", live->worker.hex());
    append(json, "since", static_cast<std::uint64_t>(wall - (core.now() - live->since).count()));
    append_flag(json, "is_running", live->is_running);
    append_flag(json, "is_alone", live->alone);
    close(json, '}');
    json += ',';
  }
  close(json, ']');
  json += ',';
}

void StatusFile::append_workers(std::string& json) const {
  std::vector<const Tallies::value_type*> listed;
  for (const auto& item : tallies_) listed.push_back(&item);
  const auto is_newer = [](const auto* a, const auto* b) { return a->second.heard_at > b->second.heard_at; };
  const std::size_t count = std::min(listed.size(), kListedWorkers);
  std::partial_sort(listed.begin(), listed.begin() + static_cast<std::ptrdiff_t>(count), listed.end(), is_newer);
  listed.resize(count);
  append(json, "known_workers", tallies_.size());
  json += "\"workers\":[";
  for (const auto* item : listed) {
    const auto& [id, tally] = *item;
    const auto here = here_.find(id);
    json += '{';
    append(json, "worker", id.hex());
    append(json, "host", tally.host);
    append_flag(json, "is_here", here != here_.end());
    append(json, "slots", here != here_.end() ? here->second : 0);
    append(json, "done", tally.done);
    append(json, "failed", tally.failed);
    append(json, "lost", tally.lost);
    append(json, "runtime_us", tally.runtime_us);
    append(json, "heard_at", static_cast<std::uint64_t>(tally.heard_at));
    close(json, '}');
    json += ',';
  }
  close(json, ']');
  json += ',';
}

// Jobs a second, over the last minute of heartbeats.
double StatusFile::rate(std::uint64_t finished, base::TimePoint now) {
  finished_.emplace_back(now, finished);
  if (finished_.size() > kRateSamples) finished_.pop_front();
  const double seconds = static_cast<double>((now - finished_.front().first).count()) / 1e6;
  return seconds > 0 ? static_cast<double>(finished - finished_.front().second) / seconds : 0;
}

}  // namespace sink
