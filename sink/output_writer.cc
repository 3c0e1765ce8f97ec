#include "sink/output_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bitset>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/one_line.h"
#include "cli/status_line.h"

namespace sink {

using base::Error;
using base::Status;

namespace {

constexpr std::size_t kBuffer = 64u << 10;  // bytes gathered for one write
constexpr std::size_t kBatch = 1024;        // jobs taken under one lock
constexpr std::size_t kFilePiece = 256u << 10;
constexpr std::size_t kSmall = 4096;        // outputs of a job that are not worth the freeing

}  // namespace

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

  // The jobs whose turn it is were not remembered: those with after < seq <= until are wanted, for refill().
  struct Range {
    std::uint64_t after = 0, until = 0;
  };
  virtual std::optional<Range> wanted() const { return std::nullopt; }
  virtual void refill(const Range&, const std::vector<Finished>&) {}
};

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

 private:
  static constexpr std::size_t kChunk = 4096;
  struct Chunk {
    std::bitset<kChunk> finished, silent;
  };
  base::JobId next_;
  std::unordered_map<base::JobId, Emission> held_;
  std::map<std::uint64_t, Chunk> chunks_;  // of the jobs that wait without their outputs
};

// Why a job failed, as a line, where that is not for its command to say.
std::string notice(const wire::Result& result) {
  if (result.outcome == base::Outcome::Ok) return {};
  std::string why = result.reason;
  if (why.empty() && result.outcome == base::Outcome::Timeout) why = "it was over its time limit";
  if (why.empty()) return {};
  const bool is_in_line = !result.err.empty() && result.err.back() != '\n';
  return (is_in_line ? "\npushmill: job " : "pushmill: job ") + std::to_string(result.attempt.job) + ": " + base::one_line(why) + "\n";
}

