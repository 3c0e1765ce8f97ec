// results.db: what the sink knows durably. One row a finished job, one row every other ended attempt, and the marks of the run.
// Owned by the sink's shell, which is its only writer and holds sink.lock before opening it. Rows of one batch are collected and committed together;
// what depends on them (confirms, REQUEUE, emission) waits for commit(). RESULTS_DB.md describes the tables. It decides nothing: the core does.
//
// Threads: all functions belong to the sink's loop, except row() and finished_between(), which the emission thread may call at any time: they read what is
// committed, through a connection of their own where the file system allows a second one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/job_set.h"
#include "base/result.h"
#include "io/database.h"
#include "sink/events.h"
#include "sink/tallies.h"
#include "wire/messages.h"

namespace sink {

struct Row {
  wire::Result result;
  std::string out_file, err_file;  // relative to the run directory; empty: the stream is in `result`
  base::WorkerId worker;
  std::string host;
  std::uint64_t ordinal = 1;  // 1 + ended attempts of the job before this one
};

// Of which jobs outputs are kept when they have been emitted.
enum class KeepOutput : std::uint8_t { All, Failed, None };

// The order in which outputs are emitted.
enum class Order : std::uint8_t { Completion = 0, Job = 1 };

// How far emission has come: everything up to `mark` is out, a seq or a job number as `order` says.
struct Emitted {
  Order order = Order::Completion;
  std::uint64_t mark = 0;
  bool operator==(const Emitted&) const = default;
};

// The run has ended, and how.
struct Ended {
  std::int32_t exit_status = 0;
  std::uint64_t total = 0;
  std::uint64_t failed = 0;
  bool cut = false;
  bool operator==(const Ended&) const = default;
};

// The first `offset` bytes of the joblog cover the rows up to `seq`, the last of which is that of `job`.
struct JoblogMark {
  std::uint64_t offset = 0;
  std::uint64_t seq = 0;
  base::JobId job = 0;
  std::uint64_t number = 0;  // under which that one stands there
  bool operator==(const JoblogMark&) const = default;
};

struct Finished {
  base::JobId job = 0;
  std::uint64_t seq = 0;
  bool failed = false;  // any outcome but ok
  bool silent = false;  // both outputs are empty, and its command alone says why it failed, if it did
};

// What an opened results.db said of the run so far.
struct Recovered {
  base::RunId run;          // zero: not known yet
  std::uint64_t epoch = 0;  // of this start of the sink; committed
  std::optional<wire::Policy> policy;
  std::uint64_t finished = 0;
  std::uint64_t last_seq = 0;
  std::optional<Emitted> emitted;
  std::optional<Ended> ended;
  std::optional<LogHalt> halt;  // the newest
  std::optional<JoblogMark> joblog;
  std::uint64_t settled_seq = 0;  // failures up to this seq count no more
  std::uint64_t emitted_seq = 0;  // after a retry, in the order of the jobs: rows up to this seq are out, whatever `emitted` says
};

// Finished jobs that a user wants to run again.
struct RetryChoice {
  enum class Which : std::uint8_t { NotOk, Lost, Named } which = Which::NotOk;
  std::vector<base::JobId> jobs;  // Named
};

class ResultLog {
 public:
  static constexpr const char* kFile = "results.db";
  static constexpr int kVersion = 1;

  // Opens or creates DIR/results.db, raises the sink epoch and commits it. Conflict: made by a newer pushmill.
  static base::Result<std::unique_ptr<ResultLog>> open(const std::string& dir, io::Durability durability, bool exclusive);

  struct Peek {
    base::RunId run;
    std::uint64_t finished = 0;
    std::uint64_t failed = 0;
    std::optional<Ended> ended;
  };
  // What the log of `dir` says, without writing to it; counts rows unless the run has ended. NotFound: there is no log.
  static base::Result<Peek> peek(const std::string& dir);

  // Makes the finished jobs that `choice` names unfinished, in one transaction: their rows go to `attempts`, where they count against no limit any more, all
  // attempts before `least_epoch` become void, and the mark that the run has ended goes. NotFound: a job named is not finished; nothing is changed.
  // REQUIRES: sink.lock is held. The value is their number.
  static base::Result<std::uint64_t> retry(const std::string& dir, const RetryChoice& choice, std::uint64_t least_epoch);
  // More input follows, in which what has failed may come again: the failures of now stay in the log and count no more, and the mark that the run has ended
  // goes. REQUIRES: sink.lock is held, and there is a log.
  static base::Status settle(const std::string& dir);
  // The jobs that have failed; those alone that are settled, or all. None: there is no log.
  static base::Result<base::JobSet> failures(const std::string& dir, bool only_settled);

  const Recovered& recovered() const { return recovered_; }
  // Every finished job above `above`, in job order, also one whose failure counts no more; the open batch is not among them.
  base::Status for_each_finished(const std::function<void(const Finished&)>& each, base::JobId above = 0);
  // The files that rows name.
  base::Result<std::set<std::string>> files();
  // The ended attempts of the unfinished jobs, by job and attempt.
  base::Status for_each_ended(const std::function<void(base::Attempt, base::Outcome, bool counted, bool alone)>& each);

