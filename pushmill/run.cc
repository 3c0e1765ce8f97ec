#include "pushmill/run.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdio>
#include <functional>
#include <thread>
#include <utility>

#include "cli/environment.h"
#include "cli/exit_status.h"
#include "cli/log.h"
#include "cli/program.h"
#include "io/clock.h"
#include "io/run_directory.h"
#include "pushmill/dry_run.h"
#include "pushmill/progress_line.h"
#include "pushmill/skip_done.h"
#include "sink/shell.h"
#include "ventilator/origin.h"
#include "ventilator/shell.h"
#include "worker/pause.h"
#include "worker/shell.h"

namespace pushmill {

namespace {

constexpr char kSinkEndpoint[] = "inproc://sink";
constexpr char kFeedbackEndpoint[] = "inproc://ventilator";

// A run that is to be made or continued: where, and as what.
struct Plan {
  RunOptions options;
  ventilator::Origin origin;
  std::string directory;
  bool is_unnamed = false;  // ours to remove after success
  bool is_resumed = false;  // its standard input is gone
};

ventilator::Template template_of(const Plan& plan) {
  ventilator::JobDefaults defaults = ventilator::defaults_of(plan.options.commands, plan.origin.shell);
  defaults.live = plan.options.output.presentation().live != sink::Presentation::Live::No;
  return ventilator::Template::of(plan.options.job_work(), defaults);
}

base::Result<std::optional<ventilator::Input>> open_source(const Plan& plan) {
  using Source = std::optional<ventilator::Input>;
  const RunOptions& options = plan.options;
  if (plan.is_resumed) {
    const auto summary = ventilator::Spool::peek(plan.directory);
    if (!summary) return summary.error();
    if (summary->end_of_input && !summary->cut) return Source();  // all of it is in the spool
  }
  if (plan.is_resumed && (options.pipe.pipe || options.input.reads_standard_input())) return Source();
  auto input = options.open_input(plan.directory);
  if (input) return Source(std::move(*input));
  if (!plan.is_resumed) return input.error();
  std::fprintf(stderr, "pushmill: %s; what was read of it before is finished\n", input.error().message.c_str());
  return Source();
}

// The three roles, their threads and the bells to stop them: first the worker, which ends its jobs and hands in what it holds while the others still
// confirm, then the head.
class Roles {
 public:
  static base::Result<std::unique_ptr<Roles>> open(const Plan& plan, const worker::CallerSignals& caller, int interrupt_fd, ventilator::Input* source, std::optional<ventilator::DoneJobs> done);
  ~Roles() { join(); }

  // The exit status of a run that had ended before; none: start() it.
  const std::optional<int>& ended() const { return ended_; }
  void start();
  // Waits for a signal or the end. `signals`: the first stops the run, a second one ends it without waiting for the jobs.
  void wait(io::Signals& signals, const ProgressOptions& options);
  void join();

  // Stopped before its end by its --halt.
  bool is_halted() const { return ventilator_ && ventilator_->halted().has_value(); }
  const base::Counts& counts() const { return counts_; }
  bool has_reader_left() const { return signal_ == SIGPIPE; }
  bool is_complete() const { return ventilator_result_ && *ventilator_result_ && **ventilator_result_; }
  base::Result<int> status() const;

 private:
  Roles(io::Context context, io::Event finished, io::Event drain, io::Event finish, io::Event quit, io::Event reader_left)
      : context_(std::move(context)), finished_(std::move(finished)), drain_(std::move(drain)), finish_(std::move(finish)), quit_(std::move(quit)), reader_left_(std::move(reader_left)) {}
  base::Status open_roles(const Plan& plan, const worker::CallerSignals& caller, int interrupt_fd, ventilator::Input* source, std::optional<ventilator::DoneJobs> done);
  void on_signal(int signal, ProgressLine& progress);
  void pause();
  template <typename Role, typename Value>
  void start_thread(std::thread& thread, Role& role, std::optional<base::Result<Value>>& result);

  io::Context context_;
  io::Event finished_, drain_, finish_, quit_, reader_left_;  // finish: what runs may end by itself
  base::Counts counts_;
  const cli::Log log_{"pushmill"};
  const worker::HandlerRegistry handlers_ = worker::built_in_handlers();
  std::optional<sink::Shell> sink_;
  std::optional<ventilator::Shell> ventilator_;
  std::optional<worker::Shell> worker_;
  std::optional<int> ended_;

