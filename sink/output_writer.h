// Emits the outputs of finished jobs to stdout and stderr, whole jobs in the order of completion or of the jobs, from a thread of its own, so that a slow
// reader stalls nothing else. Behind the stderr of a job that failed for more than its command's own reasons stands a line that says why. Owned by the sink's shell, which adds jobs after the commit of their rows and commits how far emission has come. Outputs that
// have files are copied from these piece by piece.
//
// Memory is bounded whatever the reader does: outputs are kept while they are few and otherwise fetched from results.db when their turn comes; of the jobs
// themselves a limited number is remembered (Completion), or a bit or two each (Job).
//
// Emission is at least once: what was written after the last committed mark is written again after a crash.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "io/unique_fd.h"
#include "sink/output_files.h"
#include "sink/result_log.h"

namespace sink {

class Backlog;    // what waits, in its order
struct Emission;  // one job of it

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
  struct Failure {
    bool reader_gone = false;  // EPIPE
    std::string message;       // one line for the user
  };

  // Starts the thread. Emission goes on behind `mark` (a seq or a job number, as `order` says; 0: from the start) with what `log` has recovered. The
  // descriptors stay the caller's and get no flags; `log` must outlive the writer. The thread blocks all signals, SIGPIPE among them.
  struct Config {
    Order order = Order::Completion;
    KeepOutput keep = KeepOutput::All;
    std::uint64_t mark = 0;
    int out = 1, err = 2;
    Limits limits = {};
  };
  static base::Result<std::unique_ptr<OutputWriter>> open(ResultLog& log, const OutputFiles& files, const Config& config);
  ~OutputWriter();  // stop()

  // The rows of one commit, whose numbers follow one another; their outputs are moved out.
  void add(std::span<Row> rows, std::uint64_t first_seq);

  // Everything up to this seq or job has been written completely.
  std::uint64_t emitted() const { return emitted_.load(std::memory_order_acquire); }
  // Set once, for good: nothing is written any more.
  std::optional<Failure> failed() const;
  // An eventfd, readable after emitted() or failed() has changed. clear_wake() before looking at them.
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
  struct Stream {
    int fd = -1;
    bool is_file = false;      // takes any write at once
    bool is_pipe = false;      // takes pages of files without a copy
    bool is_terminal = false;  // may have a status line at its foot
    const char* name = "";
  };

  OutputWriter(ResultLog& log, const OutputFiles& files, const Config& config);
  void place(Row& row, std::uint64_t seq);  // REQUIRES: mutex_ is held
  base::Status resume(std::uint64_t mark);
  base::Status start();
  void work();
  bool take(std::vector<Emission>& batch);
  bool refill(std::unique_lock<std::mutex>& lock);
  bool emit(Emission& emission);
  bool emit_row(Emission& emission);
  bool append(const Stream& stream, std::string_view bytes);
  bool append_file(const Stream& stream, const std::string& name, std::uint64_t length);
  bool splice_file(const Stream& stream, int file, std::uint64_t& offset, std::uint64_t length);
  void free_if_unwanted(const Emission& emission, std::size_t bytes, std::optional<base::Attempt> with_files);
  bool flush();
  ssize_t write_once(const Stream& stream, std::string_view bytes);
  bool write_all(const Stream& stream, std::string_view bytes);
  void wait_for_room(const Stream& stream);
  void publish();
  void fail(Failure failure);

  ResultLog& log_;
  const OutputFiles& files_;
  const Order order_;
  const KeepOutput keep_;
  const Limits limits_;
  const io::UniqueFd terminals_[2];
  const Stream out_, err_;
  io::UniqueFd wake_fd_, stop_fd_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Backlog> backlog_;  // guarded by mutex_, as are the next three
  bool is_waiting_ = false;
  std::optional<Failure> failure_;
  std::deque<Freed> freed_;
  std::atomic<bool> stopping_{false};  // set under mutex_, so that a wait cannot miss it
  std::atomic<std::uint64_t> emitted_;
  std::atomic<std::size_t> held_bytes_{0};

  // The thread's own.
  std::string buffer_;  // small outputs on their way to `buffered_`
  const Stream* buffered_ = nullptr;
  std::uint64_t mark_;  // of the last job that is wholly written or in the buffer

  std::thread thread_;
};

}  // namespace sink
