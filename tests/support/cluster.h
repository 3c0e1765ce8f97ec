// The three cores joined in memory: a virtual clock, a seeded network that loses, delays and cuts, disks that keep only what was committed, and roles that
// crash at any step. Every message is encoded and decoded on its way. An observer sees everything and checks the invariants (docs/INVARIANTS.md).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/sink_disk.h"
#include "ventilator/core.h"
#include "worker/core.h"

namespace support {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Chances per tick, in thousandths.
struct Faults {
  const char* name;
  unsigned ventilator = 0, sink = 0, worker = 0;  // kill -9
  unsigned feedback = 0, ventilator_uplink = 0, lane = 0, worker_uplink = 0;  // a connection breaks
  unsigned dead = 0;            // a connection to the sink or of its feedback swallows all, until it is replaced
  unsigned pause = 0;           // SIGSTOP of a role for up to two leases
  unsigned at_end = 0;          // kill -9 of a role that has just committed the end
  unsigned suspend = 0;         // the same of all roles at once
  unsigned overload = 0;        // the sink reads slowly for up to two leases
  unsigned retry = 0;           // the user stops both heads and has finished jobs run again
  unsigned cut = 0;             // the input is cut, and offered again to a later ventilator
  bool jobs_fail = true;
  bool runs_once = false;       // nothing here may cause a second run of a job
  std::uint64_t downtime = 250;  // ticks at most until a killed role is started again
  std::uint64_t outage = 20;     // ticks at most until a broken uplink is made again
  std::uint64_t delay = 9;       // ticks at most on the way
  bool is_calm = false;          // no faults at all: nobody may be given up
  bool halts = false;            // the policy stops the run before its end, and the user has it go on
  bool at_most_once = false;     // the policies of these names
  bool no_overlap = false;
};

// One direction of a connection: first in, first out; when cut, a random tail is lost.
struct Stream {
  std::string to;
  bool is_open = true;
  bool is_dead = false;  // what is sent on it is lost, and nobody notices
  std::uint64_t last_at = 0;
  std::deque<std::pair<std::uint64_t, std::string>> frames;
};

class Cluster {
 public:
  Cluster(const Faults& faults, std::uint64_t seed);
  void run();  // throws Violation

  struct Counters { std::uint64_t schedules = 0, ticks = 0, crashes = 0, returned = 0, unreached = 0, lost = 0, superseded = 0, sessions = 0, taken_back = 0, results = 0, outputs = 0, inputs = 0, retried = 0, offered_again = 0, halts = 0; };
  const Counters& counters() const { return counters_; }

