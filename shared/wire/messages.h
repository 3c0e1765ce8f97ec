// One struct for each message of the protocol, one variant for each direction. PROTOCOL.md says what they mean and who may send them; codec.h turns
// them into frames. Every frame also carries the protocol version and the run id, which are not repeated here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/failures.h"
#include "base/ids.h"
#include "base/job.h"
#include "base/time.h"

namespace wire {

using base::Attempt;
using base::Generation;
using base::JobId;
using base::Outcome;
using base::WorkerId;

// ---- worker -> sink

struct Held {
  enum class Phase : std::uint8_t { Queued = 0, Running = 1, Unconfirmed = 2 };
  Attempt attempt;
  Phase phase = Phase::Queued;
  bool operator==(const Held&) const = default;
};

struct State {
  WorkerId worker;
  std::uint64_t session = 0;
  std::uint64_t state_seq = 0;
  std::string endpoint;  // of the worker's PULL
  std::string key;       // reserved for CURVE; empty
  std::string host;
  std::uint32_t slots = 0;
  Generation generation;
  std::uint64_t limit = 0;
  std::vector<Held> held;  // every attempt the worker holds
  std::uint64_t input_limit = 0;  // bytes of inputs it takes in this generation; 0: none, it reads the files itself
  bool operator==(const State&) const = default;
};

struct Result {
  Attempt attempt;
  Outcome outcome = Outcome::Ok;
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
  std::uint32_t slot = 0;              // from 1; 0: never started
  base::WallTime started_at = 0;
  base::WallTime finished_at = 0;
  std::uint64_t runtime_us = 0;        // monotonic
  std::uint64_t user_us = 0;
  std::uint64_t system_us = 0;
  std::uint64_t max_rss_kb = 0;
  std::string out;                     // stdout, or the printed value of a call; empty if it went ahead in OUTPUT
  std::string err;                     // stderr, likewise
  std::uint64_t out_bytes = 0;         // whole length of each stream
  std::uint64_t err_bytes = 0;
  std::string command;                 // text of the job, for the log
  std::string reason;                  // one line when pushmill itself has something to say; empty otherwise
  std::string label;                   // of the job's spec, as it is

