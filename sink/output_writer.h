// Emits the outputs of finished jobs to stdout and stderr, whole jobs in the order of completion or of the jobs, from a thread of its own, so that a slow
// reader stalls nothing else; how they look, presentation.h says. Behind the stderr of a job that failed for more than its command's own reasons stands a line
// that says why. Owned by the sink's shell, which adds jobs after the commit of their rows and commits how far emission has come. Outputs that
// have files are copied from these piece by piece.
//
// Live outputs of jobs that run are written ahead, from their files, as these grow; what is left follows when the job has finished. An attempt
// that comes after another one is written from its start. In the order of the jobs only the first unfinished one is live.
//
// Memory is bounded whatever the reader does: outputs are kept while they are few and otherwise fetched from results.db when their turn comes; of the jobs
// themselves a limited number is remembered (Completion), or a bit or two each (Job).
//
// Emission is at least once: what was written after the last committed mark is written again after a crash.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "io/unique_fd.h"
#include "sink/backlog.h"
#include "sink/job_files.h"
#include "sink/outlet.h"
#include "sink/output_files.h"
#include "sink/presentation.h"
#include "sink/result_log.h"

namespace sink {

class OutputWriter {
 public:
  struct Limits {
    std::size_t held_bytes = 16u << 20;  // of outputs in memory
    std::size_t remembered = 512u << 10;  // jobs, when emitting in the order of completion
  };
  // A job whose outputs have been written and are not to be kept; `mark`: emission up to it must be committed first. Without an attempt: no files.
  struct Freed {
    std::uint64_t mark = 0;
    base::JobId job = 0;
    std::optional<base::Attempt> attempt;
  };
  // The outputs of an attempt that runs, so far as their files have them.
  struct Live {
    base::Attempt attempt;
    std::array<std::uint64_t, wire::kOutputStreams> lengths{};
    std::string command, label;
  };
  using Failure = Outlet::Failure;

  // Starts the thread. Emission goes on behind `mark` (a seq or a job number, as `order` says; 0: from the start) with what `log` has recovered. The
  // descriptors stay the caller's and get no flags; `log` must outlive the writer. The thread blocks all signals, SIGPIPE among them.
  struct Config {
    Order order = Order::Completion;
    KeepOutput keep = KeepOutput::All;
    std::uint64_t mark = 0;
    int out = 1, err = 2;
    Limits limits = {};
    Presentation how = {};
    std::string table = {};   // the file for a table; empty: stdout. A run that begins overwrites it
    std::string folder = {};  // for the files of Form::Names
    std::string local_host = {};
    io::Durability durability = io::Durability::Process;
  };
  static base::Result<std::unique_ptr<OutputWriter>> open(ResultLog& log, const OutputFiles& files, const Config& config);
  ~OutputWriter();  // stop()

  // The rows of one commit, whose numbers follow one another; their outputs are moved out.
  void add(std::span<Row> rows, std::uint64_t first_seq);
  // More of the outputs of an attempt that runs. Only with Presentation::live.
  void add_live(Live live);

  // Everything up to this seq or job has been written completely.
  std::uint64_t emitted() const { return emitted_.load(std::memory_order_acquire); }
  // Set once, for good: nothing is written any more.
  std::optional<Failure> failed() const;
  // While the files of a job wait for room: what cannot be written. It is tried again each second, until stop(); nothing else leaves meanwhile.
  std::optional<base::Error> full() const;
  // An eventfd, readable after emitted(), failed() or full() has changed. clear_wake() before looking at them.
  int fd() const { return wake_fd_.get(); }
  void clear_wake();
  // Appends those up to `mark` that have not been taken.
  void take_freed(std::uint64_t mark, std::vector<Freed>& freed);
  // Bytes of outputs in memory.
  std::size_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }

  // Ends the thread, whatever is still to be emitted, also when nobody reads: the thread waits for room in poll(), where this call wakes it, and then writes
  // no more than a pipe with room takes at once (PIPE_BUF). Only another writer to the same pipe, filling it in between, can make it wait for the reader.
  void stop();

 private:
  // What is out of an attempt that runs.
  struct Printed {
    base::Attempt attempt;
    std::array<std::uint64_t, wire::kOutputStreams> lengths{}, searched{};  // of each output; searched for the end of a line
    std::array<Dress, wire::kOutputStreams> dress;
  };

  OutputWriter(ResultLog& log, const OutputFiles& files, const Config& config, io::UniqueFd table);
  void place(Row& row, std::uint64_t seq);  // REQUIRES: mutex_ is held
  void dress(Row& row, const base::Label& label);
  base::Status resume(std::uint64_t mark);
  base::Status start();
  void work();
  bool take(std::vector<Emission>& batch, std::vector<Live>& live);
  void take_live(std::vector<Live>& live);  // REQUIRES: mutex_ is held
  bool refill(std::unique_lock<std::mutex>& lock);
  bool emit(Emission& emission);
  bool emit_row(Emission& emission);
  bool emit_head();
  bool emit_parts(std::vector<Part> parts, const Row& row, Printed* printed);
  bool emit_live(const Live& live);
  bool emit_live(const Live& live, Printed& printed, wire::OutputStream stream);
  void free_if_unwanted(const Emission& emission, std::size_t bytes, std::optional<base::Attempt> with_files);
  bool flush();
  bool publish(std::uint64_t mark);
  bool wait_for_room(const base::Error* error);
  void fail(Failure failure);
  bool give_up();  // false

  ResultLog& log_;
  const OutputFiles& files_;
  const Config config_;
  const io::UniqueFd table_;  // none: on stdout
  const JobFiles job_files_;
  Outlet outlet_;
  io::UniqueFd wake_fd_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Backlog> backlog_;  // guarded by mutex_, as are the next five
  bool is_waiting_ = false;
  std::optional<Failure> failure_;
  std::optional<base::Error> full_;
  std::deque<Freed> freed_;
  std::map<base::JobId, Live> live_;  // what is new
  std::atomic<std::uint64_t> emitted_;
  std::atomic<std::size_t> held_bytes_{0};
  std::once_flag is_head_known_;
  std::string head_;  // the first line of a table, of the first label that comes

  // The thread's own.
  std::uint64_t mark_;  // of the last job that is wholly written or in the outlet
  bool has_head_;       // the table has its first line
  bool has_told_misfit_ = false;
  std::unordered_map<base::JobId, Printed> printed_;

  std::thread thread_;
};

}  // namespace sink
