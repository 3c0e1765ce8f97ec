#include "sink/backlog.h"

#include <algorithm>
#include <bitset>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace sink {

namespace {

class CompletionBacklog : public Backlog {
 public:
  // The rows behind `mark` up to `last` are there and have not been added.
  CompletionBacklog(std::uint64_t mark, std::uint64_t last, std::size_t remembered)
      : remembered_(remembered), covered_(mark), last_(std::max(mark, last)) {}

  bool add(std::uint64_t seq, Emission emission) override {
    last_ = seq;
    if (covered_ + 1 != seq || queue_.size() >= remembered_) return false;  // behind: every row since `covered_` comes by refill()
    covered_ = seq;
    queue_.push_back({emission.job, seq, emission.kind, emission.failed});
    if (emission.kind != Emission::Kind::Held) return false;
    held_.emplace_back(std::move(emission.out), std::move(emission.err));
    return true;
  }

  void take(std::size_t most, std::vector<Emission>& batch) override {
    for (; most > 0 && !queue_.empty(); --most, queue_.pop_front()) {
      const Waiting& next = queue_.front();
      batch.push_back({next.job, next.seq, next.kind, next.failed, {}, {}});
      if (next.kind != Emission::Kind::Held) continue;
      std::tie(batch.back().out, batch.back().err) = std::move(held_.front());
      held_.pop_front();
    }
  }

  bool may_show(base::JobId) const override { return true; }

  std::optional<Range> wanted() const override {
    if (!queue_.empty() || covered_ == last_) return std::nullopt;
    return Range{covered_, std::min<std::uint64_t>(last_, covered_ + remembered_)};
  }
  void refill(const Range& range, const std::vector<Finished>& rows) override {
    for (const Finished& row : rows) queue_.push_back({row.job, row.seq, row.silent ? Emission::Kind::Silent : Emission::Kind::Fetch, row.failed});
    covered_ = range.until;
  }

 private:
  struct Waiting {
    base::JobId job;
    std::uint64_t seq;
    Emission::Kind kind;
    bool failed;
  };
  const std::size_t remembered_;
  std::deque<Waiting> queue_;
  std::deque<std::pair<std::string, std::string>> held_;  // the outputs of those that say so, in the same order
  std::uint64_t covered_;                                 // all rows up to here are in the queue or have been taken
  std::uint64_t last_;                                    // the newest row
};

class JobBacklog : public Backlog {
 public:
  explicit JobBacklog(base::JobId next) : next_(next) {}

  bool add(std::uint64_t, Emission emission) override {
    if (emission.job < next_) return false;
    if (emission.kind == Emission::Kind::Held) return held_.emplace(emission.job, std::move(emission)).second;
    Chunk& chunk = chunks_[emission.job / kChunk];
    chunk.finished.set(emission.job % kChunk);
    chunk.silent.set(emission.job % kChunk, emission.kind == Emission::Kind::Silent);
    return false;
  }

  void take(std::size_t most, std::vector<Emission>& batch) override {
    for (; most > 0; --most) {
      if (const auto held = held_.find(next_); held != held_.end()) {
        batch.push_back(std::move(held->second));
        held_.erase(held);
      } else {
        const auto chunk = chunks_.find(next_ / kChunk);
        if (chunk == chunks_.end() || !chunk->second.finished[next_ % kChunk]) return;
        const bool silent = chunk->second.silent[next_ % kChunk];
        batch.push_back({next_, next_, silent ? Emission::Kind::Silent : Emission::Kind::Fetch, false, {}, {}});  // fetched: the row says whether it failed
      }
      if (++next_ % kChunk == 0) chunks_.erase(next_ / kChunk - 1);
    }
  }

  bool may_show(base::JobId job) const override { return job == next_; }

 private:
  static constexpr std::size_t kChunk = 4096;
  struct Chunk {
    std::bitset<kChunk> finished, silent;
  };
  base::JobId next_;
  std::unordered_map<base::JobId, Emission> held_;
  std::map<std::uint64_t, Chunk> chunks_;  // of the jobs that wait without their outputs
};

}  // namespace

std::unique_ptr<Backlog> completion_backlog(std::uint64_t mark, std::uint64_t last, std::size_t remembered) {
  return std::make_unique<CompletionBacklog>(mark, last, remembered);
}

std::unique_ptr<Backlog> job_backlog(base::JobId next) { return std::make_unique<JobBacklog>(next); }

}  // namespace sink
