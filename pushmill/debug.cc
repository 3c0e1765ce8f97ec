// `pushmill debug`: becomes the job.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "io/unique_fd.h"
#include "pushmill/answers.h"
#include "pushmill/run_reader.h"
#include "ventilator/origin.h"
#include "wire/codec.h"
#include "worker/framing.h"
#include "worker/keeper_launch.h"

namespace pushmill {

using base::Error;

namespace {

// A part of a file, or a file behind other bytes, is read into memory: it is one job's.
base::Status add_input(const base::InputFile& input, std::string& bytes) {
  if (input.path.empty()) return base::ok();
  const io::UniqueFd file(::open(input.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Error{Error::Kind::NotFound, "the job's input " + input.path + " is gone: that of a job that has succeeded is not kept"};
  const std::size_t before = bytes.size();
  bytes.resize(before + input.length);
  for (std::size_t done = 0; done < input.length;) {
    const ssize_t n = ::pread(file.get(), bytes.data() + before + done, input.length - done, static_cast<off_t>(input.offset + done));
    if (n == 0) return Error{Error::Kind::Io, "the job's input " + input.path + " has become shorter"};
    if (n < 0) return Error{Error::Kind::Io, "cannot read the job's input " + input.path + ": " + std::strerror(errno)};
    done += static_cast<std::size_t>(n);
  }
  return base::ok();
}

base::Status give_stdin(const std::string& bytes) {
  const int fd = bytes.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC) : ::memfd_create("stdin", MFD_CLOEXEC);
  bool is_given = fd >= 0;
  for (std::size_t at = 0; is_given && at < bytes.size();) {
    const ssize_t n = ::pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    is_given = n > 0;
    if (is_given) at += static_cast<std::size_t>(n);
  }
  if (is_given && ::dup2(fd, STDIN_FILENO) >= 0) return base::ok();
  return Error{Error::Kind::Io, std::string("cannot make the job's input: ") + std::strerror(errno)};
}

// As the keeper does, but for what belongs to an attempt: there is none.
void give_environment(const base::Command& command, base::JobId job) {
  const std::string number = std::to_string(job);
  for (const std::string& entry : command.environment) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) ::setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
  }
  for (const char* name : {"PUSHMILL_JOB", "PARALLEL_SEQ"}) ::setenv(name, number.c_str(), 1);
  for (const char* name : {"PUSHMILL_SLOT", "PARALLEL_JOBSLOT"}) ::setenv(name, "1", 1);
  for (const char* name : {"PARALLEL_SSHLOGIN", "PARALLEL_SSHHOST"}) ::setenv(name, ":", 1);
  ::setenv("PARALLEL_PID", std::to_string(::getpid()).c_str(), 1);
}

base::Result<int> become(const base::Command& command, const std::string& input, const std::string& directory, base::JobId job) {
  if (!directory.empty() && ::chdir(directory.c_str()) != 0)
    return Error{Error::Kind::NotFound, "cannot enter " + directory + ", where the job runs: " + std::strerror(errno)};
  if (auto given = give_stdin(input); !given) return given.error();
  give_environment(command, job);
  const std::string shell = command.shell.empty() ? "/bin/sh" : command.shell;
  std::vector<std::string> words = command.argv;
  if (words.empty()) words = {shell, "-c", command.line};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  std::fprintf(stderr, "pushmill debug: %s: %s\n", words[0].c_str(), std::strerror(errno));
  return errno == ENOENT ? worker::kNotFound : worker::kCannotExecute;
}

}  // namespace

base::Result<int> debug(const JobOptions& options) {
  base::JobSpec spec;
  std::string origin;
  {  // nothing of the run is open when the job begins
    const auto run = RunReader::open(options.directory);
    if (!run) return run.error();
    auto read = run->spec(options.job);
    if (!read) return read.error();
    spec = std::move(*read);
    if (run->summary()) origin = ventilator::Origin::decode(run->summary()->origin).directory;
  }
  if (const auto* call = std::get_if<base::Call>(&spec.work)) {
    return Error{Error::Kind::Usage, "job " + std::to_string(options.job) + " is a call, " + shown(wire::describe(*call)) +
                                         ": it runs only inside a worker that has its handler, so start that worker under a debugger"};
  }
  const auto* record = std::get_if<base::Record>(&spec.work);
  const base::Command& command = record != nullptr ? record->program : std::get<base::Command>(spec.work);
  std::string input = command.stdin_bytes;
  if (auto added = add_input(command.input, input); !added) return added.error();
  if (record != nullptr) {
    input.clear();
    if (const auto why_not = worker::write_record(record->framing, options.job, record->input, input)) return Error{Error::Kind::Usage, *why_not};
    std::fprintf(stderr, "pushmill debug: the coprocess gets this one record, and then the end of its input\n");
  }
  return become(command, input, command.directory.empty() ? origin : command.directory, options.job);
}

}  // namespace pushmill
