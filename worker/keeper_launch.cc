#include "worker/keeper_launch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

extern char** environ;

namespace worker {
namespace {

constexpr std::array<std::string_view, 10> kOwnNames = {kMarkVariable,       "PUSHMILL_JOB", "PUSHMILL_ATTEMPT", "PUSHMILL_SLOT",     "PARALLEL_SEQ",
                                                        "PARALLEL_JOBSLOT", "PARALLEL_PID", "PARALLEL_SHELL",   "PARALLEL_SSHLOGIN", "PARALLEL_SSHHOST"};
constexpr std::string_view kSequence = "PARALLEL_SEQ";  // the worker gives it where a user counts otherwise than the run
constexpr const char* kDefaultPath = "/bin:/usr/bin";  // execvp's, for a command without PATH

std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }
bool is_own(std::string_view entry) { return std::find(kOwnNames.begin(), kOwnNames.end(), name_of(entry)) != kOwnNames.end(); }

const char* value_of(const std::vector<const char*>& environment, std::string_view name) {
  for (const char* entry : environment)
    if (name_of(entry) == name && entry[name.size()] == '=') return entry + name.size() + 1;
  return nullptr;
}

bool has_a_name_twice(const std::vector<const char*>& environment) {
  std::vector<std::string_view> names;
  for (const char* entry : environment) names.push_back(name_of(entry));
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

bool is_passing(int error) { return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ETXTBSY; }

// A file with `bytes`, to be read from its start; -1 with errno.
int stdin_file(const std::string& bytes) {
  const int fd = memfd_create("stdin", MFD_CLOEXEC);
  if (fd < 0) return -1;
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (n < 0) {
      if (errno == EINTR) continue;
      close(fd);
      return -1;
    }
    at += static_cast<std::size_t>(n);
  }
  return fd;
}

// An end of a pipe of the worker, as a command expects it: blocking. Opening it never waits, whatever has become of the other end.
int open_pipe(const std::string& path, int direction) {
  const int fd = open(path.c_str(), direction | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) fcntl(fd, F_SETFL, direction);
  return fd;
}

// As execvp looks for it: the first that can be executed; else one that exists, so that the error says more than "not found".
std::string search_path(const std::string& name, const char* path, const std::string& directory) {
  if (name.empty() || name.find('/') != std::string::npos) return name;
  std::string found;
  std::string_view rest(path == nullptr ? kDefaultPath : path);
  for (bool is_last = false; !is_last;) {
    const std::size_t end = rest.find(':');
    is_last = end == std::string_view::npos;
    std::string candidate(rest.substr(0, end));
    if (candidate.empty()) candidate = ".";
    candidate += "/" + name;
    if (is_executable(candidate, directory)) return candidate;
    struct stat info;
    if (found.empty() && stat(seen_from(directory, candidate).c_str(), &info) == 0) found = candidate;
    if (!is_last) rest.remove_prefix(end + 1);
  }
  return found;
}

CannotLaunch explain(const SpawnOutcome& outcome, const KeeperStart& start, const std::string& program) {
  const std::string why = std::strerror(outcome.error);
  if (outcome.failed == SpawnOutcome::Failed::Directory) return {kCannotExecute, "cannot enter directory " + start.command.directory + ": " + why};
  if (outcome.failed == SpawnOutcome::Failed::Fork) return {kCannotExecute, "cannot start a process: " + why};
  struct stat info;
  switch (outcome.error) {
    case ENOENT:
      if (program.find('/') != std::string::npos && stat(seen_from(start.command.directory, program).c_str(), &info) == 0)
        return {kCannotExecute, program + ": its interpreter is missing"};
      return {kNotFound, program + (program.find('/') == std::string::npos ? ": command not found" : ": no such file")};
    case EACCES:
      if (stat(seen_from(start.command.directory, program).c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {kCannotExecute, program + ": is a directory"};
      return {kCannotExecute, program + ": permission denied"};
    case E2BIG: return {kCannotExecute, program + ": the command line and environment are too long for this system"};
    default: return {kCannotExecute, program + ": " + why};
  }
}

}  // namespace

// Stays where it is made: `entries` point into `own`.
struct Launcher::Environment {
  Environment(const Launcher& launcher, const KeeperStart& start, Mark mark);
  Environment(const Environment&) = delete;
  std::vector<std::string> own;
  std::vector<const char*> entries;  // no name twice but for what was inherited so
};

struct Launcher::Streams {
  int in = -1, out[2] = {-1, -1}, err[2] = {-1, -1};
  bool owns_in = false;
  std::unique_ptr<Feed> feed;
  ~Streams() {
    if (owns_in && in >= 0) close(in);
    for (int fd : {out[0], out[1], err[0], err[1]})
      if (fd >= 0) close(fd);
  }
  bool open(const KeeperStart& start, int null) {
    if (start.streams.is_given()) return open_given(start.streams);
    if (in < 0) {
      const std::string& bytes = start.command.stdin_bytes;
      owns_in = !bytes.empty();
      in = owns_in ? stdin_file(bytes) : null;
    }
    return in >= 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
  }
  // Before open(). Takes the file.
  bool open_input(int file, const base::Command& command) {
    owns_in = true;
    if (command.stdin_bytes.empty() && is_whole_file(file, command.input)) return in = file, true;
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC) != 0) return close(file), false;
    fcntl(pipe[1], F_SETFL, O_NONBLOCK);
    in = pipe[0];
    feed = std::make_unique<Feed>(pipe[1], file, command.stdin_bytes, command.input);
    return true;
  }
  bool open_given(const StreamPaths& paths) {
    owns_in = true;
    in = open_pipe(paths.in, O_RDONLY);
    out[1] = open_pipe(paths.out, O_WRONLY);
    err[1] = open_pipe(paths.err, O_WRONLY);
    return in >= 0 && out[1] >= 0 && err[1] >= 0;
  }
};

