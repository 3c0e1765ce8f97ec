// What the ventilator is told of: jobs that are finished, confirms and limits, all that is known, and workers.
#include <algorithm>
#include <utility>

#include "sink/core.h"
#include "wire/limits.h"

namespace sink {

void Core::send_done() {
  wire::Done done;
  for (const auto& [id, limit] : limits_) done.limits.push_back(limit);
  limits_.clear();
  if (confirms_now_) {
    for (auto& [worker, attempts] : confirms_) {
      for (std::size_t at = 0; at < attempts.size(); at += wire::kMaxUnconfirmed) {
        const auto end = std::min(at + wire::kMaxUnconfirmed, attempts.size());
        done.confirms.push_back({worker, {attempts.begin() + static_cast<std::ptrdiff_t>(at), attempts.begin() + static_cast<std::ptrdiff_t>(end)}});
      }
    }
    confirms_.clear();
    confirms_held_ = 0;
    confirms_due_ = base::kNever;
    confirms_now_ = false;
  }
  for (std::size_t at = wire::kMaxUnconfirmed; at < done_.size(); at += wire::kMaxUnconfirmed) {
    const auto end = std::min(at + wire::kMaxUnconfirmed, done_.size());
    send(wire::Done{{}, {done_.begin() + static_cast<std::ptrdiff_t>(at), done_.begin() + static_cast<std::ptrdiff_t>(end)}, {}, {}});
  }
  if (done_.size() > wire::kMaxUnconfirmed) done_.resize(wire::kMaxUnconfirmed);
  done.jobs = std::exchange(done_, {});
  if (!done.jobs.empty() || !done.limits.empty() || !done.confirms.empty()) send(std::move(done));
}

void Core::send_snapshot() {
  snapshot_due_ = needs_snapshot_ = false;
  has_sent_snapshot_ = true;
  snapshot_at_ = now_;
  progress_.finished_jobs().for_each_bitmap(wire::kSnapshotBytes, [this](JobId first, std::string_view bits) {
    wire::Snapshot part;
    part.first_job = first;
    part.finished = std::string(bits);
    send(std::move(part));
  });
  wire::Snapshot part;
  const auto send_if_full = [&] {
    if (part.leases.size() + part.ended.size() >= wire::kBatchItems) send(std::exchange(part, {}));
  };
  for (const auto& [job, record] : progress_.records()) {
    for (const LiveAttempt& live : record.live) {
      if (live.leased) part.leases.push_back({live.attempt, live.worker});
    }
    const auto last = std::max_element(record.ended.begin(), record.ended.end(), [](const auto& a, const auto& b) { return a.attempt < b.attempt; });
    if (last != record.ended.end()) part.ended.push_back({last->attempt, last->outcome, record.must_run_alone(), record.failures()});
    send_if_full();
  }
  part.last = true;
  part.halt = halt_.halt;
  send(std::move(part));
}

// Leases are read off now, not when the STATE came: a result read since may have ended some.
void Core::send_workers() {
  for (const WorkerId& id : news_) {
    WorkerRecord& worker = workers_[id];
    worker.has_news = false;
    wire::Worker message;
    message.worker = id;
    message.session = worker.session;
    message.state_seq = worker.state_seq;
    message.endpoint = worker.endpoint;
    message.key = worker.key;
    message.host = worker.host;
    message.slots = worker.slots;
    message.generation = worker.generation;
    message.limit = worker.limit;
    message.bye = worker.bye;
    message.input_limit = worker.input_limit;
    for (const Attempt& attempt : worker.held) {
      JobRecord* record = progress_.find(attempt.job);
      const LiveAttempt* live = record == nullptr ? nullptr : record->find_live(attempt);
      if (live != nullptr && live->leased) message.leases.push_back(attempt);
    }
    const bool has_left = worker.bye;
    send(std::move(message));
    if (has_left) workers_.erase(id);
  }
  news_.clear();
}

}  // namespace sink
