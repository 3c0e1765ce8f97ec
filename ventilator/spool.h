// jobs.db: everything the ventilator must not forget. It is its only writer, and holds ventilator.lock while a Spool is open; the sink and the front may look
// with peek(). Every function that changes something has committed it when it returns ok, and has changed nothing when it returns an error; after one of
// kind Full the caller may call again once there is room.
//
// Schema version 1 (PRAGMA user_version):
//   meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID
//     run           blob of 16 bytes: the run id. In the first commit of all: a file without it holds nothing
//     epoch         integer, from 1: starts of a ventilator on this run
//     horizon       integer: no job above it was ever dispatched
//     template      text: Template::text(); with --skip-done, of the last call
//     input         text: JobSource::text()
//     origin        text: Origin::encode(), how the run was first called; with --skip-done, how it was last called
//     end_of_input  integer: 0, 1 the input was read to its end, 2 it was cut; more may follow when it is offered again, and then it is 0
//     cut_reason    text, when end_of_input is 2
//     ended         integer: the exit status of the run, once it is complete; taken back when a cut input goes on, a user has jobs retried, or offers more (--skip-done)
//     halts_over    integer: halts of the run up to this number have stopped it, and it may go on
//     keeps_dispatches  integer, 1: the run is one at most once, and has the table `dispatched`
//   jobs(job INTEGER PRIMARY KEY, spec BLOB NOT NULL, hash INTEGER NOT NULL)
//     job   from 1, without gaps: the greatest is the number of accepted jobs
//     spec  wire::encode_spec()
//     hash  content_hash(spec), its 64 bits as SQLite's signed integer
//   dispatched(job INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, n INTEGER NOT NULL, worker BLOB NOT NULL), only where meta says so
//     the newest attempt of each job that has gone out, and the worker it went to
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "io/database.h"
#include "ventilator/events.h"

namespace ventilator {

// 64-bit FNV-1a.
std::uint64_t content_hash(std::string_view bytes);

class Spool {
 public:
  static constexpr int kSchemaVersion = 1;
  static constexpr std::size_t kCacheBytes = 8u << 20;

  struct Summary {
    base::RunId run;
    std::uint64_t epoch = 0;
    base::JobId horizon = 0;
    base::JobId accepted = 0;  // jobs 1..accepted are in the spool
    bool end_of_input = false;
    bool cut = false;  // the input ended before its end
    std::string cut_reason;
    std::optional<int> ended;                  // the exit status
    std::uint64_t halts_over = 0;
    std::optional<std::string> template_text;  // none: describe_run() was not reached
    std::string input_text;
    std::string origin;
    bool keeps_dispatches = false;
    base::JobId accepted_before = 0;  // the last call of --skip-done
  };

  // Opens DIR/jobs.db, or creates it with a fresh run id. Either way summary().epoch is a new one and durable. `cache_bytes` bounds the specs held in memory.
  static base::Result<Spool> open(const std::string& directory, io::Durability durability, bool exclusive, std::size_t cache_bytes = kCacheBytes);
  // Reads without writing; NotFound if there is no run in `directory`. REQUIRES, where a network filesystem holds it: ventilator.lock.
  static base::Result<Summary> peek(const std::string& directory);

  // Takes back that the run has ended, so that jobs can run again; on the disk when it returns. The summary is the one after it.
  // REQUIRES: ventilator.lock is held.
  static base::Result<Summary> take_back_end(const std::string& directory);

  // Each accepted job, in order, without writing. NotFound if there is no run in `directory`. REQUIRES as peek().
  static base::Status for_each_accepted(const std::string& directory, const std::function<void(base::JobId, base::JobSpec&&)>& each);
  // More input follows behind the accepted jobs, of a call that need not be that of the others: it has the template and the origin of its own, and the run
  // has not ended. On the disk when it returns. REQUIRES: ventilator.lock is held, and there is a run.
  static base::Status go_on(const std::string& directory, const std::string& template_text, const std::string& origin);

  Spool(Spool&&) = default;
  Spool& operator=(Spool&&) = delete;

  // As it is now: after open() what was recovered.
  const Summary& summary() const { return summary_; }

  // Says once what the run does. On a run that is described: Conflict if it has another template; another input is noted, for matches() judges its records;
  // the origin stays the first.
  base::Status describe_run(const std::string& template_text, const std::string& input_text, const std::string& origin = {});

  // Accepts jobs accepted+1.. in one transaction: they may be dispatched when this returns ok. Behind a cut it takes back the end of the input, and of the run.
  // REQUIRES: the input has not ended uncut.
  base::Status append(std::span<const std::string> specs);
  // No job above `job` is dispatched before the next call. Does nothing if the horizon is there already.
  base::Status raise_horizon(base::JobId job);
  // Whether this run notes each dispatch. Conflict: dispatches of it have been made otherwise.
  base::Status keep_dispatches(bool keeps);
  // REQUIRES of both: keep_dispatches(true).
  base::Status commit_dispatches(std::span<const Dispatch> dispatches);
  base::Result<std::vector<Dispatch>> dispatches(std::span<const base::JobId> jobs);  // of those that have one
  // The input ends behind what is accepted. The run has not ended with it, or not any more.
  base::Status commit_end_of_input(bool cut, const std::string& reason);
  base::Status commit_ended(int exit_status);
  base::Status commit_halts_over(std::uint64_t number);

  // The encoded spec of an accepted job. A freshly appended one comes from memory, others in blocks from the file, best in ascending order.
  base::Result<std::string> spec(base::JobId job);
  base::Result<std::uint64_t> hash(base::JobId job);
  // wire::describe() of it.
  base::Result<base::JobSpec> decoded(base::JobId job);

  // For an input that is offered again: whether record `job`, composed to `spec`, is the one accepted or one that may follow. Conflict names the difference.
  base::Status matches(base::JobId job, std::string_view spec);
  // Whether an input offered again may end behind `records`.
  base::Status matches_end(base::JobId records) const;

 private:
  friend struct SpoolTestAccess;

  // Specs of consecutive jobs.
  struct Block {
    base::JobId first = 0;
    std::string bytes;
    std::vector<std::size_t> ends;

    void add(std::string_view spec);
    bool holds(base::JobId job) const { return job >= first && job - first < ends.size(); }
    std::string_view spec(base::JobId job) const;  // REQUIRES: holds(job)
    std::size_t memory() const;
  };

  Spool(io::Database database, std::size_t cache_bytes) : database_(std::move(database)), cache_bytes_(cache_bytes) {}
  base::Status prepare();
  base::Status begin_epoch();
  template <typename Body>
  base::Status transaction(Body body);
  base::Status put(std::string_view key, std::int64_t value);
  base::Status put_text(std::string_view key, std::string_view value);
  void remember(Block block);
  base::Result<std::string_view> find(base::JobId job);  // valid until the next call of anything
  base::Status read_ahead(base::JobId job);

  io::Database database_;  // before the statements, which must be gone when it closes
  io::Statement put_, insert_, select_, dispatch_, recall_;
  Summary summary_;

  std::size_t cache_bytes_;
  std::deque<Block> fresh_;  // the last jobs appended, up to summary_.accepted
  std::size_t fresh_memory_ = 0;
  Block ahead_;  // the last ones read from the file
};

}  // namespace ventilator