Launcher::Launcher(const KeeperHello& hello)
    : hello_(hello),
      caller_mask_(signal_set(hello.caller_mask)),
      ignores_child_signal_((hello.caller_ignored >> (SIGCHLD - 1) & 1) != 0),
      null_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!is_own(*entry)) inherited_.push_back(*entry);
    else if (name_of(*entry) == kMarkVariable) outer_marks_ = std::string(*entry).substr(kMarkVariable.size() + 1) + " ";
  may_go_direct_ = hello.caller_mask == 0 && !ignores_child_signal_ && !has_a_name_twice(inherited_);
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    if (signal != SIGCHLD && (hello.caller_ignored >> (signal - 1) & 1) != 0) std::signal(signal, SIG_IGN);
  getrlimit(RLIMIT_LOCKS, &locks_);
  getrlimit(RLIMIT_NOFILE, &open_files_);
  const rlimit raised{open_files_.rlim_max, open_files_.rlim_max};
  setrlimit(RLIMIT_NOFILE, &raised);
}

Launcher::Environment::Environment(const Launcher& launcher, const KeeperStart& start, Mark mark) {
  const base::Attempt& attempt = start.attempt;
  const std::string job = std::to_string(attempt.job), slot = std::to_string(start.slot);
  own = {std::string(kMarkVariable) + "=" + launcher.outer_marks_ + text_of(mark),
         "PUSHMILL_SLOT=" + slot,
         "PARALLEL_JOBSLOT=" + slot,
         "PARALLEL_PID=" + std::to_string(launcher.hello_.worker_pid),
         "PARALLEL_SSHLOGIN=:",  // as GNU parallel calls the machine that it runs on
         "PARALLEL_SSHHOST=:",
         "PARALLEL_SHELL=" + (start.command.shell.empty() ? "/bin/sh" : start.command.shell)};
  if (!start.streams.is_given()) {  // else it is there for many jobs
    own.push_back("PUSHMILL_JOB=" + job);
    own.push_back("PUSHMILL_ATTEMPT=" + std::to_string(attempt.epoch) + "." + std::to_string(attempt.n));
  }
  const std::vector<std::string>& given = start.command.environment;
  const auto number = std::find_if(given.begin(), given.end(), [](const std::string& entry) { return name_of(entry) == kSequence; });
  if (!start.streams.is_given()) own.push_back(std::string(kSequence) + "=" + (number == given.end() ? job : number->substr(kSequence.size() + 1)));
  const auto is_given = [&given](std::string_view entry, std::size_t from) {
    return std::any_of(given.begin() + static_cast<std::ptrdiff_t>(from), given.end(), [&](const std::string& g) { return name_of(g) == name_of(entry); });
  };
  entries.reserve(own.size() + given.size() + launcher.inherited_.size() + 1);
  for (const std::string& entry : own) entries.push_back(entry.c_str());
  for (std::size_t i = 0; i < given.size(); ++i)
    if (!is_own(given[i]) && !is_given(given[i], i + 1)) entries.push_back(given[i].c_str());
  for (const char* entry : launcher.inherited_)
    if (!is_given(entry, 0)) entries.push_back(entry);
}