  // It ran to an end of its own, or of its time limit: its outputs count.
  bool has_outcome_of_its_own() const { return outcome == Outcome::Ok || base::is_failure(outcome); }
  // The stream went ahead in OUTPUT.
  bool has_out_file() const { return out.empty() && out_bytes > 0; }
  bool has_err_file() const { return err.empty() && err_bytes > 0; }
  std::size_t text_bytes() const { return out.size() + err.size() + command.size() + reason.size() + label.size(); }
  bool operator==(const Result&) const = default;
};

struct Results {
  WorkerId worker;
  std::uint64_t session = 0;
  Generation generation;
  std::uint64_t limit = 0;
  std::string host;
  std::vector<Result> items;
  bool operator==(const Results&) const = default;
};

struct Bye {
  WorkerId worker;
  std::uint64_t session = 0;
  bool operator==(const Bye&) const = default;
};

enum class OutputStream : std::uint8_t { Out = 0, Err = 1 };
inline constexpr std::size_t kOutputStreams = 2;

// Part of an output that is too large for RESULT.
struct Output {
  WorkerId worker;
  Attempt attempt;
  OutputStream stream = OutputStream::Out;
  std::uint64_t offset = 0;  // of the first byte in the stream
  std::string bytes;
  bool operator==(const Output&) const = default;
};

// ---- ventilator -> sink. Stamp: the sender's own epoch, the newest one it knows of the receiver, and a number that rises by one a frame.

struct Stamp {
  std::uint64_t epoch = 0;       // of the ventilator
  std::uint64_t sink_epoch = 0;  // of the sink
  std::uint64_t seq = 0;         // of the sender
  bool operator==(const Stamp&) const = default;
};

// What a worker takes at most to end what it may not run any more.
inline constexpr base::Duration kKillTime{2'000'000};

// When the run is to stop before its end: with so many jobs, or so much of all, that ended so.
struct HaltRule {
  enum class When : std::uint8_t { Never = 0, Soon = 1, Now = 2 };  // soon: what runs is finished; now: it is ended
  enum class Of : std::uint8_t { Failed = 0, Succeeded = 1, Done = 2 };
  When when = When::Never;
  Of of = Of::Failed;
  std::uint32_t count = 1;  // above 0
  bool is_percent = false;
  bool operator==(const HaltRule&) const = default;
};

struct Policy {
  std::uint32_t retries = 1;      // runs of a failing job in total; 0: no limit
  std::uint32_t crash_limit = 5;  // losses while alone on a worker
  base::Duration heartbeat{1'000'000};
  base::Duration lease{10'000'000};
  base::FailureSet retry_on = base::FailureSet::all();  // a failure of another cause is for good
  bool at_most_once = false;  // an attempt that may have begun and whose end nobody knows is its job's last
  bool no_overlap = false;    // a job goes out again only when its attempt before has surely ended
  HaltRule halt = {};
  // How long after its last sign of life an attempt is lost.
  base::Duration lost_after() const { return no_overlap ? lease + kKillTime + 2 * heartbeat : lease; }
  bool operator==(const Policy&) const = default;
};

// The sink's word that the run is to stop before its end. In force until the ventilator has said in OPEN that it is over.
struct Halt {
  std::uint64_t number = 0;  // of the run's halts, from 1; 0: there was none
  HaltRule::When when = HaltRule::When::Never;
  std::uint32_t status = 0;  // of the run that stops so
  bool operator==(const Halt&) const = default;
};

struct Open {
  Stamp stamp;
  std::string endpoint;  // of the ventilator's PULL for feedback
  bool want_snapshot = false;
  std::optional<std::uint64_t> total;  // jobs of the run, once the end of input is durable
  bool cut = false;                    // the input ended before its end
  Policy policy;
  std::uint64_t halts_over = 0;  // halts up to this number are over: the user has the run go on
  bool operator==(const Open&) const = default;
};

struct Assigned {
  Attempt attempt;
  bool alone = false;      // it has the worker to itself
  std::string command = {};  // given when a loss of this attempt may be what the log says of the job, or its outputs are live; as is
  std::string label = {};  // the label of its spec
  bool operator==(const Assigned&) const = default;
};

struct Assign {
  Stamp stamp;
  WorkerId worker;
  std::uint64_t session = 0;  // 0: adopted from a lease, the lane is not known
  Generation generation;
  std::vector<Assigned> items;
  bool operator==(const Assign&) const = default;
};

struct Gone {
  Stamp stamp;
  WorkerId worker;
  Generation generation;
  bool operator==(const Gone&) const = default;
};

struct Close {
  Stamp stamp;
  bool is_halted = false;  // the run has not ended: it stops, and may be continued
  bool operator==(const Close&) const = default;
};

// ---- sink -> ventilator (feedback)

struct Worker {
  Stamp stamp;
  WorkerId worker;
  std::uint64_t session = 0;
  std::uint64_t state_seq = 0;
  std::string endpoint;
  std::string key;
  std::string host;
  std::uint32_t slots = 0;
  Generation generation;
  std::uint64_t limit = 0;
  std::vector<Attempt> leases;  // those the sink holds for this worker
  bool bye = false;
  std::uint64_t input_limit = 0;
  bool operator==(const Worker&) const = default;
};

struct Limit {
  WorkerId worker;
  std::uint64_t session = 0;
  Generation generation;
  std::uint64_t limit = 0;
  bool operator==(const Limit&) const = default;
};

struct Confirms {
  WorkerId worker;
  std::vector<Attempt> attempts;
  bool operator==(const Confirms&) const = default;
};

struct Done {
  Stamp stamp;
  std::vector<JobId> jobs;  // now finished, whatever the outcome
  std::vector<Limit> limits;
  std::vector<Confirms> confirms;
  bool operator==(const Done&) const = default;
};

struct Requeued {
  Attempt attempt;
  Outcome outcome = Outcome::Lost;
  bool alone = false;  // the next attempt must have its worker to itself
  std::uint32_t failures = 0;  // of the job, counted
  bool operator==(const Requeued&) const = default;
};

struct Requeue {
  Stamp stamp;
  std::vector<Requeued> items;
  bool operator==(const Requeue&) const = default;
};

struct Lease {
  Attempt attempt;
  WorkerId worker;
  bool operator==(const Lease&) const = default;
};

// Part of the sink's whole knowledge. Parts come in order; `last` closes the set.
struct Snapshot {
  Stamp stamp;
  JobId first_job = 1;            // of the bitmap's first bit, lowest bit first
  std::string finished;           // bitmap
  std::vector<Lease> leases;
  std::vector<Requeued> ended;    // the greatest ended attempt of each unfinished job that has one, and how its next must run
  bool last = false;
  Halt halt = {};                 // the newest
  bool operator==(const Snapshot&) const = default;
};

struct End {
  Stamp stamp;
  std::uint64_t total = 0;
  std::uint64_t failed = 0;
  bool cut = false;
  Halt halt = {};  // the newest: in force, it says the exit status
  bool operator==(const End&) const = default;
};

// The first `length` bytes of an output are durable (or need no more keeping).
struct StoredOutput {
  Attempt attempt;
  OutputStream stream = OutputStream::Out;
  std::uint64_t length = 0;
  bool operator==(const StoredOutput&) const = default;
};

struct StoredOutputs {
  WorkerId worker;
  std::vector<StoredOutput> items;
  bool operator==(const StoredOutputs&) const = default;
};

struct Stored {
  Stamp stamp;
  std::vector<StoredOutputs> workers;
  bool operator==(const Stored&) const = default;
};

struct Alive {  // the answer to OPEN, and the sink's heartbeat
  Stamp stamp;
  Halt halt = {};  // the newest
  bool operator==(const Alive&) const = default;
};

// ---- ventilator -> worker (lane)

struct JobItem {
  Attempt attempt;
  std::string spec;  // an encoded base::JobSpec
  std::uint64_t input = 0;  // so many bytes of its input come in INPUT; 0: none do
  bool operator==(const JobItem&) const = default;
};

struct Job {
  WorkerId worker;
  std::uint64_t session = 0;
  Generation generation;
  std::uint64_t limit = 0;      // the newest the ventilator knows: its echo
  std::uint64_t first_seq = 0;  // number in the generation of the first item, from 1; the others follow
  std::vector<JobItem> items;
  bool operator==(const Job&) const = default;
};

struct Ctrl {
  WorkerId worker;
  std::uint64_t session = 0;
  Generation generation;
  std::uint64_t limit = 0;      // echo
  std::uint64_t state_seq = 0;  // echo
  std::vector<Attempt> confirms;
  bool complete = false;        // the run has ended
  base::Duration heartbeat{1'000'000};
  base::Duration lease{10'000'000};
  bool no_overlap = false;
  HaltRule::When halt = HaltRule::When::Never;  // start nothing more, and, if now, end what runs
  bool operator==(const Ctrl&) const = default;
};

struct Free {  // what STORED said, passed on: the worker may drop these bytes
  WorkerId worker;
  std::uint64_t session = 0;
  Generation generation;
  std::vector<StoredOutput> items;
  bool operator==(const Free&) const = default;
};

// Part of the input of a job, for a worker that does not see the file.
struct Input {
  WorkerId worker;
  std::uint64_t session = 0;
  Generation generation;
  std::uint64_t sent = 0;    // bytes of inputs that were sent before these in this generation
  Attempt attempt;
  std::uint64_t offset = 0;  // of the first byte in the input
  std::string bytes;
  std::string fault;         // why no more of it comes, one line; empty: it can be read
  bool operator==(const Input&) const = default;
};

struct Refused {  // on a throwaway lane, from the sink
  WorkerId worker;
  std::string reason;
  bool operator==(const Refused&) const = default;
};

using ToSink = std::variant<State, Results, Bye, Output, Open, Assign, Gone, Close>;
using ToVentilator = std::variant<Worker, Done, Requeue, Snapshot, End, Alive, Stored>;
using ToWorker = std::variant<Job, Ctrl, Refused, Free, Input>;

}  // namespace wire