  std::thread sink_thread_, ventilator_thread_, worker_thread_;
  std::atomic<int> left_{0};
  std::atomic<bool> has_worker_left_{false}, has_failed_{false};
  std::optional<base::Result<std::optional<int>>> sink_result_, ventilator_result_;
  std::optional<base::Result<worker::Exit::Why>> worker_result_;
  int signal_ = 0;
  bool is_draining_ = false;
};

base::Result<std::unique_ptr<Roles>> Roles::open(const Plan& plan, const worker::CallerSignals& caller, int interrupt_fd, ventilator::Input* source, std::optional<ventilator::DoneJobs> done) {
  auto context = io::Context::create(0, 1023);
  if (!context) return context.error();
  auto finished = io::Event::create(), drain = io::Event::create(), finish = io::Event::create(), quit = io::Event::create(), reader_left = io::Event::create();
  for (auto* event : {&finished, &drain, &finish, &quit, &reader_left}) {
    if (!*event) return event->error();
  }
  std::unique_ptr<Roles> roles(new Roles(std::move(*context), std::move(*finished), std::move(*drain), std::move(*finish), std::move(*quit), std::move(*reader_left)));
  if (auto opened = roles->open_roles(plan, caller, interrupt_fd, source, std::move(done)); !opened) return opened.error();
  return roles;
}

base::Status Roles::open_roles(const Plan& plan, const worker::CallerSignals& caller, int interrupt_fd, ventilator::Input* source, std::optional<ventilator::DoneJobs> done) {
  const auto how = plan.options.output.presentation();
  ventilator::ShellConfig ventilator;
  ventilator.sink_endpoint = kSinkEndpoint;
  ventilator.listen = kFeedbackEndpoint;
  ventilator.run_directory = plan.directory;
  ventilator.take_over = plan.options.take_over;
  ventilator.origin = plan.origin.encode();
  ventilator.durability = plan.options.durability;
  ventilator.is_live = how.live != sink::Presentation::Live::No;
  ventilator.policy = plan.options.policy.policy;
  ventilator.retry_delay = plan.options.policy.delay();
  ventilator.spool_bytes = plan.options.pipe.is_on() ? ventilator::blocks_ahead(plan.options.pipe, plan.options.spool_bytes, plan.options.slots()) : plan.options.spool_bytes;
  ventilator.is_embedded = true;
  ventilator.stop_fd = quit_.fd();
  ventilator.drain_fd = drain_.fd();
  ventilator.finish_fd = finish_.fd();
  ventilator_.emplace(context_, ventilator, template_of(plan), source == nullptr ? std::nullopt : std::optional(std::move(*source)), std::move(done), log_, counts_);
  auto ended = ventilator_->open(interrupt_fd);
  if (!ended) return ended.error();
  ended_ = *ended;

  sink::ShellConfig sink;
  sink.listen = {kSinkEndpoint};
  sink.is_embedded = true;
  sink.run_directory = plan.directory;
  sink.take_over = plan.options.take_over;
  sink.durability = plan.options.durability;
  sink.joblog = plan.options.joblog;
  sink.how = how;
  sink.table = plan.options.output.table();
  sink.folder = plan.options.output.folder;
  sink.keep = plan.options.keep_output;
  sink.order = plan.options.keep_order ? sink::Order::Job : sink::Order::Completion;
  sink.stop_fd = quit_.fd();
  sink.reader_left = &reader_left_;
  if (ended_) return base::ok();
  sink_.emplace(context_, sink, log_, counts_);
  ended = sink_->open();
  if (!ended) return ended.error();

  worker::ShellConfig worker;
  worker.sink_endpoint = kSinkEndpoint;
  const worker::StartOptions& starts = plan.options.starts;
  worker.slots = plan.options.slots();
  worker.slots_file = starts.jobs_file();
  worker.load_file = starts.load_file();
  worker.starts = starts.rules;
  worker.halt = plan.options.policy.policy.halt;
  worker.limit_percent = plan.options.commands.timeout_percent;
  worker.keeper.keeper = cli::find_program("keeper");
  worker.keeper.caller = caller;
  worker.stop_fd = drain_.fd();
  worker.quit_fd = quit_.fd();
  worker.head_timeout = worker.hold_timeout = base::Duration::max();  // the head is in this process: when it is silent, it waits for room on the disk
  if (worker.keeper.keeper.empty()) return base::Error{base::Error::Kind::Protocol, "the keeper program is missing: it belongs beside this one"};
  worker_.emplace(context_, worker, handlers_, log_);
  return base::ok();
}

template <typename Role, typename Value>
void Roles::start_thread(std::thread& thread, Role& role, std::optional<base::Result<Value>>& result) {
  thread = std::thread([this, &role, &result] {
    result.emplace(role.run());
    if (!*result) has_failed_ = true;
    if constexpr (std::is_same_v<Role, worker::Shell>) {
      if (*result && **result == worker::Exit::Why::SlotLost) has_failed_ = true;
      has_worker_left_ = true;
    }
    ++left_;
    finished_.set();
  });
}

void Roles::start() {
  start_thread(sink_thread_, *sink_, sink_result_);
  start_thread(ventilator_thread_, *ventilator_, ventilator_result_);
  start_thread(worker_thread_, *worker_, worker_result_);
}

void Roles::wait(io::Signals& signals, const ProgressOptions& options) {
  ProgressLine progress(counts_, options, io::now());
  while (left_ < 3) {
    pollfd fds[3] = {{signals.fd(), POLLIN, 0}, {finished_.fd(), POLLIN, 0}, {reader_left_.fd(), POLLIN, 0}};
    ::poll(fds, 3, progress.is_shown() ? 500 : -1);
    progress.draw(io::now());
    if ((fds[1].revents & POLLIN) != 0) finished_.clear();
    if (const auto signal = signals.next()) {
      on_signal(*signal, progress);
    }
    if ((fds[2].revents & POLLIN) != 0) {
      reader_left_.clear();
      signal_ = SIGPIPE;
      quit_.set();
    }
    // Behind a role that failed nobody confirms any more, and a run that was over before the worker had joined it tells the worker nothing.
    const bool is_worker_alone = left_ == 2 && !has_worker_left_;  // in this order: a worker says the latter before it counts
    if (has_failed_ || is_worker_alone || (has_worker_left_ && signal_ != 0)) quit_.set();
  }
  progress.clear();
}

// SIGHUP lets what runs end; the next signal ends it, and one more waits for nothing.
void Roles::on_signal(int signal, ProgressLine& progress) {
  if (signal == SIGUSR2) return progress.toggle();
  if (signal == SIGTSTP) return pause();
  if (signal == SIGHUP && signal_ == 0) {
    signal_ = signal;
    return finish_.set();
  }
  if (signal_ != 0 && is_draining_) quit_.set();
  signal_ = signal;
  is_draining_ = true;
  drain_.set();
}

// Jobs are in groups of their own, which the terminal does not reach: they stop before we do, and go on behind us.
void Roles::pause() {
  const worker::Paused jobs = worker::pause_commands();
  ::raise(SIGSTOP);
  worker::continue_commands(jobs);
}

void Roles::join() {
  for (std::thread* thread : {&sink_thread_, &ventilator_thread_, &worker_thread_}) {
    if (thread->joinable()) thread->join();
  }
}

base::Result<int> Roles::status() const {
  if (sink_result_ && !*sink_result_) return sink_result_->error();
  if (ventilator_result_ && !*ventilator_result_) return ventilator_result_->error();
  if (worker_result_ && !*worker_result_) return worker_result_->error();
  if (is_complete()) return ***ventilator_result_;
  if (is_halted()) return *ventilator_->halted();
  if (signal_ != 0) return cli::exit_status_of_signal(signal_);
  return base::Error{base::Error::Kind::Protocol, "the run stopped before its end"};
}

void remove_if_unnamed(const Plan& plan) {
  if (!plan.is_unnamed || plan.options.keep_run) return;
  if (auto removed = io::remove_run_directory(plan.directory); !removed) std::fprintf(stderr, "pushmill: %s\n", removed.error().message.c_str());
}

// One line when there is something to say, and what becomes of the run directory.
void conclude(const Plan& plan, int status, bool is_complete, const base::Counts& counts) {
  if (status == cli::kExitOk && is_complete) return remove_if_unnamed(plan);
  const auto number = [](const std::atomic<std::uint64_t>& n) { return static_cast<unsigned long long>(n.load()); };
  if (is_complete) {
    std::fprintf(stderr, "pushmill: %llu of %llu jobs failed%s; the run is in %s\n", number(counts.failed), number(counts.accepted),
                 status == cli::kExitInputCut ? " and the input was cut" : "", plan.directory.c_str());
  } else {
    std::fprintf(stderr, "pushmill: stopped with %llu of %llu%s jobs finished; continue with: pushmill resume %s\n", number(counts.finished),
                 number(counts.accepted), counts.is_input_ended ? "" : "+", base::shell_quote(plan.directory).c_str());
  }
}

// What --skip-done leaves out.
base::Result<std::optional<ventilator::DoneJobs>> done_before(const Plan& plan, bool has_source) {
  if (!plan.options.skip_done || !has_source) return std::optional<ventilator::DoneJobs>();
  if (!plan.is_resumed) return go_on(plan.directory, template_of(plan).text(), plan.origin.encode(), plan.options.take_over);
  auto done = done_so_far(plan.directory);
  if (!done) return done.error();
  return std::optional(std::move(*done));
}

base::Result<int> carry_out(const Plan& plan) {
  const auto caller = worker::CallerSignals::of_this_process();
  auto signals = io::Signals::block({SIGUSR2, SIGTSTP});
  if (!signals) return signals.error();
  auto source = open_source(plan);
  if (!source) return source.error();
  auto done = done_before(plan, source->has_value());
  if (!done) return done.error();
  auto roles = Roles::open(plan, caller, signals->fd(), *source ? &**source : nullptr, std::move(*done));
  if (!roles) return roles.error();
  if (const auto ended = (*roles)->ended()) {
    if (*ended != cli::kExitOk) std::fprintf(stderr, "pushmill: this run has ended already, with status %d; its log is in %s\n", *ended, plan.directory.c_str());
    else remove_if_unnamed(plan);
    return *ended;
  }
  (*roles)->start();
  (*roles)->wait(*signals, plan.options.progress);
  (*roles)->join();
  const auto status = (*roles)->status();
  if ((*roles)->has_reader_left()) remove_if_unnamed(plan);  // as a pipeline ends: without a word
  else conclude(plan, status ? *status : cli::exit_status(status.error().kind), (*roles)->is_complete(), (*roles)->counts());
  return status;
}

// Which jobs a run leaves out is settled when it begins: not by what it adds to the joblog itself.
void keep_joblog_bytes(Plan& plan) {
  constexpr std::string_view kOption = "--joblog-bytes=";
  std::vector<std::string>& words = plan.origin.arguments;
  if (words.empty() || !words.front().starts_with(kOption)) words.insert(words.begin(), std::string(kOption) + std::to_string(ventilator::size_of_joblog(plan.options.joblog)));
  plan.options.input.joblog_bytes = std::strtoull(words.front().c_str() + kOption.size(), nullptr, 10);
}

std::string working_directory() {
  char path[PATH_MAX];
  return ::getcwd(path, sizeof path) != nullptr ? path : "";
}

}  // namespace

base::Result<int> run(const RunOptions& options, const std::vector<std::string>& words) {
  auto shell = cli::calling_shell();
  if (!shell) return shell.error();
  if (options.input.dry_run) return dry_run(options, *shell);
  Plan plan{options, {std::move(*shell), working_directory(), words}, "", options.run_directory.empty(), false};
  if (options.run_directory.empty()) {
    const auto parent = io::default_run_parent();
    if (!parent) return parent.error();
    const auto directory = io::create_run_directory(*parent);
    if (!directory) return directory.error();
    plan.directory = directory->path;
  } else {
    const auto directory = io::open_run_directory(options.run_directory);
    if (!directory) return directory.error();
    plan.directory = directory->path;
    if (auto is_free = io::Lock::check(plan.directory, io::Lock::kVentilator, options.take_over); !is_free) return is_free.error();
    auto origin = ventilator::origin_of(plan.directory);
    if (!origin) return origin.error();
    if (*origin && (*origin)->directory.empty()) {
      return base::Error{base::Error::Kind::Conflict, plan.directory + ": this run was not begun by pushmill run: start its ventilator and sink again"};
    }
    if (*origin && (*origin)->directory != plan.origin.directory) {
      return base::Error{base::Error::Kind::Conflict, "this run was begun in " + (*origin)->directory + ", where its commands belong: go there, or use pushmill resume"};
    }
    if (*origin) plan.origin = **origin;
    if (options.skip_done) plan.origin.arguments = words;
  }
  if (options.input.reads_joblog()) keep_joblog_bytes(plan);
  auto status = carry_out(plan);
  if (!status && plan.is_unnamed) {  // one that never began leaves nothing to keep
    const auto summary = ventilator::Spool::peek(plan.directory);
    if (!summary || summary->accepted == 0) (void)io::remove_run_directory(plan.directory);
  }
  return status;
}

base::Result<bool> was_begun_by_run(const std::string& directory) {
  const auto origin = ventilator::origin_of(directory);
  if (!origin) return origin.error();
  RunOptions options;
  return *origin && !parse_run((*origin)->arguments, options);
}

base::Result<int> resume(const ResumeOptions& options) {
  const auto directory = io::find_run_directory(options.run_directory);
  if (!directory) return directory.error();
  if (auto is_free = io::Lock::check(directory->path, io::Lock::kVentilator, options.take_over); !is_free) return is_free.error();
  auto origin = ventilator::origin_of(directory->path);
  if (!origin) return origin.error();
  if (!*origin) return base::Error{base::Error::Kind::NotFound, directory->path + ": no run has begun here"};
  Plan plan{{}, **origin, directory->path, false, true};
  if (auto wrong = parse_run(plan.origin.arguments, plan.options)) {
    return base::Error{base::Error::Kind::Usage, directory->path + " was not begun by pushmill run: start its ventilator and sink again"};
  }
  plan.is_unnamed = plan.options.run_directory.empty();
  plan.options.take_over = options.take_over;  // not that of an earlier time
  // Relative names and the commands mean what they meant where the run was begun.
  if (::chdir(plan.origin.directory.c_str()) != 0) {
    return base::Error{base::Error::Kind::NotFound, "cannot enter " + plan.origin.directory + ", where the run was begun"};
  }
  return carry_out(plan);
}

}  // namespace pushmill