 private:
  static constexpr base::Duration kTick{100'000};  // a tenth of a heartbeat
  static constexpr std::uint64_t kHeartbeat = 10, kLease = 100;

  using StreamPtr = std::shared_ptr<Stream>;
  struct Uplink {  // reconnects
    StreamPtr stream;
    std::deque<std::string> waiting;
    std::uint64_t retry_at = 0;
    bool is_dead = false;  // it met a stranger, and never reconnects
  };
  struct VentilatorDisk {
    std::uint64_t epoch = 0;
    base::JobId horizon = 0, accepted = 0;
    bool input_ended = false, cut = false, ended = false;
    std::uint64_t halts_over = 0;
    std::map<base::JobId, ventilator::Dispatch> dispatched;
    bool has_dispatched(const base::Attempt& attempt) const {
      const auto newest = dispatched.find(attempt.job);
      return newest != dispatched.end() && newest->second.attempt == attempt;
    }
  };
  struct VentilatorNode {
    ventilator::Core core;
    std::string endpoint;
    Uplink up;
    std::map<base::WorkerId, std::pair<base::Generation, StreamPtr>> lanes;
    std::uint64_t paused_until = 0;
    std::uint64_t sink_epoch = 0;  // the greatest it was told
    bool knows_of_halt = false;
  };
  struct SinkNode {
    sink::Core core;
    std::vector<sink::Effect> rows;
    StreamPtr feedback;
    std::uint64_t paused_until = 0;
    std::uint64_t slow_until = 0;
    std::uint64_t ventilator_epoch = 0;  // the greatest it was told
    std::map<base::JobId, base::Attempt> seen;  // the greatest attempt it was told of
    std::map<base::WorkerId, std::pair<std::uint64_t, std::uint64_t>> states;  // session and number of the newest
  };
  struct Producer { std::uint64_t length = 0, read = 0, granted = 0; };  // of an output, while its attempt runs
  struct WorkerNode {
    worker::Core core;
    base::WorkerId id;
    Uplink up;
    std::string endpoint;
    std::map<base::Attempt, std::uint64_t> running;  // to its end
    std::set<base::Attempt> killed;
    std::map<std::pair<base::Attempt, wire::OutputStream>, Producer> producers;
    bool takes_inputs = false;
    std::map<base::Attempt, std::string> inputs;  // that came
    std::set<base::Attempt> faulty;               // that will not be whole
    std::set<base::Attempt> roomless;             // that found no room, and are never started
    std::set<base::Attempt> held;  // what it must hold until it is logged
    std::uint64_t paused_until = 0;
    bool is_known = false;           // a lane has echoed it
    std::uint64_t widest = 0;        // its window at any time so far
    base::TimePoint run_until = base::kNever;  // its keeper ends then what runs, whatever becomes of the worker
    std::uint64_t disturbed_at = 0;  // what it said up to here may not have reached the sink in time
    base::RunId run{};                            // once a head has told it
  };
  struct Crash { std::string who; };
  struct Arrival { bool is_stale = false; std::uint64_t ignored = 0; std::map<base::JobId, base::Attempt> must_stay; };
  struct ToWorkerArrival { bool is_stale = false; std::uint64_t ignored = 0; std::vector<base::Attempt> wanted; };

  void step();
  void inject_faults();
  void start_roles();
  void deliver();
  void deliver_to_sink(const std::string& frame);
  void deliver_to_ventilator(const std::string& frame);
  void deliver_to_worker(WorkerNode& worker, const std::string& frame);
  void tick_ventilator();
  void tick_sink();
  void tick_worker(WorkerNode& worker);
  void tick_uplink(Uplink& up);

  void feed(const ventilator::Event& event);
  void feed(sink::Event&& event);
  void feed(WorkerNode& worker, worker::Event&& event);
  bool carry_out(ventilator::Effect& effect);  // false: the role has left
  bool carry_out(sink::Effect& effect);
  bool carry_out(WorkerNode& worker, worker::Effect& effect);
  void commit();
  std::uint64_t input_length(base::JobId job) const;
  std::string input_of(base::JobId job, std::uint64_t offset, std::uint64_t length) const;
  void send_input(const ventilator::SendInput& effect);
  void keep_input(WorkerNode& worker, const worker::KeepInput& effect);
  void check_input(const WorkerNode& worker, const base::Attempt& attempt) const;
  void produce(WorkerNode& worker, const base::Attempt& attempt, bool to_end);
  void write_output(const sink::WriteOutput& effect);
  void check_output(const wire::Result& result, wire::OutputStream stream) const;
  // On disk, or void: then nobody is to know how it ended.
  bool is_logged(const base::Attempt& attempt) const {
    return sink_disk_.results.contains(attempt.job) || sink_disk_.attempts.contains(attempt) || is_void(attempt);
  }
  bool is_void(const base::Attempt& attempt) const {
    const auto least = least_epoch_.find(attempt.job);
    return least != least_epoch_.end() && attempt.epoch < least->second;
  }
  bool observe_arrival(const wire::ToSink& message);  // true: stale
  Arrival observe_arrival(const wire::ToVentilator& message);
  ToWorkerArrival observe_arrival(WorkerNode& worker, const wire::ToWorker& message);
  void check_arrival(const Arrival& arrival);
  void check_arrival(WorkerNode& worker, const ToWorkerArrival& arrival);
  void observe(const wire::ToVentilator& message);
  void observe_lost(const wire::Result& result, const base::WorkerId& worker);
  void observe_dispatch(const base::Attempt& attempt);
  bool is_halt_due() const;
  void check_halt();
  void observe_new_count(const sink::LogHalt& halt);
  void observe_halted(std::uint64_t number);
  void observe_start(const base::WorkerId& id, const base::Attempt& attempt);
  void end_at_deadline(WorkerNode& worker);
  void observe_count(const wire::Result& result);
  void note_seen(const wire::ToSink& message, bool is_handled);
  void check();
  void check_workers();
  void check_confirms();
  void check_end();

  bool is_over() const;
  bool has_user_more_to_do() const;
  bool is_end_of_now() const;
  void read_input();
  void offer_input_again();
  void act_as_user();
  void start_again();
  void retry();

  void crash_ventilator();
  void crash_sink();
  void crash_worker();
  void may_crash(const char* who, unsigned chance);

  StreamPtr connect(const std::string& to);
  void push(const StreamPtr& stream, std::string frame);
  void cut(const StreamPtr& stream, std::deque<std::string>* survivors = nullptr);
  void close_endpoint(const std::string& to);  // whoever was there is gone: what was on its way to it is lost
  void send_up(Uplink& up, std::string frame);
  void break_uplink(Uplink& up);
  bool chance(unsigned thousandths) { return random_.below(1000) < thousandths; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + random_.below(high - low + 1); }
  base::TimePoint now() const { return base::TimePoint{} + kTick * static_cast<std::int64_t>(tick_); }
  std::string where(const std::string& what) const;
  static std::string output_of(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t offset, std::uint64_t length);

  const Faults faults_;
  base::Random random_;
  std::uint64_t tick_ = 0;
  base::RunId run_;
  wire::Policy policy_;
  base::Duration retry_delay_{0};
  std::uint64_t total_, faults_end_;
  unsigned fail_chance_;
  unsigned fault_chance_;  // of an input that cannot be read
  std::uint64_t input_seed_;  // 0: no job has an input
  std::uint64_t incarnation_ = 0;

  VentilatorDisk ventilator_disk_;
  SinkDisk sink_disk_;
  std::unique_ptr<VentilatorNode> ventilator_;
  std::unique_ptr<SinkNode> sink_;
  std::map<base::WorkerId, std::unique_ptr<WorkerNode>> workers_;
  std::vector<StreamPtr> streams_;
  std::uint64_t ventilator_at_, sink_at_;
  std::uint64_t suspended_until_ = 0;
  std::vector<std::uint64_t> workers_at_;
  bool ventilator_left_ = false, sink_left_ = false;
  std::uint64_t retries_left_ = 0;

  // The observer's notes.
  std::set<base::Attempt> issued_, assigned_;
  std::map<base::JobId, base::Attempt> last_attempt_;
  std::map<base::JobId, std::vector<base::Attempt>> started_;
  struct Failure { base::Attempt attempt; std::uint64_t tick = 0; };
  std::map<base::JobId, Failure> failed_;  // the last that counted, unless it had been called lost
  std::set<base::Attempt> were_lost_;
  std::map<base::JobId, unsigned> counted_;
  std::set<base::Attempt> reached_;  // a worker got it
  std::map<base::JobId, std::uint64_t> least_epoch_;  // of the jobs that were retried
  bool has_been_over_ = false;  // and goes on: workers may hear of that end still
  std::set<base::Attempt> ended_ok_;
  std::uint64_t halt_finished_ = 0, halt_failed_ = 0;  // that count towards no halt
  std::map<std::pair<base::WorkerId, base::Attempt>, std::uint64_t> owed_;  // confirms, since when
  Counters counters_;
};

// The fault mixes of the simulation.
const std::vector<Faults>& fault_classes();

}  // namespace support
