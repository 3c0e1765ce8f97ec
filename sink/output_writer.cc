#include "sink/output_writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

namespace sink {

using base::Error;
using base::Status;
using wire::OutputStream;

namespace {

constexpr std::size_t kBatch = 1024;        // jobs taken under one lock
constexpr std::chrono::seconds kRoomEvery{1};  // between two looks for room
constexpr std::size_t kSmall = 4096;        // outputs of a job that are not worth the freeing

void signal_eventfd(int fd) {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then it is readable anyway.
  [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
}

// Behind the last newline of [from, until); `from` if there is none.
std::uint64_t end_of_lines(int file, std::uint64_t from, std::uint64_t until) {
  char piece[16384];
  std::uint64_t end = from;
  for (std::uint64_t at = from; at < until;) {
    const ssize_t n = ::pread(file, piece, std::min<std::uint64_t>(sizeof piece, until - at), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // it was dropped
    if (const auto found = std::string_view(piece, static_cast<std::size_t>(n)).rfind('\n'); found != std::string_view::npos) end = at + found + 1;
    at += static_cast<std::uint64_t>(n);
  }
  return end;
}

}  // namespace

base::Result<std::unique_ptr<OutputWriter>> OutputWriter::open(ResultLog& log, const OutputFiles& files, const Config& config) {
  io::UniqueFd table;
  if (!config.table.empty()) {
    table.reset(::open(config.table.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_APPEND | (config.mark == 0 ? O_TRUNC : 0), 0666));
    if (!table) return Error{Error::Kind::Io, "cannot write " + config.table + ": " + std::strerror(errno)};
  }
  std::unique_ptr<OutputWriter> writer(new OutputWriter(log, files, config, std::move(table)));
  if (!writer->wake_fd_) return Error{Error::Kind::Io, std::string("cannot create an eventfd: ") + std::strerror(errno)};
  if (auto ready = writer->outlet_.ready(); !ready) return ready.error();
  if (auto resumed = writer->resume(config.mark); !resumed) return resumed.error();
  if (auto started = writer->start(); !started) return started.error();
  return writer;
}

OutputWriter::OutputWriter(ResultLog& log, const OutputFiles& files, const Config& config, io::UniqueFd table)
    : log_(log),
      files_(files),
      config_(config),
      table_(std::move(table)),
      job_files_(files, config.how, config.folder, config.durability, [this](const Error* error) { return wait_for_room(error); }),
      outlet_(table_ ? table_.get() : config.out, config.err, config.table),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      emitted_(config.mark),
      mark_(config.mark),
      has_head_(config.mark > 0) {}

OutputWriter::~OutputWriter() { stop(); }

Status OutputWriter::resume(std::uint64_t mark) {
  if (config_.order == Order::Completion) {
    backlog_ = completion_backlog(mark, log_.recovered().last_seq, config_.limits.remembered);
    return base::ok();
  }
  backlog_ = job_backlog(mark + 1);
  return log_.for_each_finished(
      [&](const Finished& row) {
        const bool is_out = row.seq <= log_.recovered().emitted_seq;  // before a retry of an earlier job
        const bool is_silent = is_out || (row.silent && !config_.how.shows_silent());
        backlog_->add(row.seq, {row.job, row.job, is_silent ? Emission::Kind::Silent : Emission::Kind::Fetch, row.failed, {}, {}});
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
  live_.erase(job);  // the row has all of it
  const base::Label label = result.label.empty() ? base::Label() : label_of(result.label);
  const bool has_files = !row.out_file.empty() || !row.err_file.empty() || config_.how.has_file_a_job() || !misfit(config_.how, label).empty();
  if (!has_files) dress(row, label);
  Emission emission{job, config_.order == Order::Job ? job : seq, Emission::Kind::Silent, result.outcome != base::Outcome::Ok,
                    std::move(result.out), std::move(result.err)};
  const std::size_t bytes = emission.bytes();
  const bool is_silent = !has_files && emission.out.empty() && emission.err.empty();
  if (!is_silent) emission.kind = !has_files && held_bytes_ + bytes <= config_.limits.held_bytes ? Emission::Kind::Held : Emission::Kind::Fetch;
  if (backlog_->add(seq, std::move(emission))) held_bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

// Its outputs become what is shown of it. REQUIRES: it has no files.
void OutputWriter::dress(Row& row, const base::Label& label) {
  wire::Result& result = row.result;
  if (config_.how.is_plain()) return void(result.err += notice(result));
  std::call_once(is_head_known_, [&] { head_ = table_head(config_.how, label); });
  std::string shown[2];
  for (Part& part : present(config_.how, row, label, config_.local_host, false, {})) {
    std::string& to = shown[part.to_err];
    to += part.text;
    if (part.stream) part.dress.append(*part.stream == OutputStream::Out ? result.out : result.err, to);
  }
  result.out = std::move(shown[0]);
  result.err = std::move(shown[1]);
}

void OutputWriter::add_live(Live live) {
  if (config_.how.live == Presentation::Live::No) return;
  bool wakes = false;
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    const base::JobId job = live.attempt.job;
    if (const auto known = live_.find(job); known != live_.end() && known->second.attempt > live.attempt) return;
    live_[job] = std::move(live);
    if (backlog_->may_show(job)) wakes = std::exchange(is_waiting_, false);
  }
  if (wakes) changed_.notify_one();
}

std::optional<OutputWriter::Failure> OutputWriter::failed() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::optional<Error> OutputWriter::full() const {
  const std::lock_guard lock(mutex_);
  return outlet_.is_stopping() ? std::nullopt : full_;
}

void OutputWriter::clear_wake() {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t n = ::read(wake_fd_.get(), &count, sizeof count);
}

void OutputWriter::stop() {
  {
    const std::lock_guard lock(mutex_);
    outlet_.stop();  // under the lock, so that a wait cannot miss it
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void OutputWriter::work() {
  std::vector<Emission> batch;
  std::vector<Live> live;
  while (take(batch, live)) {
    for (Emission& emission : batch)
      if (!emit(emission)) return void(give_up());
    for (const Live& more : live)
      if (!emit_live(more)) return void(give_up());
    batch.clear();
    live.clear();
  }
}

// Waits for jobs whose turn it is; false: stop. Before it waits, everything emitted so far is flushed.
bool OutputWriter::take(std::vector<Emission>& batch, std::vector<Live>& live) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (outlet_.is_stopping()) return false;
    backlog_->take(kBatch, batch);
    if (batch.empty()) take_live(live);
    if (!batch.empty() || !live.empty()) return true;
    if (emitted_ != mark_ || !outlet_.is_empty()) {
      lock.unlock();
      if (!flush()) return give_up();
      lock.lock();
    } else if (backlog_->wanted()) {
      if (!refill(lock)) return false;
    } else {
      is_waiting_ = true;
      changed_.wait(lock, [&] { return outlet_.is_stopping() || !is_waiting_; });
    }
  }
}

// Behind the jobs that have finished: then the first unfinished one is known.
void OutputWriter::take_live(std::vector<Live>& live) {
  std::erase_if(live_, [&](auto& entry) {
    if (!backlog_->may_show(entry.first)) return false;
    live.push_back(std::move(entry.second));
    return true;
  });
}

// Reads without the lock: this may take long, and add() must not wait for it.
bool OutputWriter::refill(std::unique_lock<std::mutex>& lock) {
  const Backlog::Range range = *backlog_->wanted();
  lock.unlock();
  auto rows = log_.finished_between(range.after, range.until);
  if (!rows) fail({false, rows.error().message});
  lock.lock();
  if (!rows) return false;
  for (Finished& row : *rows) row.silent = row.silent && !config_.how.shows_silent();
  backlog_->refill(range, *rows);
  return true;
}

bool OutputWriter::emit(Emission& emission) {
  const std::uint64_t before = mark_, flushes = outlet_.flushes();
  if (emission.kind == Emission::Kind::Fetch) {
    if (!emit_row(emission)) return false;
  } else if (emission.kind == Emission::Kind::Held) {
    if (!emit_head() || !outlet_.append(false, emission.out) || !outlet_.append(true, emission.err)) return false;
    held_bytes_.fetch_sub(emission.bytes(), std::memory_order_relaxed);
    free_if_unwanted(emission, emission.out.size() + emission.err.size(), std::nullopt);
  }
  if (!printed_.empty()) printed_.erase(emission.job);
  mark_ = emission.mark;
  return outlet_.flushes() == flushes || publish(before);
}

bool OutputWriter::emit_row(Emission& emission) {
  const auto row = log_.row(emission.job);
  if (!row) return outlet_.fail({false, row.error().message});
  const wire::Result& result = row->result;
  const base::Label label = label_of(result.label);
  Presentation how = config_.how;
  if (const std::string why = misfit(how, label); !why.empty()) {
    if (!std::exchange(has_told_misfit_, true) && !outlet_.append(true, "pushmill: job " + std::to_string(emission.job) + ": " + why + "\n")) return false;
    how.form = Presentation::Form::Outputs;
  }
  std::string name;
  if (how.has_file_a_job()) {
    auto written = job_files_.write(*row, label);
    if (!written && written.error().kind == Error::Kind::Full) return false;  // told to stop, or the outlet has failed
    if (!written) return outlet_.fail({false, written.error().message});
    name = std::move(*written);
    const std::lock_guard lock(mutex_);
    full_.reset();
  }
  std::call_once(is_head_known_, [&] { head_ = table_head(config_.how, label); });
  const auto known = printed_.find(emission.job);
  Printed* printed = known != printed_.end() && known->second.attempt == result.attempt ? &known->second : nullptr;
  if (!emit_head() || !emit_parts(present(how, *row, label, config_.local_host, printed != nullptr, name), *row, printed)) return false;
  emission.failed = result.outcome != base::Outcome::Ok;
  const bool has_files = !row->out_file.empty() || !row->err_file.empty();
  free_if_unwanted(emission, result.out.size() + result.err.size(), has_files ? std::optional(result.attempt) : std::nullopt);
  return true;
}

bool OutputWriter::emit_head() {
  return std::exchange(has_head_, true) || outlet_.append(false, head_);
}

bool OutputWriter::emit_parts(std::vector<Part> parts, const Row& row, Printed* printed) {
  std::string shown;
  for (Part& part : parts) {
    if (!outlet_.append(part.to_err, part.text)) return false;
    if (!part.stream) continue;
    const bool is_out = *part.stream == OutputStream::Out;
    const std::string &name = is_out ? row.out_file : row.err_file, &bytes = is_out ? row.result.out : row.result.err;
    if (name.empty()) {
      shown.clear();
      if (!part.dress.is_none()) part.dress.append(bytes, shown);
      if (!outlet_.append(part.to_err, part.dress.is_none() ? bytes : shown)) return false;
      continue;
    }
    const auto file = files_.open_for_reading(name);
    if (!file) return outlet_.fail({false, file.error().message});
    const auto index = static_cast<std::size_t>(*part.stream);
    Dress& dress = printed != nullptr ? printed->dress[index] : part.dress;
    const std::uint64_t from = printed != nullptr ? printed->lengths[index] : 0;
    if (!outlet_.append_file(part.to_err, file->get(), name, from, is_out ? row.result.out_bytes : row.result.err_bytes, dress)) return false;
  }
  return true;
}

bool OutputWriter::emit_live(const Live& live) {
  const auto [at, is_new] = printed_.try_emplace(live.attempt.job);
  Printed& printed = at->second;
  if (!is_new && live.attempt < printed.attempt) return true;
  if (is_new || printed.attempt != live.attempt) {
    printed = {live.attempt, {}, {}, {}};
    const base::Label label = label_of(live.label);
    for (const OutputStream stream : {OutputStream::Out, OutputStream::Err}) {
      Dress& dress = printed.dress[static_cast<std::size_t>(stream)] = live_dress(config_.how, label);
      if (!outlet_.append(stream == OutputStream::Err, live_head(config_.how, stream, live.command, dress))) return false;
    }
  }
  return emit_live(live, printed, OutputStream::Out) && emit_live(live, printed, OutputStream::Err);
}

bool OutputWriter::emit_live(const Live& live, Printed& printed, OutputStream stream) {
  const auto index = static_cast<std::size_t>(stream);
  std::uint64_t &from = printed.lengths[index], &searched = printed.searched[index], until = live.lengths[index];
  if (until <= std::max(from, searched)) return true;
  const std::string name = OutputFiles::name(live.attempt, stream);
  const auto file = files_.open_for_reading(name);
  if (!file && file.error().kind == Error::Kind::NotFound) return true;  // the attempt has ended, and does not count
  if (!file) return outlet_.fail({false, file.error().message});
  if (config_.how.live == Presentation::Live::Lines) {
    const std::uint64_t begin = std::max(from, std::exchange(searched, until)), end = end_of_lines(file->get(), begin, until);
    until = end == begin ? from : end;  // nothing but the middle of a line
  }
  if (until <= from) return true;
  if (!outlet_.append_file(stream == OutputStream::Err, file->get(), name, from, until, printed.dress[index])) return false;
  from = until;
  return true;
}

void OutputWriter::free_if_unwanted(const Emission& emission, std::size_t bytes, std::optional<base::Attempt> with_files) {
  if (config_.keep == KeepOutput::All || (config_.keep == KeepOutput::Failed && emission.failed) || (bytes <= kSmall && !with_files)) return;
  const std::lock_guard lock(mutex_);
  freed_.push_back({emission.mark, emission.job, with_files});
}

void OutputWriter::take_freed(std::uint64_t mark, std::vector<Freed>& freed) {
  const std::lock_guard lock(mutex_);
  for (; !freed_.empty() && freed_.front().mark <= mark; freed_.pop_front()) freed.push_back(freed_.front());
}

bool OutputWriter::flush() {
  return outlet_.flush() && publish(mark_);
}

bool OutputWriter::publish(std::uint64_t mark) {
  if (!outlet_.settle()) return false;
  if (emitted_ == mark) return true;
  emitted_.store(mark, std::memory_order_release);
  signal_eventfd(wake_fd_.get());
  return true;
}

// For the files of a job; false: give up. What is written otherwise does not wait with it.
bool OutputWriter::wait_for_room(const Error* error) {
  if (error == nullptr) {
    const std::lock_guard lock(mutex_);
    full_.reset();
    return true;
  }
  if (!outlet_.is_stopping() && !flush()) return false;
  std::unique_lock lock(mutex_);
  if (!full_) signal_eventfd(wake_fd_.get());
  full_ = *error;
  changed_.wait_for(lock, kRoomEvery, [this] { return outlet_.is_stopping(); });
  return !outlet_.is_stopping();
}

bool OutputWriter::give_up() {
  if (auto failure = outlet_.take_failure()) fail(std::move(*failure));
  return false;
}

void OutputWriter::fail(Failure failure) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
    full_.reset();
    live_.clear();
  }
  signal_eventfd(wake_fd_.get());
}

}  // namespace sink
