#include "worker/shell.h"

#include <poll.h>
#include <sys/resource.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "cli/environment.h"
#include "io/clock.h"
#include "io/endpoints.h"
#include "io/entropy.h"
#include "io/host.h"
#include "io/run_directory.h"
#include "wire/codec.h"
#include "wire/limits.h"
#include "worker/oom_counter.h"
#include "worker/options_starts.h"
#include "worker/orphans.h"

namespace worker {

namespace {
enum Tag : io::Reactor::Tag { kLane, kStop, kQuit, kCommands, kCalls, kCoprocesses };
constexpr int kOutbox = 65536;  // frames; what finds no room is sent again after the next echoed STATE
constexpr int kFramesPerTurn = 256;
constexpr std::uint32_t kMostKeepers = 16;
constexpr std::uint32_t kMostByFile = 512;  // slots, where a file says how many
constexpr std::uint64_t kFilesOfKeeper = 32;  // beside those of commands
constexpr std::uint64_t kInputWindow = 8u << 20;
constexpr base::Duration kLinger{500'000};
constexpr base::Duration kWord{1'000'000};    // between two looks at what is waited for
constexpr base::Duration kReopen{1'000'000};  // until sockets that could not be opened are tried again

// Of each stream: all slots together read about 4 MiB ahead, more only where that would be less than a result may hold itself.
std::size_t output_window(std::uint32_t slots) {
  return std::clamp<std::size_t>((4u << 20) / (wire::kOutputStreams * slots), wire::kInlineOutput, 1u << 20);
}

// As many as CPUs can use, or more where the limit of open files wants it: two for each command.
std::uint32_t keepers_for(std::uint32_t slots) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const std::uint64_t served = files.rlim_max > 2 * kFilesOfKeeper ? (files.rlim_max - kFilesOfKeeper) / 2 : 1;
  return std::max(std::min({slots, cli::default_slots(), kMostKeepers}), static_cast<std::uint32_t>((slots + served - 1) / served));
}

KeeperRunner::Config with_window(KeeperRunner::Config config, std::uint32_t slots) {
  config.output_window = output_window(slots);
  return config;
}

// "..." is a new one for each job, as GNU parallel has it. One that cannot be made is an error of the job that is to enter it.
void make_directory(base::Command& command, base::JobId job) {
  if (command.directory == "...") {
    const char* home = std::getenv("HOME");
    command.directory = std::string(home != nullptr ? home : "/tmp") + "/.pushmill/tmp/" + io::host_name() + "-" + std::to_string(::getpid()) + "-" + std::to_string(job);
  }
  std::error_code error;
  std::filesystem::create_directories(command.directory, error);
}

}  // namespace

Shell::Shell(io::Context& context, ShellConfig config, const HandlerRegistry& handlers, const cli::Log& log)
    : context_(context), config_(std::move(config)), log_(log), handlers_(handlers), id_(io::new_worker_id()), host_(io::host_name()),
      slots_file_(config_.slots_file), load_file_(config_.load_file), limit_(config_.limit_percent) {}

base::Result<Exit::Why> Shell::run() {
  auto calls = CallRunner::create(handlers_, most_slots());
  if (!calls) return calls.error();
  calls_ = std::move(*calls);
  if (const auto directory = io::host_directory()) {
    config_.keeper.tables = *directory;
    const Orphans orphans = end_orphans(*directory);
    if (orphans.ended > 0) log_.warning("ended " + std::to_string(orphans.ended) + " processes of jobs whose worker and keeper had been killed");
    if (orphans.stuck != 0)
      log_.warning("process " + std::to_string(orphans.stuck) + " of a job whose worker has gone was killed and does not end, waiting in the kernel; going on beside it");
  } else {
    log_.warning(directory.error().message + "; nobody will find processes of jobs whose worker is killed together with its keepers");
  }
  config_.keeper.oom_counter = find_oom_counter();
  auto commands = KeeperPool::create(with_window(config_.keeper, config_.slots), keepers_for(config_.slots));
  if (!commands) return commands.error();
  commands_ = std::move(*commands);
  CoreConfig core;
  core.id = id_;
  core.host = host_;
  core.slots = config_.slots;
  core.starts = config_.starts;
  core.halt = config_.halt;
  core.has_relative_limit = config_.limit_percent > 0;
  core.output_window = output_window(config_.slots);
  core.input_window = is_remote() ? kInputWindow : 0;
  core.head_timeout = config_.head_timeout;
  core.hold_timeout = config_.hold_timeout;
  core.stops_without_head = config_.stops_without_head;
  core.seed = io::random_seed();
  core_.emplace(core);
  if (config_.stop_fd >= 0) reactor_.watch(config_.stop_fd, POLLIN, kStop);
  if (config_.quit_fd >= 0) reactor_.watch(config_.quit_fd, POLLIN, kQuit);
  reactor_.watch(calls_->fd(), POLLIN, kCalls);
  reactor_.watch(commands_->fd(), POLLIN, kCommands);
  next_word_ = io::now() + core.heartbeat * 3;

  feed(Turn{});
  if (!pull_) {  // the first session must open: what stands in its way is the user's to mend
    if (auto opened = open_session(); !opened) return opened.error();
  }
  while (!why_) {
    for (io::Reactor::Tag tag : reactor_.wait(std::min({core_->next_deadline(), reopen_at_, calls_->next_deadline(), limit_.next_deadline()}))) {
      if (tag == kStop) {
        reactor_.unwatch(kStop);
        is_stopping_ = true;
        feed(Stop{});
      } else if (tag == kQuit) {
        why_ = Exit::Why::Stopped;
      }
    }
    if (!pull_ && io::now() >= reopen_at_) reopen_session();  // could not be opened
    receive();
    collect();
    end_overdue();
    feed(Turn{});
    calls_->hand_over();
    if (io::now() >= next_word_) say_what_is_waited_for();
  }
  if (pull_) {
    reactor_.unwatch(kLane);
    pull_->close(base::Duration::zero());
  }
  if (uplink_) uplink_->close(kLinger);
  if (failure_) return *failure_;
  return *why_;
}

bool Shell::is_remote() const { return (config_.listen.empty() ? config_.sink_endpoint : config_.listen).starts_with("tcp://"); }

base::Status Shell::open_session() {
  reopen_at_ = io::now() + kReopen;
  close_session();
  auto listen = config_.listen.empty() ? io::default_listen(config_.sink_endpoint) : base::Result<std::string>(config_.listen);
  if (!listen) return listen.error();
  auto pull = io::Pull::create(context_, wire::kMaxSocketMessage);
  if (!pull) return pull.error();
  auto bound = pull->bind(*listen);
  if (!bound) return bound.error();
  auto reachable = io::reachable_endpoint(*bound, config_.sink_endpoint);
  if (!reachable) return reachable.error();
  auto uplink = io::Uplink::create(context_, config_.sink_endpoint, kOutbox, &link_);
  if (!uplink) return uplink.error();
  pull_.emplace(std::move(*pull));
  uplink_.emplace(std::move(*uplink));
  reactor_.watch(*pull_, kLane);
  reopen_at_ = base::kNever;
  events_.push_back(SessionOpened{*reachable, ""});
  return base::ok();
}

void Shell::close_session() {
  if (pull_) reactor_.unwatch(kLane);
  pull_.reset();
  uplink_.reset();
}

void Shell::receive() {
  for (int i = 0; i < kFramesPerTurn && pull_ && pull_->receive(received_); ++i) {
    auto message = wire::decode_to_worker(received_.bytes(), run_);
    if (!message) {
      dropped_.note(message.error().message, io::now());
      continue;
    }
    const base::RunId run = message->run;
    const bool had_head = core_->has_head();
    if (const auto* refused = std::get_if<wire::Refused>(&message->message); refused != nullptr && refused->worker == id_) {
      if (run.is_zero()) {
        no_room_ = refused->reason;
        feed(NoRoom{});
        continue;
      }
      log_.warning(refused->reason + (core_->holds_nothing() ? "; joining it" : "; holding what belongs to the other run"));
      if (core_->holds_nothing()) run_ = {};
    }
    std::visit([this](auto&& m) { feed(Event(std::move(m))); }, std::move(message->message));
    if (core_->has_head() && !had_head) run_ = run;
  }
}

void Shell::collect() {
  outputs_.clear();
  results_.clear();
  commands_->collect(outputs_, results_);
  if (coprocesses_) coprocesses_->collect(results_, remarks_);
  for (const std::string& remark : remarks_) log_.warning(remark);
  remarks_.clear();
  for (const StuckAttempt& stuck : commands_->take_stuck()) note_stuck(stuck);
  if (coprocesses_)
    for (const StuckAttempt& stuck : coprocesses_->take_stuck()) note_stuck(stuck);
  for (OutputRead& output : outputs_) feed(std::move(output));
  for (wire::Result& result : results_) {
    inputs_.drop(result.attempt);
    give_words(result);
    note_ended(result);
    if (result.outcome == base::Outcome::Returned) fail(result.reason);  // no keeper: no command can be run here
    feed(Ended{std::move(result)});
  }
  ended_.clear();
  calls_->collect(ended_);
  for (Ended& call : ended_) {
    const std::string reason = call.slot_is_lost ? call.result.reason : "";
    inputs_.drop(call.result.attempt);
    if (!words_.empty()) give_words(call.result);
    note_ended(call.result);
    feed(std::move(call));
    if (core_->slots() == 0) fail("no slot is left: " + reason);
  }
  if (!results_.empty() || !ended_.empty()) look_at_slots();
  if (failure_ && !std::exchange(is_stopping_, true)) feed(Stop{});
}

// The file may say another number now; one that says none changes nothing.
void Shell::look_at_slots() {
  const auto amount = slots_file_.changed();
  if (!amount) return;
  const auto slots = *amount ? slots_of(**amount, cli::default_slots()) : base::Result<std::uint32_t>(amount->error());
  if (!slots) return log_.warning("--jobs: " + slots.error().message + "; it stays as it was");
  feed(Slots{std::min(*slots, most_slots())});
}

// Where the number may change: what is made for slots is made for these.
std::uint32_t Shell::most_slots() const { return config_.slots_file.empty() ? config_.slots : std::max(config_.slots, kMostByFile); }

// ---- a time limit that follows what jobs take

void Shell::note_ended(wire::Result& result) {
  if (!limit_.is_set()) return;
  limit_.note_ended(result.attempt, result.outcome == base::Outcome::Ok, base::Duration(static_cast<std::int64_t>(result.runtime_us)));
  if (overdue_.erase(result.attempt) > 0 && result.outcome == base::Outcome::Cancelled) result.outcome = base::Outcome::Timeout;
}

void Shell::note_stuck(const StuckAttempt& stuck) {
  log_.warning("job " + std::to_string(stuck.attempt.job) + ": process " + std::to_string(stuck.process) +
               " was killed and does not end, waiting in the kernel; it is waited for until this program is to stop, and then left behind");
  feed(Stuck{stuck.attempt});
}

void Shell::end_overdue() {
  for (const base::Attempt& attempt : limit_.take_overdue(io::now())) {
    overdue_.insert(attempt);
    kill(attempt);
  }
}

// This worker is of no use any more: what it holds is for others.
void Shell::fail(std::string reason) {
  if (!failure_) failure_ = base::Error{base::Error::Kind::Protocol, std::move(reason)};
}

void Shell::feed(Event&& event) {
  events_.push_back(std::move(event));
  for (std::size_t i = 0; i < events_.size(); ++i) {
    core_->on(std::move(events_[i]), io::now(), effects_);
#ifdef PUSHMILL_CHECK_INVARIANTS
    core_->check_invariants();
#endif
    carry_out(effects_);
    // What effects led to is a batch of its own, and a Turn ends each batch: without it a new session would say its STATE a heartbeat late.
    if (i > 0 && i + 1 == events_.size() && !std::holds_alternative<Turn>(events_[i])) events_.emplace_back(Turn{});
  }
  events_.clear();
}

void Shell::carry_out(Effects& effects) {
  for (Effect& effect : effects) std::visit([this](auto& e) { carry_out(e); }, effect);
  effects.clear();
}

void Shell::say_what_is_waited_for() {
  next_word_ = io::now() + kWord;
  std::string line;
  const std::string& trouble = link_.trouble();
  if (!no_room_.empty()) line = "waiting for room: " + no_room_;
  else if (!core_->has_head()) line = "waiting for the sink at " + config_.sink_endpoint + " and its ventilator" + trouble;
  reminder_.say(line, io::now());
}

// ---- effects

void Shell::carry_out(OpenSession&) {
  no_room_.clear();
  reopen_session();
}

void Shell::carry_out(CloseSession&) { close_session(); }

void Shell::reopen_session() {
  if (auto opened = open_session(); !opened && core_->session() > 1) log_.warning(opened.error().message + "; trying again");
}

void Shell::send(const wire::ToSink& message) {
  if (!uplink_) return;
  wire::encode(run_, message, frame_);
  uplink_->send(frame_);
}

void Shell::carry_out(SendState& effect) { send(std::move(effect.message)); }

void Shell::carry_out(SendBye& effect) { send(effect.message); }

void Shell::carry_out(SendResults& effect) {
  wire::ToSink message(wire::Results{id_, effect.session, effect.generation, effect.limit, host_, {}});
  auto& items = std::get<wire::Results>(message).items;
  std::size_t bytes = 0;
  const auto flush = [&] {
    send(message);
    for (wire::Result& item : items) core_->give_back(std::move(item));
    items.clear();
    bytes = 0;
  };
  for (const base::Attempt& attempt : effect.attempts) {
    wire::Result result = core_->lend(attempt);
    const std::size_t size = result.text_bytes();
    if (!items.empty() && (bytes + size > wire::kBatchBytes || items.size() >= wire::kBatchItems)) flush();
    items.push_back(std::move(result));
    bytes += size;
  }
  if (!items.empty()) flush();
}

void Shell::carry_out(SendOutput& effect) {
  send(wire::Output{id_, effect.attempt, effect.stream, effect.offset, std::string(core_->outputs().bytes(effect.attempt, effect.stream, effect.offset))});
}

void Shell::carry_out(KeepInput& effect) { inputs_.keep(effect.attempt, effect.bytes, effect.fault); }

void Shell::carry_out(DropInput& effect) { inputs_.drop(effect.attempt); }

void Shell::carry_out(Grant& effect) { commands_->grant(effect.attempt, effect.stream, effect.length); }

void Shell::carry_out(Start& effect) {
  limit_.note_started(effect.attempt, io::now());
  auto spec = wire::decode_spec(effect.spec);
  if (!spec) return fail_unstarted(effect, "the job cannot be read: " + spec.error().message);
  if (auto* call = std::get_if<base::Call>(&spec->work)) {
    if (!spec->label.empty()) words_[effect.attempt] = {"", std::move(spec->label)};
    return calls_->start(effect.attempt, effect.slot, std::move(*call), spec->time_limit);
  }
  base::Status has_input = base::ok();
  if (auto* command = std::get_if<base::Command>(&spec->work)) {
    has_input = inputs_.give(effect.attempt, *command);
    if (has_input && is_remote() && command->input.length > InputStore::kInMemory && !std::exchange(has_room_, true)) log_.warning("there is room for inputs again");
    if (is_remote() && command->input.length == 0) command->input = {};  // an empty one does not travel
    base::put_in_slot(*command, effect.slot);
    if (const std::uint64_t number = wire::number_of_label(spec->label); number != 0) command->environment.push_back("PARALLEL_SEQ=" + std::to_string(number));
    if (!command->directory.empty()) make_directory(*command, effect.attempt.job);
  }
  words_[effect.attempt] = {wire::describe(*spec), std::move(spec->label)};
  if (!has_input && has_input.error().kind == base::Error::Kind::Full) return return_unstarted(effect, has_input.error().message);
  if (!has_input) return fail_unstarted(effect, has_input.error().message);
  if (auto* record = std::get_if<base::Record>(&spec->work)) return start_record(effect, std::move(*record), spec->time_limit);
  commands_->start(effect.attempt, effect.slot, std::get<base::Command>(spec->work), spec->time_limit);
}

void Shell::start_record(const Start& effect, base::Record&& record, base::Duration limit) {
  if (!coprocesses_) {
    auto made = CoprocessRunner::create({.keeper = config_.keeper}, most_slots());
    if (!made) return fail_unstarted(effect, made.error().message);
    coprocesses_ = std::move(*made);
    reactor_.watch(coprocesses_->fd(), POLLIN, kCoprocesses);
    coprocesses_->run_until(run_until_);
  }
  coprocesses_->start(effect.attempt, effect.slot, std::move(record), limit);
}

void Shell::give_words(wire::Result& result) {
  const auto words = words_.find(result.attempt);
  if (words == words_.end()) return;
  if (!words->second.command.empty()) result.command = std::move(words->second.command);
  result.label = std::move(words->second.label);
  words_.erase(words);
}

void Shell::fail_unstarted(const Start& effect, const std::string& reason) {
  wire::Result result;
  result.attempt = effect.attempt;
  result.outcome = base::Outcome::Failed;
  result.exit_code = 126;
  result.started_at = result.finished_at = io::wall_now();
  result.reason = reason;
  inputs_.drop(effect.attempt);
  note_ended(result);
  give_words(result);
  events_.push_back(Ended{std::move(result)});
}

// Its input finds no room here: others may have some.
void Shell::return_unstarted(const Start& effect, const std::string& reason) {
  if (std::exchange(has_room_, false)) log_.warning(reason + "; jobs go back until there is room");
  wire::Result result;
  result.attempt = effect.attempt;
  result.outcome = base::Outcome::Returned;
  result.reason = reason;
  inputs_.drop(effect.attempt);
  note_ended(result);
  words_.erase(effect.attempt);
  events_.push_back(Ended{std::move(result), false, true});
}

void Shell::carry_out(Kill& effect) {
  overdue_.erase(effect.attempt);  // the core has its own reason now
  kill(effect.attempt);
}

void Shell::kill(const base::Attempt& attempt) {
  commands_->kill(attempt);
  calls_->kill(attempt);
  if (coprocesses_) coprocesses_->kill(attempt);
}

void Shell::carry_out(LookAtMachine&) {
  Machine machine = machine_.look();
  if (const auto load = load_file_.changed()) {
    if (*load) machine.load = load_of(**load);
    else log_.warning("--load: " + load->error().message + "; it stays as it was");
  }
  events_.push_back(Measured{machine});
}

void Shell::carry_out(RunUntil& effect) {
  run_until_ = effect.at;
  commands_->run_until(effect.at);
  if (coprocesses_) coprocesses_->run_until(effect.at);
}

void Shell::carry_out(Exit& effect) { why_ = effect.why; }

}  // namespace worker
