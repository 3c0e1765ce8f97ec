// Gives records to coprocesses: one child a slot, kept from job to job, that answers each record with one. Never gives a record ahead, so that a child that
// dies costs its own job only. Owned and called by the worker's shell, from one thread; a keeper of its own starts the children and ends their trees.
// REQUIRES: SIGPIPE is ignored.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/result.h"
#include "base/time.h"
#include "io/unique_fd.h"
#include "wire/limits.h"
#include "wire/messages.h"
#include "worker/keeper_runner.h"

namespace worker {

// Where the limit of open files does not allow a child for each slot, several slots share one.
class CoprocessRunner {
 public:
  struct Config {
    KeeperRunner::Config keeper;
    base::Duration leave{500'000};  // for a child whose stdin was closed to go by itself; it is ended after that
    std::size_t answer = wire::kMaxJob;  // bytes of an answer at most; of what is said on stderr meanwhile, that many are kept
  };
  static base::Result<std::unique_ptr<CoprocessRunner>> create(Config config, std::uint32_t slots);
  // Lets children without a record leave, ends those that do not and all others. What has not been collected is dropped.
  ~CoprocessRunner();

  // Every start gives exactly one result through collect(). Records of one slot are given one after the other. `limit`: 0 for none; it begins when the record's
  // turn comes, and after it the whole tree of the child is ended.
  void start(const base::Attempt& attempt, std::uint32_t slot, base::Record&& record, base::Duration limit);
  // The attempt's result is Cancelled; the child it was given to is ended. Unknown attempts are ignored.
  void kill(const base::Attempt& attempt);
  void run_until(base::TimePoint at);  // as KeeperRunner has it
  int fd() const { return epoll_.get(); }  // readable when there is something to collect
  // Adds what is finished to `results`, and to `remarks` what the user should hear and no job can tell. While short records wait for their turn it goes on giving
  // them for a few milliseconds.
  void collect(std::vector<wire::Result>& results, std::vector<std::string>& remarks);
  std::vector<StuckAttempt> take_stuck() { return std::exchange(stuck_, {}); }  // as KeeperRunner has it

 private:
  struct Program {
    base::Command command;
    base::Framing framing;
    bool operator==(const Program&) const = default;
  };
  struct Item {
    base::Attempt attempt;
    std::shared_ptr<const Program> program;
    std::string input;
    base::Duration limit{0};
  };
  // A child comes to the keeper as Starting, and every state leads to None when the keeper has told its end.
  enum class Phase { None, Starting, Up, Leaving, Ending };
  enum Stream : std::uint64_t { kIn, kOut, kErr };
  struct Slot {
    std::uint32_t number = 0;
    std::deque<Item> queue;

    Phase phase = Phase::None;
    std::uint64_t child = 0;  // its number; an event or result of an earlier one does not count
    std::shared_ptr<const Program> program;
    io::UniqueFd in, out, err;  // our ends
    io::UniqueFd child_ends[3];  // until the child has opened them
    bool awaits_room = false;   // `in` is full
    bool is_deaf = false;       // and nobody can read it any more
    std::uint64_t answered = 0;
    unsigned failed_starts = 0;               // in a row, for want of descriptors or memory
    base::TimePoint retry_at = base::kNever;  // until then no child is started
    std::string unsent;         // bytes for its stdin, from `sent` on
    std::size_t sent = 0;
    std::string said;           // on stdout, no answer yet
    std::size_t searched = 0;
    std::string err_text;

    bool has_record = false;    // the rest is about the one that the child has
    Item record;
    std::size_t record_at = 0;  // where it begins in `unsent`
    base::WallTime started_at = 0;
    base::TimePoint started{};
    base::TimePoint deadline = base::kNever;  // of the record, or of a child that is Leaving
    bool has_verdict = false;   // its result waits for the end of the child
    wire::Result verdict;
  };

  CoprocessRunner(Config config, io::UniqueFd epoll, io::UniqueFd timer, std::uint32_t slots);
  Slot& child_of(std::uint32_t slot) { return slots_.at((slot - 1) % slots_.size()); }

  void advance(Slot& slot);
  bool become_starting(Slot& slot);
  void become_leaving(Slot& slot, base::Duration patience);
  void close_input(Slot& slot);
  void become_ending(Slot& slot);
  void become_none(Slot& slot);
  void give(Slot& slot, Item&& item);
  void take_back_record(Slot& slot);
  bool has_surplus(Slot& slot);
  void write_what_fits(Slot& slot);
  void on_output(Slot& slot);
  void on_errors(Slot& slot);
  void on_answer(Slot& slot);
  void on_output_closed(Slot& slot);
  void on_input_closed(Slot& slot);
  void on_launched(const base::Attempt& child);
  void on_child_end(wire::Result&& ended);
  void on_deadlines();
  void end_with(Slot& slot, base::Outcome outcome, std::string reason);
  void finish(Slot& slot, wire::Result&& result);
  wire::Result result_of(const Slot& slot, base::Outcome outcome, std::string reason) const;
  void refuse(const Item& item, const Slot& slot, base::Outcome outcome, std::string reason);
  bool has_read_of_record(const Slot& slot) const;

  void take_events(int timeout_ms);
  void take_keeper();
  void watch(Slot& slot, Stream stream, std::uint32_t events, int operation);
  void unwatch(const io::UniqueFd& fd);
  void arm(base::TimePoint at);
  bool is_batch_going() const { return waiting_ > 0 && !has_idled_; }

  Config config_;
  KeeperRunner keeper_;
  io::UniqueFd epoll_, timer_;
  KeeperWatch keeper_watch_;
  base::TimePoint armed_ = base::kNever;
  std::vector<Slot> slots_;  // that have a child
  std::shared_ptr<const Program> last_program_;
  std::uint64_t children_ = 0;
  std::size_t waiting_ = 0;  // records in queues
  bool has_idled_ = false;   // a slot has become free since collect() began
  std::vector<wire::Result> ready_;
  std::vector<std::string> remarks_;
  std::vector<StuckAttempt> stuck_;
  std::vector<wire::Result> ended_;
  std::vector<OutputRead> none_;  // a child's streams are ours: its keeper reads none
  std::unique_ptr<char[]> scratch_;
  std::vector<epoll_event> events_;
};

}  // namespace worker
