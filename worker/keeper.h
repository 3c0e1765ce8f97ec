// The keeper's loop: starts commands for the worker at the other end of a socket, reads their outputs, enforces their time limits and reports each once,
// after its processes are gone if it had to be ended. It is a process of its own so that neither a large worker has to fork nor a killed worker leaves
// anything behind: when the other end closes, the keeper ends everything that runs and exits. One thread, every signal blocked.
#pragma once

#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "worker/keeper_launch.h"
#include "worker/keeper_protocol.h"
#include "worker/keeper_seats.h"
#include "worker/oom_counter.h"
#include "worker/process_tree.h"

namespace worker {

class Keeper {
 public:
  Keeper(int socket, std::unique_ptr<SharedSeats> seats);
  ~Keeper();
  // Until the worker is gone and everything ended, but for what is stuck. The exit status.
  int run();

 private:
  struct Stream {
    int fd = -1;
    std::string bytes;           // for the report, while they are few
    std::uint64_t length = 0;    // of all that was read
    std::uint64_t granted = 0;   // to be read while the leader lives
    bool is_streamed = false;    // too long for the report: given part by part
    bool is_paused = false;      // not in the poll: all that was granted is read
  };
  struct Ending {
    std::optional<base::Outcome> outcome;  // none: the leader's own
    TreeKiller killer;
    std::string reason = {};               // besides its outcome
    bool is_told_stuck = false;
  };
  // One attempt, from its request to its report.
  struct Job {
    KeeperStart start;
    std::uint32_t serial = 0;
    pid_t pid = 0;  // 0: not started yet, to be tried again at `deadline`
    unsigned tries = 0;
    std::array<Stream, 2> streams;  // stdout, stderr
    std::unique_ptr<Feed> feed;     // of its stdin, until all is written
    base::WallTime started_at = 0;
    base::TimePoint started{};
    base::TimePoint deadline = base::kNever;
    std::optional<Ending> ending;
    bool is_reaped = false;  // the leader's status is known
    int status = 0;
    rusage usage{};
    std::uint64_t ooms_seen = 0;
  };

  bool on_message(ToKeeper message);
  void on_start(KeeperStart start);
  void on_kill(const base::Attempt& attempt);
  void on_grant(const KeeperGrant& grant);
  void on_run_until(base::TimePoint at);
  void enforce_run_until(base::TimePoint now);
  void on_peer_gone();
  void on_readable(Job& job, std::size_t stream);
  void on_hungry(Job& job);
  void on_children();
  void on_leader_end(Job& job);
  void on_deadlines(base::TimePoint now);

  bool read_messages();
  void update_socket_interest();
  void take_events(base::TimePoint now);
  int poll_timeout(base::TimePoint now) const;
  void launch(Job& job);
  void watch(Job& job);
  void read_what_is_there(Job& job, std::size_t stream, std::uint64_t most);
  void read_to_end(Job& job);
  void take(Job& job, std::size_t stream, std::string_view bytes);
  void close_stream(Stream& stream);
  void become_ending(Job& job, std::optional<base::Outcome> outcome);
  void step_endings(base::TimePoint now);
  bool is_ended(Job& job, const ProcessTable& table, base::TimePoint now);
  void tell_if_stuck(Job& job);
  bool has_only_stuck() const;
  bool try_reap(Job& job);
  wire::Result result_of_leader(const Job& job);
  wire::Result result_of_ending(const Job& job) const;
  void report_unstarted(Job& job, base::Outcome outcome, int exit_code, std::string reason);
  void report(Job& job, wire::Result result);

  FrameChannel channel_;
  std::unique_ptr<SharedSeats> shared_;
  int poll_fd_ = -1;
  int signal_fd_ = -1;
  bool is_peer_gone_ = false;
  bool awaits_write_ = false;
  KeeperHello hello_;
  std::optional<Launcher> launcher_;
  std::optional<OomCounter> oom_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Job>> jobs_;  // by seat
  std::unordered_map<pid_t, std::uint32_t> seats_;                // of leaders not reaped
  std::uint32_t last_serial_ = 0;
  std::size_t endings_ = 0;
  base::TimePoint run_until_ = base::kNever;
  bool is_time_up_ = false;  // run_until_ has come, and was seen to
  std::unique_ptr<char[]> scratch_;
};

}  // namespace worker
