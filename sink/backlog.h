// The finished jobs whose outputs wait to be written, in their order. Owned by the output writer, and guarded by its lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "sink/result_log.h"

namespace sink {

// One job of it.
struct Emission {
  enum class Kind : std::uint8_t { Held, Fetch, Silent };  // outputs here, in results.db, none
  base::JobId job = 0;
  std::uint64_t mark = 0;  // of emission, when this job is out
  Kind kind = Kind::Silent;
  bool failed = false;
  std::string out, err;
  // What it takes in memory while it waits, roughly: a million outputs of three bytes are more than three megabytes.
  std::size_t bytes() const { return out.size() + err.size() + 128; }
};

class Backlog {
 public:
  virtual ~Backlog() = default;
  // Returns whether it keeps the outputs; if not, it will say Fetch.
  virtual bool add(std::uint64_t seq, Emission emission) = 0;
  // Appends up to `most` jobs whose turn it is.
  virtual void take(std::size_t most, std::vector<Emission>& batch) = 0;
  // Whether live outputs of a job that has not finished may be shown now.
  virtual bool may_show(base::JobId job) const = 0;

  // The jobs whose turn it is were not remembered: those with after < seq <= until are wanted, for refill().
  struct Range {
    std::uint64_t after = 0, until = 0;
  };
  virtual std::optional<Range> wanted() const { return std::nullopt; }
  virtual void refill(const Range&, const std::vector<Finished>&) {}
};

// In the order of completion. The rows behind `mark` up to `last` are there and have not been added; at most `remembered` jobs are.
std::unique_ptr<Backlog> completion_backlog(std::uint64_t mark, std::uint64_t last, std::size_t remembered);
// In the order of the jobs, the first of which is `next`.
std::unique_ptr<Backlog> job_backlog(base::JobId next);

}  // namespace sink
