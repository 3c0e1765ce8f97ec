#include "sink/shell.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/kill_point.h"
#include "cli/exit_status.h"
#include "io/clock.h"
#include "io/marks.h"
#include "io/host.h"
#include "io/insist.h"
#include "io/open_files.h"
#include "wire/codec.h"
#include "wire/limits.h"

namespace sink {

namespace {
enum Tag : io::Reactor::Tag { kMessages, kStop, kWriter, kFeedback, kRefusal };
constexpr int kFramesPerTurn = 256;
constexpr base::Duration kLinger{500'000};
constexpr base::Duration kWord{1'000'000};           // between two looks at what is waited for
constexpr base::Duration kRefusalEvery{1'000'000};   // workers of other runs are told off so often, whatever they send
constexpr base::Duration kNoRoomEvery{20'000};       // and those for whom there is no room, who leave then
// Of descriptors: what sink and ventilator need each beside their workers, the reserve included. Of a worker the sink has one connection, the ventilator a
// connection and a socket; the two have the same limit, as they are started by the same user on one host.
constexpr std::uint64_t kHeadFiles = 40, kWorkerFiles = 2;
constexpr std::uint64_t kRefusalFiles = 8;  // connections of those that are being refused

std::uint64_t most_workers() { return (std::max(io::allowed_open_files(), kHeadFiles + kWorkerFiles) - kHeadFiles) / kWorkerFiles; }

}  // namespace

Shell::Shell(io::Context& context, ShellConfig config, const cli::Log& log, base::Counts& counts)
    : context_(context), config_(std::move(config)), log_(log), counts_(counts), host_(io::host_name()) {}

Shell::~Shell() = default;

base::Result<std::optional<int>> Shell::open() {
  auto lock = io::Lock::take(config_.run_directory, io::Lock::kSink, "sink", config_.take_over);
  if (!lock) return lock.error();
  if (!lock->taken_from().empty()) log_.warning("taking " + config_.run_directory + " over from " + lock->taken_from());
  lock_.emplace(std::move(*lock));
  auto results = ResultLog::open(config_.run_directory, config_.durability, io::is_network_filesystem(config_.run_directory));
  if (!results) return results.error();
  results_ = std::move(*results);
  run_ = results_->recovered().run;
  if (const auto jobs = run_.is_zero() ? std::nullopt : io::run_of_ventilator(config_.run_directory); jobs && *jobs != run_) {
    return base::Error{base::Error::Kind::Conflict, config_.run_directory + ": jobs.db is of run " + jobs->short_hex() + ", results.db of run " + run_.short_hex()};
  }
  if (auto recovered = recover(); !recovered) return recovered.error();

  if (results_->recovered().ended) {
    // Over, unless a ventilator is there that may not know: then END is said again. One whose input was cut waits a lease for a ventilator that goes on with it.
    const auto ventilator = io::Lock::take(config_.run_directory, io::Lock::kVentilator, io::Lock::kLook);
    if (ventilator && !results_->recovered().ended->cut) return std::optional<int>(results_->recovered().ended->exit_status);
  }
  auto pull = io::Pull::create(context_, wire::kMaxSocketMessage);
  if (!pull) return pull.error();
  pull_.emplace(std::move(*pull));
  for (const std::string& endpoint : config_.listen) {
    auto bound = pull_->bind(endpoint);
    if (!bound) return bound.error();
    endpoints_.push_back(*bound);
  }
  return std::optional<int>();
}

// What results.db knows goes to the core, to the joblog and to the writer.
base::Status Shell::recover() {
  const Recovered& known = results_->recovered();
  const Emitted emitted = known.emitted.value_or(Emitted{config_.order, 0});
  if (emitted.order != config_.order && emitted.mark > 0) {
    return base::Error{base::Error::Kind::Conflict, "outputs of this run have been written in another order (--keep-order): go on in the same one"};
  }
  const std::uint64_t moved = config_.order == Order::Completion ? known.last_seq - known.finished : 0;  // a mark is a seq, and a retry leaves gaps
  CoreRecovery recovery{known.epoch, known.policy, emitted.mark, std::nullopt, moved, known.halt, config_.order == Order::Job};
  if (known.ended) recovery.ended = LogEnded{known.ended->total, known.ended->failed, known.ended->cut};
  core_.emplace(recovery);
  inputs_.emplace(config_.run_directory);
  auto done = results_->for_each_finished([this, &known, left = inputs_->found()](const Finished& finished) {
    core_->recover_finished(finished.job, finished.failed && finished.seq > known.settled_seq);
    if (!finished.failed && left.contains(finished.job)) inputs_->add(finished.job);
  });
  inputs_->drop();
  if (!done) return done;
  done = results_->for_each_ended([this](base::Attempt attempt, base::Outcome outcome, bool counted, bool alone) {
    core_->recover_ended({attempt, outcome, counted, alone});
  });
  if (!done) return done;
  done = results_->for_each_retried([this](base::JobId job, std::uint64_t least_epoch) { core_->recover_retried(job, least_epoch); });
  if (!done) return done;
  if (done = recover_outputs(); !done) return done;
  if (!config_.joblog.empty()) {
    auto joblog = Joblog::open(config_.joblog, host_, *results_);
    if (!joblog) return joblog.error();
    joblog_.emplace(std::move(*joblog));
  }
  auto writer = OutputWriter::open(*results_, *files_, {config_.order, config_.keep, emitted.mark, config_.out, config_.err, {}, config_.how, config_.table, config_.folder,
                                                            host_, config_.durability});
  if (!writer) return writer.error();
  writer_ = std::move(*writer);
  counts_.finished = core_->progress().finished();
  counts_.failed = core_->progress().failed();
  auto tallies = known.finished > 0 ? results_->tallies() : base::Result<Tallies>(Tallies{});
  if (!tallies) return tallies.error();
  status_.emplace(config_.run_directory, known.epoch, std::move(*tallies), known.finished, io::now());
  return base::ok();
}

// Files that belong to no row and no attempt that may still bring a result are what a crash left.
base::Status Shell::recover_outputs() {
  files_.emplace(config_.run_directory, config_.durability);
  const auto found = files_->found();
  if (!found) return found.error();
  if (found->empty()) return base::ok();
  const auto named = results_->files();
  if (!named) return named.error();
  for (const OutputFiles::Found& file : *found) {
    if (named->contains(OutputFiles::name(file.attempt, file.stream))) continue;
    if (core_->recover_output(file.attempt, file.stream, file.length)) files_->recover(file.attempt, file.stream);
    else files_->drop(file.attempt, file.stream);
  }
  return files_->sync();  // before a worker is told that it is stored
}

// ---- the loop

base::Result<std::optional<int>> Shell::run() {
  reactor_.watch(*pull_, kMessages);
  reactor_.watch(writer_->fd(), POLLIN, kWriter);
  if (config_.stop_fd >= 0) reactor_.watch(config_.stop_fd, POLLIN, kStop);
  next_word_ = io::now() + base::Duration(3'000'000);
  while (!has_exited_ && !failure_) {
    bool stop = false;
    for (io::Reactor::Tag tag : reactor_.wait(is_drained_ ? core_->next_deadline() : base::TimePoint{})) {
      if (tag == kStop) stop = true;
      else if (tag == kWriter) look_at_writer();
      else if (tag == kFeedback) {
        feedback_->flush();
        if (!feedback_->is_connecting()) reactor_.unwatch(kFeedback);
      } else if (tag == kRefusal) {
        refusal_->flush();
        close_refusal();
      }
    }
    receive();
    if (std::exchange(is_feedback_broken_, false)) feed(FeedbackBroken{});
    if (stop) {  // what has not been read is not confirmed either
      writer_->stop();
      look_at_writer();
      feed(Stop{});
      is_drained_ = has_exited_ = true;
    }
    feed(Turn{is_drained_});
    if (!live_.empty()) tell_live();
    counts_.finished = core_->progress().finished();
    counts_.failed = core_->progress().failed();
    const auto now = io::now();
    status_->tend(*core_, run_, now);
    if (now >= next_word_) say_what_is_waited_for();
    if (now >= next_look_) look_for_ventilator();
  }
  reactor_.unwatch(kMessages);
  if (reactor_.is_watching(kFeedback)) reactor_.unwatch(kFeedback);
  close_refusal();
  writer_->stop();
  if (feedback_) feedback_->close(kLinger);
  pull_->close(base::Duration::zero());
  if (has_given_up_) {
    log_.warning("stopped while there was no room for what is to be written; it can be continued when there is");
    return std::optional<int>();
  }
  if (failure_) return *failure_;
  return exit_status_;
}

void Shell::receive() {
  int frames = 0;
  while (frames < kFramesPerTurn && !failure_ && pull_->receive(received_)) {
    ++frames;
    receive(received_.bytes());
  }
  is_drained_ = frames < kFramesPerTurn;
}

void Shell::receive(std::string_view frame) {
  auto message = wire::decode_to_sink(frame, run_);
  if (!message) {
    if (message.error().kind == base::Error::Kind::Conflict) refuse_foreign(frame);
    dropped_.note(message.error().message, io::now());
    return;
  }
  if (run_.is_zero()) {
    // The run is whose ventilator opens it first; until then only workers without a run are listened to.
    if (const auto* open = std::get_if<wire::Open>(&message->message); open != nullptr && !message->run.is_zero()) {
      if (const auto stranger = why_not_ours(message->run, *open)) return void(failure_ = stranger);
      run_ = message->run;
      results_->run(run_);
      if (!insist([this] { return results_->commit(); })) return;
    } else if (!message->run.is_zero() || !std::holds_alternative<wire::State>(message->message)) {
      return;
    }
  }
  const auto* state = std::get_if<wire::State>(&message->message);
  if (state != nullptr && message->run.is_zero() && !has_room_for(state->worker)) {
    return refuse(*state, message->run, "this run has room for " + std::to_string(most_workers()) + " workers; raise the limit of open files (ulimit -n) of its sink and ventilator",
                  kNoRoomEvery);
  }
  if (state != nullptr) status_->heard(*state, io::wall_now());
  std::visit([this](auto&& m) { feed(Event(std::move(m))); }, std::move(message->message));
}

bool Shell::has_room_for(const base::WorkerId& worker) const {
  if (config_.is_embedded || core_->knows(worker)) return true;
  return core_->heard_workers() < most_workers() && io::has_spare_files(io::kReservedFiles + kRefusalFiles);
}

// A run that has begun, or whose ventilator has another directory, has its log elsewhere: to begin a second one would lose what that holds.
std::optional<base::Error> Shell::why_not_ours(const base::RunId& run, const wire::Open& open) const {
  if (config_.is_embedded) return std::nullopt;
  const auto here = io::run_of_ventilator(config_.run_directory);
  if (open.stamp.sink_epoch == 0 && (!here || *here == run)) return std::nullopt;
  return base::Error{base::Error::Kind::Conflict, "the ventilator that reports here is of run " + run.short_hex() + ", whose log is not in " + config_.run_directory +
                                                      ": start the sink with the run directory of that ventilator"};
}

// A worker of another run hears that its sink is elsewhere, on a lane that is thrown away.
void Shell::refuse_foreign(std::string_view frame) {
  if (io::now() < next_refusal_) return;
  const auto message = wire::decode_to_sink(frame, base::RunId{});
  if (!message || !std::holds_alternative<wire::State>(message->message)) return;
  refuse(std::get<wire::State>(message->message), message->run, "this sink serves run " + run_.short_hex() + ", not " + message->run.short_hex(), kRefusalEvery);
}

void Shell::refuse(const wire::State& state, const base::RunId& run, const std::string& reason, base::Duration pause) {
  const auto now = io::now();
  if (now < next_refusal_) return;
  next_refusal_ = now + pause;
  close_refusal();
  auto lane = io::Lane::open(context_, state.endpoint);
  if (!lane) return;
  refusal_.emplace(std::move(*lane));
  reactor_.watch(*refusal_, kRefusal);
  wire::encode(run, wire::Refused{state.worker, reason}, frame_);
  refusal_->send(frame_);
}

void Shell::close_refusal() {
  if (!refusal_) return;
  reactor_.unwatch(kRefusal);
  refusal_->close(refusal_->is_connecting() ? base::Duration::zero() : kLinger);
  refusal_.reset();
}

void Shell::feed(Event&& event) {
  core_->on(std::move(event), io::now(), effects_);
#ifdef PUSHMILL_CHECK_INVARIANTS
  core_->check_invariants();
#endif
  carry_out(effects_);
}

void Shell::carry_out(Effects& effects) {
  for (Effect& effect : effects) {
    if (failure_) break;
    std::visit([this](auto& e) { carry_out(e); }, effect);
  }
  effects.clear();
}

void Shell::look_at_writer() {
  writer_->clear_wake();
  // Files of jobs that find no room hold everything up, as those of our own do. Told to stop, the loop hears it too.
  const auto is_written = [this]() -> base::Status {
    if (auto full = writer_->full()) return *full;
    return base::ok();
  };
  (void)io::insist(is_written, config_.stop_fd, [this](const std::string& line) { log_.error(line); });
  const auto failed = writer_->failed();
  if (failed && !failed->reader_gone) failure_ = base::Error{base::Error::Kind::Io, failed->message};
  if (failed && failed->reader_gone && config_.reader_left != nullptr) return config_.reader_left->set();
  if (failed && failed->reader_gone && !std::exchange(has_reader_left_, true)) {
    log_.warning(failed->message + "; the run goes on, and its outputs are in " + config_.run_directory);
  }
  // Outputs whose reader has gone hold nothing up: they are in the run directory.
  counts_.emitted = writer_->emitted();
  feed(OutputsEmitted{failed && failed->reader_gone ? ~0ull : writer_->emitted()});
}

// What has been committed of outputs whose attempts still run. An OUTPUT may come before the ASSIGN that says how the job is to be shown.
void Shell::tell_live() {
  std::erase_if(live_, [this](const LiveOutputs::value_type& output) {
    const auto& [attempt, lengths] = output;
    if (!core_->wants_output(attempt)) return true;  // it has ended: its row tells the rest
    const LiveAttempt* live = core_->find_live(attempt);
    if (live == nullptr || live->command.empty()) return false;
    writer_->add_live({attempt, lengths, live->command, live->label});
    return true;
  });
}

void Shell::say_what_is_waited_for() {
  next_word_ = io::now() + kWord;
  std::string line;
  if (!core_->has_heard_ventilator()) line = "waiting for the ventilator: start it with --sink " + endpoints_.front() + " --run-dir " + config_.run_directory;
  else if (core_->workers() == 0 && !core_->has_ended()) line = "waiting for workers: start them with --sink " + endpoints_.front();
  reminder_.say(line, io::now());
}

void Shell::look_for_ventilator() {
  next_look_ = io::now() + core_->heartbeat();
  if (core_->has_ended() && !core_->has_heard_ventilator() && io::Lock::holder(config_.run_directory, io::Lock::kVentilator)) feed(VentilatorComes{});
}

std::optional<int> Shell::halted() const {
  const auto halt = core_ ? core_->halt() : std::nullopt;
  return halt && has_exited_ ? std::optional(static_cast<int>(halt->status)) : std::nullopt;
}

// ---- effects

bool Shell::insist(const std::function<base::Status()>& action) {
  if (auto done = io::insist(action, config_.stop_fd, [this](const std::string& line) { log_.error(line); }); !done) {
    failure_ = done.error();
    has_given_up_ = done.error().kind == base::Error::Kind::Full;
  }
  return !failure_;
}

void Shell::carry_out(LogResult& effect) {
  base::kill_point(base::kill_points::kReceived);
  Row row;
  row.result = std::move(effect.result);
  row.worker = effect.worker;
  row.host = std::move(effect.host);
  row.ordinal = effect.ordinal;
  const wire::Result& result = row.result;
  status_->ended(row.worker, row.host, result.outcome, result.runtime_us);
  if (result.has_out_file()) row.out_file = OutputFiles::name(result.attempt, wire::OutputStream::Out);
  if (result.has_err_file()) row.err_file = OutputFiles::name(result.attempt, wire::OutputStream::Err);
  if (joblog_) {
    joblog_->add(row);
    has_joblog_lines_ = true;
  }
  if (result.outcome == base::Outcome::Ok) inputs_->add(result.attempt.job);
  results_->finish(std::move(row));
}

void Shell::carry_out(LogAttempt& effect) {
  status_->ended(effect.worker, effect.host, effect.result.outcome, effect.result.runtime_us);
  results_->end_attempt(Row{std::move(effect.result), {}, {}, effect.worker, std::move(effect.host), effect.ordinal}, effect.counted, effect.alone);
}

void Shell::carry_out(const UncountLoss& effect) { results_->take_back(effect.attempt, !effect.revived); }

void Shell::carry_out(const LogPolicy& effect) { results_->policy(effect.policy); }

void Shell::carry_out(const LogEmitted& effect) {
  base::kill_point(base::kill_points::kEmitted);
  const std::uint64_t mark = std::min<std::uint64_t>(effect.jobs, writer_->emitted());
  results_->emitted({config_.order, mark});
  const std::size_t known = freed_.size();
  writer_->take_freed(mark, freed_);
  for (std::size_t i = known; i < freed_.size(); ++i) results_->free_outputs(freed_[i].job);
}

void Shell::carry_out(const WriteOutput& effect) {
  if (!insist([&] { return files_->append(effect.attempt, effect.stream, effect.offset, effect.bytes); })) return;
  if (config_.how.live != Presentation::Live::No) written_[effect.attempt][static_cast<std::size_t>(effect.stream)] = effect.offset + effect.bytes.size();
  base::kill_point(base::kill_points::kOutputWritten);
}

void Shell::carry_out(const DropOutput& effect) { files_->drop(effect.attempt, effect.stream); }

void Shell::carry_out(const LogEnded& effect) {
  base::kill_point(base::kill_points::kLastJobDone);
  exit_status_ = effect.status ? static_cast<int>(*effect.status) : cli::exit_status(effect.failed, effect.cut);
  results_->ended({*exit_status_, effect.total, effect.failed, effect.cut});
}

void Shell::carry_out(const LogHalt& effect) { results_->halt(effect); }

void Shell::carry_out(const TakeBackEnd&) {
  exit_status_.reset();
  results_->take_back_end();
}

// The lines of the batch, and their mark into the batch that is committed next.
bool Shell::write_joblog() {
  if (!std::exchange(has_joblog_lines_, false)) return true;
  const bool is_written = insist([this]() -> base::Status {
    auto mark = joblog_->flush();
    if (!mark) return mark.error();
    results_->joblog(*mark);
    return base::ok();
  });
  if (is_written) base::kill_point(base::kill_points::kJoblogWritten);
  return is_written;
}

void Shell::carry_out(const Commit&) {
  const bool joblog_follows = joblog_ && joblog_->follows_commit();
  if (!joblog_follows && !write_joblog()) return;
  if (!insist([this] { return files_->sync(); }) || !insist([this] { return results_->commit(); })) return;
  if (joblog_follows && !write_joblog()) return;
  for (const auto& [attempt, lengths] : written_) {
    for (std::size_t i = 0; i < lengths.size(); ++i) live_[attempt][i] = std::max(live_[attempt][i], lengths[i]);
  }
  written_.clear();
  inputs_->drop();
  for (const OutputWriter::Freed& freed : freed_) {
    if (freed.attempt) files_->drop(*freed.attempt);
  }
  freed_.clear();
  if (const auto rows = results_->committed_rows(); !rows.empty()) {
    base::kill_point(base::kill_points::kCommitted);
    writer_->add(rows, results_->first_committed_seq());
  }
}

void Shell::carry_out(const OpenFeedback& effect) {
  if (feedback_) {
    if (reactor_.is_watching(kFeedback)) reactor_.unwatch(kFeedback);
    feedback_->close(base::Duration::zero());
    feedback_.reset();
  }
  auto lane = io::Lane::open(context_, effect.endpoint);
  if (!lane) {
    log_.warning("the ventilator: " + lane.error().message);
    is_feedback_broken_ = true;
    return;
  }
  feedback_.emplace(std::move(*lane));
  reactor_.watch(*feedback_, kFeedback);
}

void Shell::carry_out(const SendToVentilator& effect) {
  if (std::holds_alternative<wire::End>(effect.message)) base::kill_point(base::kill_points::kEndCommitted);
  if (!feedback_) return;
  wire::encode(run_, effect.message, frame_);
  if (feedback_->send(frame_) == io::Sent::Gone) is_feedback_broken_ = true;
}

void Shell::carry_out(const Exit&) {
  if (!exit_status_ && results_->recovered().ended) exit_status_ = results_->recovered().ended->exit_status;
  has_exited_ = true;
}

}  // namespace sink