bool is_file(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

bool is_pipe(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

// The terminal once more, for us alone and never blocking: one with a little room makes a larger write wait, and a stopped one (^S) for ever.
io::UniqueFd open_terminal(int fd) {
  if (::isatty(fd) != 1) return {};
  return io::UniqueFd(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

void signal_eventfd(int fd) {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then it is readable anyway.
  [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
}

}  // namespace

base::Result<std::unique_ptr<OutputWriter>> OutputWriter::open(ResultLog& log, const OutputFiles& files, const Config& config) {
  std::unique_ptr<OutputWriter> writer(new OutputWriter(log, files, config));
  if (!writer->wake_fd_ || !writer->stop_fd_) return Error{Error::Kind::Io, std::string("cannot create an eventfd: ") + std::strerror(errno)};
  if (auto resumed = writer->resume(config.mark); !resumed) return resumed.error();
  if (auto started = writer->start(); !started) return started.error();
  return writer;
}

OutputWriter::OutputWriter(ResultLog& log, const OutputFiles& files, const Config& config)
    : log_(log),
      files_(files),
      order_(config.order),
      keep_(config.keep),
      limits_(config.limits),
      terminals_{open_terminal(config.out), open_terminal(config.err)},
      out_{terminals_[0] ? terminals_[0].get() : config.out, is_file(config.out), is_pipe(config.out), ::isatty(config.out) == 1, "standard output"},
      err_{terminals_[1] ? terminals_[1].get() : config.err, is_file(config.err), is_pipe(config.err), ::isatty(config.err) == 1, "standard error"},
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      stop_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      emitted_(config.mark),
      mark_(config.mark) {}

OutputWriter::~OutputWriter() { stop(); }

Status OutputWriter::resume(std::uint64_t mark) {
  if (order_ == Order::Completion) {
    backlog_ = std::make_unique<CompletionBacklog>(mark, log_.recovered().last_seq, limits_.remembered);
    return base::ok();
  }
  backlog_ = std::make_unique<JobBacklog>(mark + 1);
  return log_.for_each_finished(
      [&](const Finished& row) {
        backlog_->add(row.seq, {row.job, row.job, row.silent ? Emission::Kind::Silent : Emission::Kind::Fetch, row.failed, {}, {}});
      },
      mark);
}

Status OutputWriter::start() {
  // Signals are for the loop; the thread inherits the mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status started = base::ok();
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error& error) {
    started = Error{Error::Kind::Io, std::string("cannot start the output thread: ") + error.what()};
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void OutputWriter::add(std::span<Row> rows, std::uint64_t first_seq) {
  bool wakes = false;
  {
    const std::lock_guard lock(mutex_);
    for (Row& row : rows) place(row, first_seq++);
    wakes = std::exchange(is_waiting_, false);
  }
  if (wakes) changed_.notify_one();
}

void OutputWriter::place(Row& row, std::uint64_t seq) {
  if (failure_) return;
  wire::Result& result = row.result;
  const base::JobId job = result.attempt.job;
  const bool has_files = !row.out_file.empty() || !row.err_file.empty();
  if (!has_files) result.err += notice(result);
  Emission emission{job, order_ == Order::Job ? job : seq, Emission::Kind::Silent, result.outcome != base::Outcome::Ok, std::move(result.out), std::move(result.err)};
  const std::size_t bytes = emission.bytes();
  const bool is_silent = !has_files && emission.out.empty() && emission.err.empty();
  if (!is_silent) emission.kind = !has_files && held_bytes_ + bytes <= limits_.held_bytes ? Emission::Kind::Held : Emission::Kind::Fetch;
  if (backlog_->add(seq, std::move(emission))) held_bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

std::optional<OutputWriter::Failure> OutputWriter::failed() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void OutputWriter::clear_wake() {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t n = ::read(wake_fd_.get(), &count, sizeof count);
}

void OutputWriter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  signal_eventfd(stop_fd_.get());
  if (thread_.joinable()) thread_.join();
}

void OutputWriter::work() {
  std::vector<Emission> batch;
  buffer_.reserve(kBuffer);
  while (take(batch)) {
    for (Emission& emission : batch)
      if (!emit(emission)) return;
    batch.clear();
  }
}

// Waits for jobs whose turn it is; false: stop. Before it waits, everything emitted so far is flushed.
bool OutputWriter::take(std::vector<Emission>& batch) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_) return false;
    backlog_->take(kBatch, batch);
    if (!batch.empty()) return true;
    if (emitted_ != mark_ || !buffer_.empty()) {
      lock.unlock();
      if (!flush()) return false;
      lock.lock();
    } else if (backlog_->wanted()) {
      if (!refill(lock)) return false;
    } else {
      is_waiting_ = true;
      changed_.wait(lock, [&] { return stopping_ || !is_waiting_; });
    }
  }
}

// Reads without the lock: this may take long, and add() must not wait for it.
bool OutputWriter::refill(std::unique_lock<std::mutex>& lock) {
  const Backlog::Range range = *backlog_->wanted();
  lock.unlock();
  const auto rows = log_.finished_between(range.after, range.until);
  if (!rows) fail({false, rows.error().message});
  lock.lock();
  if (rows) backlog_->refill(range, *rows);
  return static_cast<bool>(rows);
}

bool OutputWriter::emit(Emission& emission) {
  if (emission.kind == Emission::Kind::Fetch) {
    if (!emit_row(emission)) return false;
  } else if (emission.kind == Emission::Kind::Held) {
    if (!append(out_, emission.out) || !append(err_, emission.err)) return false;
    held_bytes_.fetch_sub(emission.bytes(), std::memory_order_relaxed);
    free_if_unwanted(emission, emission.out.size() + emission.err.size(), std::nullopt);
  }
  mark_ = emission.mark;
  return true;
}

bool OutputWriter::emit_row(Emission& emission) {
  const auto row = log_.row(emission.job);
  if (!row) {
    fail({false, row.error().message});
    return false;
  }
  const wire::Result& result = row->result;
  const bool written = (row->out_file.empty() ? append(out_, result.out) : append_file(out_, row->out_file, result.out_bytes)) &&
                       (row->err_file.empty() ? append(err_, result.err) : append_file(err_, row->err_file, result.err_bytes)) &&
                       append(err_, notice(result));
  if (!written) return false;
  emission.failed = result.outcome != base::Outcome::Ok;
  const bool has_files = !row->out_file.empty() || !row->err_file.empty();
  free_if_unwanted(emission, result.out.size() + result.err.size(), has_files ? std::optional(result.attempt) : std::nullopt);
  return true;
}

void OutputWriter::free_if_unwanted(const Emission& emission, std::size_t bytes, std::optional<base::Attempt> with_files) {
  if (keep_ == KeepOutput::All || (keep_ == KeepOutput::Failed && emission.failed) || (bytes <= kSmall && !with_files)) return;
  const std::lock_guard lock(mutex_);
  freed_.push_back({emission.mark, emission.job, with_files});
}

void OutputWriter::take_freed(std::uint64_t mark, std::vector<Freed>& freed) {
  const std::lock_guard lock(mutex_);
  for (; !freed_.empty() && freed_.front().mark <= mark; freed_.pop_front()) freed.push_back(freed_.front());
}

// One buffer for both streams: what was asked for first is written first, also where both are the same terminal or file.
bool OutputWriter::append(const Stream& stream, std::string_view bytes) {
  if (bytes.empty()) return true;
  if (buffered_ != &stream || buffer_.size() + bytes.size() > kBuffer) {
    if (!flush()) return false;
    buffered_ = &stream;
  }
  if (bytes.size() > kBuffer) return write_all(stream, bytes);
  buffer_ += bytes;
  return true;
}

bool OutputWriter::append_file(const Stream& stream, const std::string& name, std::uint64_t length) {
  if (!flush()) return false;
  buffered_ = &stream;
  const auto file = files_.open_for_reading(name);
  if (!file) {
    fail({false, file.error().message});
    return false;
  }
  std::uint64_t offset = 0;
  if (stream.is_pipe && !splice_file(stream, file->get(), offset, length)) return false;
  std::string piece;
  while (offset < length) {
    piece.resize(std::min<std::uint64_t>(kFilePiece, length - offset));
    const ssize_t n = ::pread(file->get(), piece.data(), piece.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      fail({false, "cannot read " + name + ": " + (n == 0 ? "it is too short" : std::strerror(errno))});
      return false;
    }
    if (!write_all(stream, std::string_view(piece).substr(0, static_cast<std::size_t>(n)))) return false;
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

// As much as can go so; `offset` says how much that was.
bool OutputWriter::splice_file(const Stream& stream, int file, std::uint64_t& offset, std::uint64_t length) {
  while (offset < length) {
    wait_for_room(stream);
    if (stopping_) return false;
    auto at = static_cast<loff_t>(offset);
    const ssize_t n = ::splice(file, &at, stream.fd, nullptr, std::min<std::uint64_t>(1u << 20, length - offset), SPLICE_F_NONBLOCK);
    if (n > 0) {
      offset += static_cast<std::uint64_t>(n);
    } else if (n < 0 && errno == EPIPE) {
      fail({true, std::string("cannot write to ") + stream.name + ": " + std::strerror(errno)});
      return false;
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
      return true;  // what splice cannot do, read and write can, or say why not
    }
  }
  return true;
}

bool OutputWriter::flush() {
  if (!buffer_.empty() && !write_all(*buffered_, buffer_)) return false;
  buffer_.clear();
  publish();
  return true;
}

ssize_t OutputWriter::write_once(const Stream& stream, std::string_view bytes) {
  if (!stream.is_terminal) return ::write(stream.fd, bytes.data(), bytes.size());
  auto& line = cli::StatusLine::of_process();
  const auto way = line.make_way();
  const ssize_t n = ::write(stream.fd, bytes.data(), bytes.size());
  if (n > 0) line.note_written(bytes[static_cast<std::size_t>(n) - 1]);
  return n;
}

bool OutputWriter::write_all(const Stream& stream, std::string_view bytes) {
  while (!bytes.empty()) {
    if (!stream.is_file) wait_for_room(stream);
    if (stopping_) return false;
    const ssize_t n = write_once(stream, bytes.substr(0, stream.is_file ? bytes.size() : PIPE_BUF));
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno != EINTR && errno != EAGAIN) {  // EAGAIN: somebody else made it non-blocking
      fail({errno == EPIPE, std::string("cannot write to ") + stream.name + ": " + std::strerror(errno)});
      return false;
    }
  }
  return true;
}

// Until there is room, the reader has gone away (which is for write() to tell), or stop().
void OutputWriter::wait_for_room(const Stream& stream) {
  pollfd polled[] = {{stream.fd, POLLOUT, 0}, {stop_fd_.get(), POLLIN, 0}};
  while (::poll(polled, 2, -1) < 0 && errno == EINTR) {
  }
}

void OutputWriter::publish() {
  if (emitted_ == mark_) return;
  emitted_.store(mark_, std::memory_order_release);
  signal_eventfd(wake_fd_.get());
}

void OutputWriter::fail(Failure failure) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
  }
  signal_eventfd(wake_fd_.get());
}

}  // namespace sink