  // The jobs that a user has retried and that are not finished again: attempts of earlier epochs are void.
  base::Status for_each_retried(const std::function<void(base::JobId, std::uint64_t least_epoch)>& each);
  base::Result<Tallies> tallies() { return read_tallies(database_); }

  // The batch, in the order of the calls. Nothing of it is durable before commit().

  // The terminal row of a job. Returns its number in the order of completion, from 1. A row the same attempt has in `attempts` goes.
  // REQUIRES: the job has none; a second one makes commit() fail and changes nothing.
  std::uint64_t finish(Row row);
  // An ended attempt that is not the job's result. Without effect if it is in either table already. `alone`: it had its worker to itself.
  void end_attempt(Row row, bool counted, bool alone);
  // A loss is taken back: its row stops counting (`keep`) or goes.
  void take_back(const base::Attempt& attempt, bool keep);
  // The outputs of a finished job are not to be kept: the row loses them and the names of their files.
  void free_outputs(base::JobId job);
  // These are marks of which only the newest matters.
  void run(const base::RunId& run) { marks_.run = run; }
  void policy(const wire::Policy& policy) { marks_.policy = policy; }
  void emitted(const Emitted& emitted) { marks_.emitted = emitted; }
  void joblog(const JoblogMark& mark) { marks_.joblog = mark; }
  void ended(const Ended& ended) { marks_.ended = ended; }
  void halt(const LogHalt& halt) { marks_.halt = halt; }
  void take_back_end() { marks_.ended = std::nullopt, marks_.is_end_taken_back = true; }

  bool has_batch() const { return !steps_.empty() || !marks_.is_empty(); }
  // Makes the batch durable, all or nothing, and empties it. On an error nothing of it is written and the batch is kept; if the kind is Full the
  // caller may call again later.
  base::Status commit();

  // The terminal rows of the last successful commit, in the order of their numbers; the caller may move the outputs out. Valid until the next commit.
  std::span<Row> committed_rows() { return committed_; }
  std::uint64_t first_committed_seq() const { return first_committed_seq_; }

  // Any thread, also while the loop commits or rolls back.
  base::Result<Row> row(base::JobId job);
  // The rows with after < seq <= until, in that order. Reads all of `results`: ask for large ranges only.
  base::Result<std::vector<Finished>> finished_between(std::uint64_t after, std::uint64_t until);

 private:
  enum class StepKind : std::uint8_t { Finish, EndAttempt, Uncount, Remove, FreeOutputs };
  struct Step {
    StepKind kind;
    std::size_t index;  // into finished_, other_, taken_back_ or freed_
  };
  struct Other {
    Row row;
    bool counted;
    bool alone;
  };
  struct Marks {
    std::optional<base::RunId> run;
    std::optional<wire::Policy> policy;
    std::optional<Emitted> emitted;
    std::optional<JoblogMark> joblog;
    std::optional<Ended> ended;
    std::optional<LogHalt> halt;
    bool is_end_taken_back = false;  // before `ended`, if that is there
    bool is_empty() const { return !run && !policy && !emitted && !joblog && !ended && !halt && !is_end_taken_back; }
  };
  struct Statements {
    io::Statement begin, commit, finish, end_attempt, uncount, remove, free_outputs, set_mark;
  };
  struct Reading {  // one thread at a time
    io::Database database;  // of its own, or none: the statements are of database_
    io::Statement row, visit;
    bool is_ready = false;
  };

  ResultLog() = default;
  static base::Status take_back_end(io::Database& database);
  static base::Result<io::Database> open_file(const std::string& dir, io::Durability durability, bool exclusive);
  base::Status prepare();
  base::Status raise_epoch();
  base::Status recover();
  base::Status write_batch();
  base::Status write_step(const Step& step);
  base::Status write_finish(const Row& row, std::uint64_t seq);
  void bind_origin(const Row& row);
  void bind_rare(std::size_t index, int parameter, const std::string& text);
  base::Status write_other(const Other& other);
  base::Status write_marks();
  base::Status set_mark(std::string_view key, std::int64_t value);
  base::Status prepare_reading();  // REQUIRES: reading_mutex_ is held
  base::Result<std::optional<Row>> read_row(base::JobId job);
  base::Result<std::size_t> visit(base::JobId above, std::vector<Finished>& found);

  io::Database database_;  // before the statements, which must be gone when it closes
  Statements statements_;
  Recovered recovered_;

  struct Bound {  // to the statement `finish`, which keeps it
    base::WorkerId worker;
    std::array<char, 32> worker_text{};
    std::string host;
    std::array<bool, 4> has_rare{};
  };
  Bound bound_;

  std::vector<Step> steps_;
  std::vector<Row> finished_;
  std::vector<Other> other_;
  std::vector<base::Attempt> taken_back_;
  std::vector<base::JobId> freed_;
  Marks marks_;
  std::uint64_t first_seq_ = 1;  // of finished_
  bool has_attempts_ = false;    // `attempts` may hold rows: most runs never need to look there

  std::vector<Row> committed_;
  std::uint64_t first_committed_seq_ = 1;

  std::string path_;
  bool is_exclusive_ = false;
  std::mutex reading_mutex_;  // guards reading_
  Reading reading_;
};

}  // namespace sink