SpawnOutcome Launcher::spawn_words(SpawnPlan& plan, const std::string& path, const std::vector<std::string>& words,
                                   const std::vector<const char*>& environment) {
  std::vector<char*> argv, entries;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  entries.reserve(environment.size() + 1);
  for (const char* entry : environment) entries.push_back(const_cast<char*>(entry));
  entries.push_back(nullptr);
  plan.path = path.c_str();
  plan.argv = argv.data();
  plan.environment = entries.data();
  return spawn(plan);
}

SpawnOutcome Launcher::spawn_argv(SpawnPlan& plan, const std::vector<std::string>& argv, const Environment& environment, const std::string& directory) {
  const std::string path = search_path(argv[0], value_of(environment.entries, "PATH"), directory);
  if (path.empty()) {
    *plan.group = 0;
    return {SpawnOutcome::Failed::Exec, ENOENT, 0};
  }
  SpawnOutcome outcome = spawn_words(plan, path, argv, environment.entries);
  if (outcome.failed != SpawnOutcome::Failed::Exec || outcome.error != ENOEXEC) return outcome;
  std::vector<std::string> script{"/bin/sh", path};  // as execvp does with a script that has no #!
  script.insert(script.end(), argv.begin() + 1, argv.end());
  return spawn_words(plan, script[0], script, environment.entries);
}

SpawnOutcome Launcher::spawn_line(SpawnPlan& plan, const KeeperStart& start, const Environment& environment) {
  const base::Command& command = start.command;
  const std::string shell = command.shell.empty() ? "/bin/sh" : command.shell;
  if (may_go_direct_) {
    if (const auto direct = direct_plan(command.line, shell, environment.entries, command.directory)) {
      const SpawnOutcome outcome = spawn_words(plan, direct->path, direct->argv, direct->environment);
      if (outcome.failed != SpawnOutcome::Failed::Exec) return outcome;
    }
  }
  return spawn_words(plan, shell, {shell, "-c", command.line}, environment.entries);
}

Launch Launcher::launch(const KeeperStart& start, SharedSeats& seats) {
  Streams streams;
  bool has_input = true;
  if (!start.streams.is_given() && !start.command.input.path.empty()) {
    std::string why_not;
    const int file = open_input(start.command.input, why_not);
    if (file < 0) return CannotLaunch{kCannotExecute, why_not};
    has_input = streams.open_input(file, start.command);
  }
  if (!has_input || !streams.open(start, null_)) {
    const std::string reason = std::string("cannot make the command's streams: ") + std::strerror(errno);
    if (is_passing(errno)) return LaunchLater{reason};
    return CannotLaunch{kCannotExecute, reason};
  }
  const Mark mark = seats.mark(start.seat);
  SpawnPlan plan;
  plan.in = streams.in;
  plan.out = streams.out[1];
  plan.err = streams.err[1];
  plan.directory = start.command.directory.empty() ? nullptr : start.command.directory.c_str();
  plan.nice = start.command.nice;
  plan.mask = caller_mask_;
  plan.ignores_child_signal = ignores_child_signal_;
  plan.open_files = open_files_;
  plan.locks = {mark, locks_.rlim_max};
  plan.group = &seats.at(start.seat).group;
  const Environment environment(*this, start, mark);
  const base::Command& command = start.command;
  const SpawnOutcome outcome =
      command.argv.empty() ? spawn_line(plan, start, environment) : spawn_argv(plan, command.argv, environment, command.directory);
  if (outcome.failed != SpawnOutcome::Failed::Nothing) {
    const std::string program = !command.argv.empty() ? command.argv[0] : command.shell.empty() ? "/bin/sh" : command.shell;
    CannotLaunch why = explain(outcome, start, program);
    if (is_passing(outcome.error)) return LaunchLater{std::move(why.reason)};
    return why;
  }
  Launched launched{outcome.pid, streams.out[0], streams.err[0], std::move(streams.feed)};
  streams.out[0] = streams.err[0] = -1;
  return launched;
}

}  // namespace worker
