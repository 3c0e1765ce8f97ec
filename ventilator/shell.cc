#include "ventilator/shell.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/kill_point.h"
#include "cli/exit_status.h"
#include "io/clock.h"
#include "io/endpoints.h"
#include "io/entropy.h"
#include "io/insist.h"
#include "ventilator/input_reader.h"
#include "wire/codec.h"
#include "wire/limits.h"

namespace ventilator {

namespace {
enum Tag : io::Reactor::Tag { kFeedback, kStop, kDrain, kFinish, kInput, kFirstLane = 16 };
constexpr int kOutbox = 1 << 20;              // frames for an absent sink; beyond that a resync mends what is dropped
constexpr int kFramesPerTurn = 256;
constexpr std::size_t kRecordsPerTurn = 4096;
constexpr std::size_t kBytesPerTurn = 1u << 20;
constexpr base::Duration kLinger{500'000};
constexpr base::Duration kLookForRoom{20'000};
constexpr base::Duration kLaneLineEvery{10'000'000};
constexpr base::Duration kWord{1'000'000};    // between two looks at what is waited for

base::InputFile input_of(const std::string& spec) {
  auto decoded = wire::decode_spec(spec);
  auto* command = decoded ? std::get_if<base::Command>(&decoded->work) : nullptr;
  return command == nullptr ? base::InputFile{} : std::move(command->input);
}
}  // namespace

Shell::Shell(io::Context& context, ShellConfig config, std::optional<Template> job_template, std::optional<Input> source, std::optional<DoneJobs> done,
             const cli::Log& log, base::Counts& counts)
    : context_(context), config_(std::move(config)), template_(std::move(job_template)), source_(std::move(source)), done_(std::move(done)), log_(log), counts_(counts) {}

// ---- before the loop

base::Result<std::optional<int>> Shell::open(int interrupt_fd) {
  auto lock = io::Lock::take(config_.run_directory, io::Lock::kVentilator, "ventilator", config_.take_over);
  if (!lock) return lock.error();
  if (!lock->taken_from().empty()) log_.warning("taking " + config_.run_directory + " over from " + lock->taken_from());
  lock_.emplace(std::move(*lock));
  auto spool = Spool::open(config_.run_directory, config_.durability, io::is_network_filesystem(config_.run_directory));
  if (!spool) return spool.error();
  spool_.emplace(std::move(*spool));
  if (template_) {
    if (auto fits = spool_->describe_run(template_->text(), source_ ? source_->text() : "", config_.origin); !fits) return fits.error();
  }
  if (auto fits = spool_->keep_dispatches(config_.policy.at_most_once); !fits) return fits.error();
  if (const auto mark = end_mark()) {
    if (auto committed = spool_->commit_halts_over(mark->halts); !committed) return committed.error();
    if (auto committed = spool_->commit_ended(mark->exit_status); !committed) return committed.error();
  }
  forgotten_ = spool_->summary().accepted;
  SpooledFile::drop_leftovers(config_.run_directory, forgotten_);
  if (done_ && done_->accepted() != forgotten_) return base::Error{base::Error::Kind::Busy, config_.run_directory + ": another run has gone on in it just now: try again"};
  if (auto fits = done_ ? base::ok() : match_input(interrupt_fd); !fits) return fits.error();
  const Spool::Summary& summary = spool_->summary();
  if (summary.ended && !is_interrupted_ && !goes_on_behind_cut()) {
    if (summary.cut) say_cut(source_error_.empty() ? summary.cut_reason : source_error_);
    // Over, unless a sink is there that waits for a word from us: then the workers may wait for one too.
    exit_status_ = summary.ended;
    if (config_.is_embedded || io::Lock::take(config_.run_directory, io::Lock::kSink, io::Lock::kLook)) return exit_status_;
  }
  counts_.accepted = summary.accepted;
  return std::optional<int>();
}

std::optional<io::EndMark> Shell::end_mark() const {
  const auto mark = io::end_mark_of_sink(config_.run_directory);
  const Spool::Summary& summary = spool_->summary();
  if (!mark || mark->total != summary.accepted || mark->cut != summary.cut) return std::nullopt;
  return mark;
}

// An input that is offered again must begin with the records accepted before. Nothing is dispatched until that is seen.
base::Status Shell::match_input(int interrupt_fd) {
  const Spool::Summary& was = spool_->summary();
  const base::JobId accepted = was.accepted;
  const bool is_whole = was.end_of_input && !was.cut;                 // then nothing may follow
  const bool is_idle = was.cut && (was.ended || accepted == 0);       // then nothing is to be done unless something follows
  base::JobId job = 0;
  std::string spec;
  while (source_ && !is_source_at_end_ && (job < accepted || is_whole || (is_idle && job == accepted))) {
    pollfd fds[2] = {{source_->fd(), POLLIN, 0}, {interrupt_fd, POLLIN, 0}};
    ::poll(fds, 2, fds[0].fd >= 0 ? -1 : 0);
    if (fds[0].fd >= 0 && fds[0].revents == 0 && fds[1].revents == 0) continue;  // a signal
    if ((fds[1].revents & POLLIN) != 0) {
      is_interrupted_ = true;
      return base::ok();
    }
    const JobSource::State state = next_jobs();
    store_blocks();
    if (failure_) return *failure_;
    for (const Arguments& arguments : source_->jobs()) {
      if (auto encoded = template_->encode(arguments, spec); !encoded) {
        if (job < accepted) return base::Error{base::Error::Kind::Conflict, "the input differs from that of this run: " + encoded.error().message};
        is_source_at_end_ = true;
        source_error_ = encoded.error().message;
        break;
      }
      ++job;
      if (auto same = spool_->matches(job, spec); !same) return same.error();
      if (job > accepted) surplus_.push_back(spec);
    }
    if (state == JobSource::State::Error) source_error_ = source_->error().message;
    if (state != JobSource::State::More) is_source_at_end_ = true;
  }
  if (!is_source_at_end_ || !source_error_.empty()) return base::ok();
  if (job > 0) return spool_->matches_end(job);
  source_.reset();  // nothing was offered: what was accepted is finished
  return base::ok();
}

// An ended run has more to do when records follow where its input was cut, or when it is seen that none do.
bool Shell::goes_on_behind_cut() const {
  return spool_->summary().cut && source_ && (!surplus_.empty() || (is_source_at_end_ && source_error_.empty()));
}

// ---- the loop

base::Result<std::optional<int>> Shell::run() {
  if (is_interrupted_) return std::optional<int>();
  auto feedback = io::Pull::create(context_, wire::kMaxSocketMessage);
  if (!feedback) return feedback.error();
  feedback_.emplace(std::move(*feedback));
  auto bound = feedback_->bind(config_.listen);
  if (!bound) return bound.error();
  auto reachable = io::reachable_endpoint(*bound, config_.sink_endpoint);
  if (!reachable) return reachable.error();
  if (auto opened = open_uplink(); !opened) return opened.error();
  downlink_.emplace(context_, reactor_, kFirstLane);
  reactor_.watch(*feedback_, kFeedback);
  if (config_.stop_fd >= 0) reactor_.watch(config_.stop_fd, POLLIN, kStop);
  if (config_.drain_fd >= 0) reactor_.watch(config_.drain_fd, POLLIN, kDrain);
  if (config_.finish_fd >= 0) reactor_.watch(config_.finish_fd, POLLIN, kFinish);

  const Spool::Summary& summary = spool_->summary();
  CoreConfig core;
  core.feedback_endpoint = *reachable;
  core.policy = config_.policy;
  core.retry_delay = config_.retry_delay;
  core.has_grace = !config_.is_embedded;
  core.seed = io::random_seed();
  const bool is_over = exit_status_.has_value();
  core_.emplace(core, Recovered{summary.epoch, summary.horizon, summary.accepted, is_over || (summary.end_of_input && !summary.cut), is_over && summary.cut, is_over, summary.halts_over});
  if (!surplus_.empty()) append(surplus_);
  counts_.is_input_ended = is_over || (summary.end_of_input && !summary.cut);
  if (is_over) source_.reset();
  if (!counts_.is_input_ended && !source_) {
    end_input(true, summary.cut ? summary.cut_reason : "the run was interrupted while its input was read");
  } else if (!counts_.is_input_ended && is_source_at_end_) {
    end_input(!source_error_.empty(), source_error_);
  }
  next_word_ = io::now() + config_.policy.heartbeat * 3;

  while (!has_exited_ && !failure_) {
    forget_blocks();
    const bool reads = may_read();
    const int input_fd = reads ? source_->fd() : -1;
    if (reactor_.is_watching(kInput) && input_fd != input_fd_) reactor_.unwatch(kInput);  // another source has its turn
    if (!reactor_.is_watching(kInput) && input_fd >= 0) reactor_.watch(input_fd, POLLIN, kInput);
    input_fd_ = input_fd;
    const bool is_busy = (reads && input_fd < 0) || !broken_.empty();
    bool input_ready = reads && input_fd < 0;
    // In one process the sink says only by its count what it has written: a bell for each output would cost all runs something, this look only those that are full.
    const bool waits_for_room = !reads && !blocks_ahead_.empty() && !is_source_at_end_ && !is_stopping_;
    const base::TimePoint deadline = waits_for_room ? std::min(core_->next_deadline(), io::now() + kLookForRoom) : core_->next_deadline();
    for (io::Reactor::Tag tag : reactor_.wait(is_busy ? base::TimePoint{} : deadline)) {
      if (tag == kInput) input_ready = true;
      else if (tag == kStop) has_exited_ = true;
      else if (tag == kDrain) is_stopping_ = true, reactor_.unwatch(kDrain), feed(Stop{});
      else if (tag == kFinish) reactor_.unwatch(kFinish), feed(Drain{});
      else if (tag >= kFirstLane) downlink_->on_ready(tag);
    }
    for (const LaneBroken& event : std::exchange(broken_, {})) feed(event);
    receive();
    if (input_ready && may_read()) read_input();
    feed(Turn{});
    counts_.running = core_->jobs().assigned().size();
    if (io::now() >= next_word_) say_what_is_waited_for();
  }
  reactor_.unwatch(kFeedback);
  if (uplink_) uplink_->close(kLinger);
  downlink_->close_all(kLinger);
  feedback_->close(base::Duration::zero());
  if (has_given_up_) {
    log_.warning("stopped while there was no room for what is to be written; it can be continued when there is");
    return std::optional<int>();
  }
  if (failure_) return *failure_;
  return exit_status_;
}

base::Status Shell::open_uplink() {
  uplink_.reset();
  auto uplink = io::Uplink::create(context_, config_.sink_endpoint, kOutbox, &link_);
  if (!uplink) return uplink.error();
  uplink_.emplace(std::move(*uplink));
  return base::ok();
}

void Shell::receive() {
  for (int i = 0; i < kFramesPerTurn && feedback_->receive(received_); ++i) {
    auto message = wire::decode_to_ventilator(received_.bytes(), spool_->summary().run);
    if (!message) {
      dropped_.note(message.error().message, io::now());
      continue;
    }
    std::visit([this](auto&& m) { feed(Event(std::move(m))); }, std::move(message->message));
  }
}

void Shell::feed(const Event& event) {
  core_->on(event, io::now(), effects_);
#ifdef PUSHMILL_CHECK_INVARIANTS
  core_->check_invariants();
#endif
  carry_out(effects_);
}

void Shell::carry_out(Effects& effects) {
  // An effect may lead to a new event, whose effects are carried out there and then.
  Effects now = std::exchange(effects, {});
  for (const Effect& effect : now) {
    if (failure_) return;
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  if (effects.empty()) {  // keep the memory for the next turn
    now.clear();
    effects = std::move(now);
  }
}

void Shell::say_what_is_waited_for() {
  next_word_ = io::now() + kWord;
  std::string line;
  const std::string& trouble = link_.trouble();
  if (!core_->is_answered()) line = "waiting for the sink at " + config_.sink_endpoint + trouble;
  else if (core_->workers().size() == 0) line = "waiting for workers: start them with --sink " + config_.sink_endpoint;
  reminder_.say(line, io::now());
}

// ---- input

// Whatever the order in which jobs end: of so many blocks neither input nor output is on the disk any more.
void Shell::forget_blocks() {
  const std::uint64_t gone = config_.is_embedded ? counts_.emitted.load() : core_->jobs().finished();
  for (; !blocks_ahead_.empty() && forgotten_ < gone; ++forgotten_) {
    bytes_ahead_ -= std::min(bytes_ahead_, blocks_ahead_.front());
    blocks_ahead_.pop_front();
  }
}

bool Shell::may_read() const {
  return source_ && !is_source_at_end_ && !is_stopping_ && !core_->is_halting() && bytes_ahead_ < config_.spool_bytes;
}

JobSource::State Shell::next_jobs() {
  const auto& run = spool_->summary().run.bytes;
  if (!std::exchange(has_read_, true)) source_->serve(*template_, content_hash({reinterpret_cast<const char*>(run.data()), run.size()}));
  return source_->read(kRecordsPerTurn, kBytesPerTurn);
}

// What the jobs that were read last have on stdin goes to the run directory before they are accepted.
void Shell::store_blocks() {
  Blocks* const blocks = source_->blocks();
  if (blocks == nullptr) return;
  insist([&] { return blocks->store(spool_->summary().accepted); });
  for (const Arguments& job : blocks->jobs()) {
    if (job.number <= spool_->summary().accepted) continue;
    blocks_ahead_.push_back(blocks->own_bytes(job));
    bytes_ahead_ += blocks_ahead_.back();
  }
}

// What makes no job is not done: to encode it says why.
bool Shell::is_done(const Arguments& arguments) {
  const auto spec = template_->compose(arguments);
  if (!spec || !done_->take(*spec)) return false;
  ++left_out_;
  return true;
}

void Shell::read_input() {
  const JobSource::State state = next_jobs();
  store_blocks();
  if (failure_) return;
  std::vector<std::string> specs;
  specs.reserve(source_->jobs().size());
  for (const Arguments& arguments : source_->jobs()) {
    if (done_ && is_done(arguments)) continue;
    std::string spec;
    if (auto encoded = template_->encode(arguments, spec); !encoded) {
      is_source_at_end_ = true;
      source_error_ = encoded.error().message;
      break;
    }
    specs.push_back(std::move(spec));
  }
  append(specs);
  if (failure_) return;
  if (state == JobSource::State::Error) source_error_ = source_->error().message;
  if (state != JobSource::State::More) is_source_at_end_ = true;
  if (!is_source_at_end_) return;
  if (reactor_.is_watching(kInput)) reactor_.unwatch(kInput);
  end_input(!source_error_.empty(), source_error_);
}

void Shell::append(std::vector<std::string>& specs) {
  if (specs.empty()) return;
  insist([&] { return spool_->append(specs); });
  if (failure_) return;
  base::kill_point(base::kill_points::kSpooled);
  counts_.accepted = spool_->summary().accepted;
  Appended appended{counts_.accepted, 0};
  for (const std::string& spec : specs) appended.bytes += spec.size();
  specs_ahead_.push_back(appended);
  bytes_ahead_ += appended.bytes;
  specs.clear();
  feed(InputAccepted{spool_->summary().accepted});
}

void Shell::say_cut(const std::string& reason) const {
  const std::uint64_t records = spool_->summary().accepted + left_out_ - (done_ ? done_->accepted() : 0);
  log_.error("input cut at record " + std::to_string(records + 1) + ": " + reason);
}

void Shell::end_input(bool cut, const std::string& reason) {
  insist([&] { return spool_->commit_end_of_input(cut, reason); });
  if (failure_) return;
  if (cut) {
    SpooledFile::drop_leftovers(config_.run_directory, spool_->summary().accepted);
    say_cut(reason);
  }
  counts_.is_input_ended = true;
  feed(InputEnded{cut});
}

// ---- effects

void Shell::insist(const std::function<base::Status()>& action) {
  if (auto done = io::insist(action, config_.stop_fd, [this](const std::string& line) { log_.error(line); }); !done) {
    failure_ = done.error();
    has_given_up_ = done.error().kind == base::Error::Kind::Full;
  }
}

void Shell::carry_out(const SendToSink& effect) {
  if (!uplink_) return;  // a gap, as below
  const auto* assign = std::get_if<wire::Assign>(&effect.message);
  // A loss while alone, or at most once, may be what the log says of the job: the sink needs the words. And for what it shows of a job that runs.
  const auto needs_words = [this](const wire::Assigned& item) { return item.alone || config_.policy.at_most_once || config_.is_live; };
  if (assign != nullptr && std::any_of(assign->items.begin(), assign->items.end(), needs_words)) {
    wire::Assign with_text = *assign;
    const std::size_t room = wire::kMaxJob / with_text.items.size();  // for the words, or the frame could be larger than the sink takes
    for (wire::Assigned& item : with_text.items) {
      if (!needs_words(item)) continue;
      if (auto spec = spool_->decoded(item.attempt.job)) {
        item.command = wire::describe(*spec).substr(0, room);
        item.label = std::move(spec->label);
      }
    }
    wire::encode(spool_->summary().run, with_text, frame_);
  } else {
    wire::encode(spool_->summary().run, effect.message, frame_);
  }
  uplink_->send(frame_);  // one that finds no room is a gap, and a gap leads to a resync
}

void Shell::carry_out(const OpenLane& effect) {
  if (auto opened = downlink_->open(effect.worker, effect.endpoint, effect.key); !opened) {
    if (const auto now = io::now(); now >= next_lane_line_) {  // strangers name as many endpoints as they like
      log_.warning("worker " + effect.worker.short_hex() + ": " + opened.error().message);
      next_lane_line_ = now + kLaneLineEvery;
    }
    note_broken(effect.worker, effect.generation);
  }
}

void Shell::carry_out(const CloseLane& effect) { downlink_->close(effect.worker); }

void Shell::note_broken(const base::WorkerId& worker, const base::Generation& generation) {
  for (const LaneBroken& known : broken_) {
    if (known.worker == worker && known.generation == generation) return;
  }
  broken_.push_back({worker, generation});
}

void Shell::send_on_lane(const base::WorkerId& worker, const base::Generation& generation, const wire::ToWorker& message) {
  wire::encode(spool_->summary().run, message, frame_);
  if (downlink_->send(worker, frame_) == Downlink::Sent::Gone) note_broken(worker, generation);
}

void Shell::carry_out(const SendCtrl& effect) {
  if (!effect.message.confirms.empty()) base::kill_point(base::kill_points::kConfirmed);
  send_on_lane(effect.message.worker, effect.message.generation, effect.message);
}

void Shell::carry_out(const SendFree& effect) { send_on_lane(effect.message.worker, effect.message.generation, effect.message); }

void Shell::carry_out(const SendJobs& effect) {
  base::kill_point(base::kill_points::kAssigned);
  wire::Job job{effect.worker, effect.session, effect.generation, effect.limit, effect.first_seq, {}};
  InputsDue due{effect.worker, effect.generation, {}};
  std::size_t bytes = 0;
  const auto send = [&] {
    const std::uint64_t next = job.first_seq + job.items.size();
    wire::ToWorker message(std::move(job));
    send_on_lane(effect.worker, effect.generation, message);
    job = std::move(std::get<wire::Job>(message));
    job.items.clear();
    job.first_seq = next;
    bytes = 0;
  };
  for (const base::Attempt& attempt : effect.attempts) {
    auto spec = spool_->spec(attempt.job);
    if (!spec) {
      failure_ = spec.error();
      return;
    }
    // New jobs go out in their order: those below, to other workers, leave in the same turn.
    for (; !specs_ahead_.empty() && specs_ahead_.front().newest <= attempt.job; specs_ahead_.pop_front()) bytes_ahead_ -= std::min(bytes_ahead_, specs_ahead_.front().bytes);
    if (!job.items.empty() && (bytes + spec->size() > wire::kBatchBytes || job.items.size() >= wire::kBatchItems)) send();
    bytes += spec->size();
    const std::uint64_t input = effect.takes_inputs ? input_of(*spec).length : 0;
    if (input > 0) due.items.push_back({attempt, input});
    job.items.push_back({attempt, std::move(*spec), input});
  }
  if (!job.items.empty()) send();
  if (!due.items.empty()) feed(due);
}

void Shell::carry_out(const SendInput& effect) {
  wire::ToWorker message(wire::Input{effect.worker, effect.session, effect.generation, effect.sent, effect.attempt, effect.offset, {}, {}});
  auto& part = std::get<wire::Input>(message);
  auto spec = spool_->spec(effect.attempt.job);
  if (!spec) {
    failure_ = spec.error();
    return;
  }
  auto input = InputReader::open(input_of(*spec));
  base::Status read = input ? base::ok() : base::Status(input.error());
  const std::uint64_t end = effect.offset + effect.length;
  while (read && part.offset < end) {
    read = input->read(part.offset, std::min<std::uint64_t>(end - part.offset, wire::kMaxInput), part.bytes);
    if (!read) break;
    send_on_lane(effect.worker, effect.generation, message);
    part.sent += part.bytes.size();
    part.offset += part.bytes.size();
  }
  if (read) return;
  part.sent = effect.sent + effect.length;
  part.bytes.clear();
  part.fault = read.error().message.substr(0, wire::kMaxReason);
  send_on_lane(effect.worker, effect.generation, message);
  feed(InputFaulty{effect.worker, effect.generation, effect.attempt});
}

void Shell::carry_out(const RaiseHorizon& effect) {
  insist([&] { return spool_->raise_horizon(effect.through); });
}

void Shell::carry_out(const CommitDispatches& effect) {
  insist([&] { return spool_->commit_dispatches(effect.items); });
}

void Shell::carry_out(const RecallDispatches& effect) {
  auto found = spool_->dispatches(effect.jobs);
  if (!found) failure_ = found.error();
  else feed(DispatchesRecalled{std::move(*found)});
}

void Shell::carry_out(const CommitEnded& effect) {
  exit_status_ = effect.status ? static_cast<int>(*effect.status) : cli::exit_status(effect.failed, effect.cut);
  if (effect.failed == 0 && !effect.cut) SpooledFile::drop_shared(config_.run_directory);  // the sink has committed all of them: none runs again
  insist([&] { return spool_->commit_ended(*exit_status_); });
  base::kill_point(base::kill_points::kEndHeard);
}

void Shell::carry_out(const CommitHaltsOver& effect) {
  insist([&] { return spool_->commit_halts_over(effect.number); });
}

// Within a process no connection meets a stranger.
void Shell::carry_out(const RenewUplink&) {
  if (config_.is_embedded) return;
  if (auto opened = open_uplink(); !opened) log_.warning(opened.error().message + "; trying again");
}

void Shell::carry_out(const LookForEnd&) {
  if (const auto mark = end_mark()) feed(SinkHasEnded{mark->failed, mark->cut, {mark->halts, wire::HaltRule::When::Soon, static_cast<std::uint32_t>(mark->exit_status)}});
}

void Shell::carry_out(const Exit&) { has_exited_ = true; }

}  // namespace ventilator
