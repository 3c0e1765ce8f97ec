// Commands through a real keeper: how they are started, what they are given and what is told of them.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "tests/worker/keeper_harness.h"

using namespace worker_test;

TEST_CASE("an exit code of zero is ok and any other failed") {
  Harness harness;
  const wire::Result good = harness.run(line("exit 0"));
  CHECK(good.outcome == Outcome::Ok);
  CHECK(good.exit_code == 0);
  CHECK(good.signal == 0);
  CHECK(good.reason.empty());
  const wire::Result bad = harness.run(line("exit 7"));
  CHECK(bad.outcome == Outcome::Failed);
  CHECK(bad.exit_code == 7);
}

TEST_CASE("a command that dies of a signal has failed with that signal") {
  Harness harness;
  const wire::Result result = harness.run(line("kill -9 $$"));
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.signal == SIGKILL);
  CHECK(result.exit_code == 0);
}

TEST_CASE("both outputs come back byte for byte") {
  Harness harness;
  const wire::Result result = harness.run(line(R"(printf 'a\000\377b\n'; printf 'e\000r' >&2)"));
  CHECK(result.out == std::string("a\0\377b\n", 5));
  CHECK(result.err == std::string("e\0r", 3));
  CHECK(result.out_bytes == 5);
  CHECK(result.err_bytes == 3);
}

TEST_CASE("an output up to the limit is in the result, a larger one comes part by part ahead of it") {
  Harness harness;
  const wire::Result at_limit = harness.run(line("head -c 65536 /dev/zero; head -c 65536 /dev/zero >&2"));
  CHECK(at_limit.outcome == Outcome::Ok);
  CHECK(at_limit.out.size() == 65536);
  CHECK(at_limit.err.size() == 65536);
  CHECK(harness.streamed_out.empty());
  const wire::Result over = harness.run(line("echo small >&2; head -c 65537 /dev/zero"));
  CHECK(over.outcome == Outcome::Ok);
  CHECK(over.out.empty());
  CHECK(over.out_bytes == 65537);
  CHECK((harness.streamed_out[over.attempt] == std::string(65537, '\0')));
  CHECK(over.err == "small\n");
  const wire::Result over_err = harness.run(line("head -c 65537 /dev/zero >&2; exit 3"));
  CHECK(over_err.exit_code == 3);
  CHECK(over_err.err_bytes == 65537);
  CHECK(harness.streamed_err[over_err.attempt].size() == 65537);
}

TEST_CASE("live outputs are given as they come, however small, and the result says only how long they are") {
  Harness harness;
  const TemporaryDirectory directory;
  base::Command command = line("printf a; printf e >&2; while [ ! -e " + (directory / "go") + " ]; do sleep 0.01; done; printf bc");
  command.live = true;
  const base::Attempt attempt = harness.start(command);
  std::vector<worker::OutputRead> outputs;
  std::vector<wire::Result> results;
  REQUIRE(wait_until([&] {
    harness.runner.collect(outputs, results);
    return outputs.size() == 2;
  }));
  CHECK(outputs[0].bytes + outputs[1].bytes == "ae");
  CHECK(results.empty());
  std::ofstream(directory / "go").put('x');
  const wire::Result result = harness.result_of(attempt);
  CHECK(harness.streamed_out[attempt] == "bc");
  CHECK(result.out.empty());
  CHECK(result.err.empty());
  CHECK(result.out_bytes == 3);
  CHECK(result.err_bytes == 1);
}

TEST_CASE("both outputs of a job may be large at once, and each arrives as it was written") {
  Harness harness;
  const wire::Result result = harness.run(line("seq 1 400000 & seq 400001 900000 >&2; wait"));
  CHECK(result.outcome == Outcome::Ok);
  const auto numbers = [](int from, int to) {
    std::string text;
    for (int i = from; i <= to; ++i) text += std::to_string(i) + "\n";
    return text;
  };
  CHECK((harness.streamed_out[result.attempt] == numbers(1, 400000)));
  CHECK((harness.streamed_err[result.attempt] == numbers(400001, 900000)));
}

TEST_CASE("an output that nobody grants more of is read up to its window, and its command waits") {
  auto config = test_config();
  config.output_window = 100'000;
  Harness harness(config);
  harness.grants = false;
  TemporaryDirectory directory;
  const base::Attempt attempt = harness.start(line("head -c 1000000 /dev/zero; echo > " + directory / "written"));
  CHECK(wait_until([&] {
    std::vector<worker::OutputRead> outputs;
    std::vector<wire::Result> results;
    harness.runner.collect(outputs, results);
    for (const auto& output : outputs) harness.streamed_out[attempt] += output.bytes;
    return harness.streamed_out[attempt].size() >= 100'000;
  }));
  poll(nullptr, 0, 50);
  CHECK(harness.streamed_out[attempt].size() == 100'000);
  CHECK_FALSE(std::filesystem::exists(directory / "written"));
  harness.grants = true;
  harness.runner.grant(attempt, wire::OutputStream::Out, 200'000);
  const wire::Result result = harness.result_of(attempt);
  CHECK(result.out_bytes == 1'000'000);
  CHECK(harness.streamed_out[attempt].size() == 1'000'000);
}

TEST_CASE("a command that is killed while its output waits for a grant has given what its pipe held") {
  auto config = test_config();
  config.output_window = 100'000;
  Harness harness(config);
  harness.grants = false;
  const wire::Result result = harness.run(line("exec yes"), 300ms);
  CHECK(result.outcome == Outcome::Timeout);
  CHECK(result.out_bytes > 100'000);
  CHECK(harness.streamed_out[result.attempt].size() == result.out_bytes);
}

TEST_CASE("standard input is empty, or the bytes given") {
  Harness harness;
  CHECK(harness.run(line("readlink /proc/self/fd/0")).out == "/dev/null\n");
  CHECK(harness.run(words({"cat"})).out.empty());
  base::Command command = words({"cat"});
  command.stdin_bytes = std::string("one\0two\n", 8);
  CHECK(harness.run(command).out == command.stdin_bytes);
  command = words({"wc", "-c"});
  command.stdin_bytes.assign(8u << 20, 'x');
  CHECK(harness.run(command).out == "8388608\n");
}

TEST_CASE("standard input is a file, or the part of one behind the bytes given") {
  Harness harness;
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/input";
  std::string bytes(3u << 20, 'x');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>('a' + i % 23);
  std::ofstream(path) << bytes;
  base::Command command = line("readlink /proc/self/fd/0; wc -c");
  command.input = {path, 0, bytes.size()};
  CHECK(harness.run(command).out == path + "\n3145728\n");
  command = words({"cksum"});
  command.input = {path, 5, (2u << 20) + 1};
  command.stdin_bytes = "head\n";
  base::Command same = words({"cksum"});
  same.stdin_bytes = "head\n" + bytes.substr(5, (2u << 20) + 1);
  CHECK(harness.run(command).out == harness.run(same).out);
  command = words({"head", "-c", "3"});  // the rest is nobody's
  command.input = {path, 1, 2u << 20};
  CHECK(harness.run(command).out == "bcd");
}

TEST_CASE("a command whose input is missing or too short fails and says so") {
  Harness harness;
  const TemporaryDirectory directory;
  base::Command command = words({"cat"});
  command.input = {directory.path() + "/input", 0, 4};
  const auto missing = harness.run(command);
  CHECK(missing.outcome == Outcome::Failed);
  CHECK_THAT(missing.reason, Catch::Contains("cannot be read: No such file"));
  std::ofstream(command.input.path) << "abc";
  CHECK_THAT(harness.run(command).reason, Catch::Contains("has become shorter"));
}

TEST_CASE("a command runs in the directory given, else in the worker's own") {
  Harness harness;
  TemporaryDirectory directory;
  base::Command command = words({"/bin/pwd", "-P"});
  command.directory = directory.path();
  CHECK(harness.run(command).out == directory.path() + "\n");
  command.directory.clear();
  CHECK(harness.run(command).out == std::filesystem::current_path().string() + "\n");
}

TEST_CASE("a directory that cannot be entered fails the command with 126 and says why") {
  Harness harness;
  base::Command command = line("echo never");
  command.directory = "/nowhere/at/all";
  const wire::Result result = harness.run(command);
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.exit_code == 126);
  CHECK(result.reason == "cannot enter directory /nowhere/at/all: No such file or directory");
}

TEST_CASE("a command finds its job, attempt and slot in its environment, beside the worker's own variables and those given") {
  REQUIRE(setenv("KEEPER_TEST_INHERITED", "from the worker", 1) == 0);
  REQUIRE(setenv("KEEPER_TEST_REPLACED", "old", 1) == 0);
  Harness harness;
  base::Command command = words({"env"});
  command.environment = {"KEEPER_TEST_REPLACED=new", "KEEPER_TEST_GIVEN=first", "KEEPER_TEST_GIVEN=last"};
  const base::Attempt attempt = harness.start(command, 0us, 3);
  const std::string out = "\n" + harness.result_of(attempt).out;
  const auto has = [&out](const std::string& entry) { return out.find("\n" + entry + "\n") != std::string::npos; };
  CHECK(has("PUSHMILL_JOB=1"));
  CHECK(has("PUSHMILL_ATTEMPT=2.6"));
  CHECK(has("PUSHMILL_SLOT=3"));
  CHECK(has("PARALLEL_SEQ=1"));
  CHECK(has("PARALLEL_JOBSLOT=3"));
  CHECK(has("PARALLEL_PID=" + std::to_string(getpid())));
  CHECK(has("PARALLEL_SSHLOGIN=:"));
  CHECK(has("PARALLEL_SSHHOST=:"));
  CHECK(has("KEEPER_TEST_INHERITED=from the worker"));
  CHECK(has("KEEPER_TEST_REPLACED=new"));
  CHECK(has("KEEPER_TEST_GIVEN=last"));
  CHECK_FALSE(has("KEEPER_TEST_GIVEN=first"));
  CHECK_FALSE(has("KEEPER_TEST_REPLACED=old"));
  unsetenv("KEEPER_TEST_INHERITED");
  unsetenv("KEEPER_TEST_REPLACED");
}

TEST_CASE("umask and limits are those of the worker") {
  const mode_t before = umask(0027);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const rlimit lowered{200, files.rlim_max};
  setrlimit(RLIMIT_NOFILE, &lowered);
  {
    Harness harness;
    CHECK(harness.run(line("umask; ulimit -n")).out == "0027\n200\n");
  }
  setrlimit(RLIMIT_NOFILE, &files);
  umask(before);
}

TEST_CASE("a command has three descriptors and a process group of its own") {
  const int leaked = open("/dev/null", O_RDONLY);
  Harness harness;
  CHECK(harness.run(words({"ls", "/proc/self/fd"})).out == "0\n1\n2\n3\n");  // the last is ls's own
  const wire::Result result = harness.run(line("ps -o pid=,pgid= -p $$"));
  long pid = 0, group = 0;
  REQUIRE(std::sscanf(result.out.c_str(), "%ld %ld", &pid, &group) == 2);
  CHECK(pid == group);
  close(leaked);
}

TEST_CASE("a command has the signal mask and the ignored signals of the caller, whatever the worker did with its own") {
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const auto old_pipe = std::signal(SIGPIPE, SIG_IGN);
  const auto status_of = [](const worker::KeeperRunner::Config& config) {
    Harness harness(config);
    return harness.run(words({"grep", "-E", "SigBlk|SigIgn", "/proc/self/status"})).out;
  };
  auto config = test_config();
  CHECK(status_of(config) == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  sigaddset(&config.caller.mask, SIGUSR1);
  sigaddset(&config.caller.ignored, SIGPIPE);
  sigaddset(&config.caller.ignored, SIGCHLD);
  sigaddset(&config.caller.ignored, SIGHUP);
  CHECK(status_of(config) == "SigBlk:\t0000000000000200\nSigIgn:\t0000000000011001\n");
  std::signal(SIGPIPE, old_pipe);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("the caller's signals are read from the process") {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  sigprocmask(SIG_SETMASK, &blocked, &before);
  const auto old = std::signal(SIGUSR1, SIG_IGN);
  const auto caller = worker::CallerSignals::of_this_process();
  std::signal(SIGUSR1, old);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK(sigismember(&caller.mask, SIGUSR2) == 1);
  CHECK(sigismember(&caller.mask, SIGUSR1) == 0);
  CHECK(sigismember(&caller.ignored, SIGUSR1) == 1);
  CHECK(sigismember(&caller.ignored, SIGUSR2) == 0);
}

TEST_CASE("times and resources of a command are measured") {
  Harness harness;
  const wire::Result result = harness.run(line("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.05"));
  CHECK(result.slot == 1);
  CHECK(result.runtime_us >= 50'000);
  CHECK(result.finished_at - result.started_at == static_cast<std::int64_t>(result.runtime_us));
  CHECK(result.user_us > 1000);
  CHECK(result.max_rss_kb > 100);
  const auto wall = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  CHECK(std::abs(wall - result.finished_at) < 10'000'000);
}

TEST_CASE("a line whose command does not exist fails with the shell's 127 and message") {
  Harness harness;
  const wire::Result result = harness.run(line("no-such-command-here 1 2"));
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.exit_code == 127);
  CHECK_THAT(result.err, Catch::Contains("not found"));
}

TEST_CASE("words whose command does not exist fail with 127 and a reason") {
  Harness harness;
  const wire::Result result = harness.run(words({"no-such-command-here"}));
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.exit_code == 127);
  CHECK(result.reason == "no-such-command-here: command not found");
  CHECK(harness.run(words({"/no/such"})).reason == "/no/such: no such file");
  CHECK(harness.run(words({""})).exit_code == 127);
  base::Command command = line("echo hi");
  command.shell = "/no/such/shell";
  const wire::Result no_shell = harness.run(command);
  CHECK(no_shell.exit_code == 127);
  CHECK(no_shell.reason == "/no/such/shell: no such file");
}

TEST_CASE("what cannot be executed fails with 126 and a reason") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string plain = directory.script("plain", "#!/bin/sh\n", 0644);
  const wire::Result denied = harness.run(words({plain}));
  CHECK(denied.exit_code == 126);
  CHECK(denied.reason == plain + ": permission denied");
  CHECK(harness.run(line(plain)).exit_code == 126);
  CHECK(harness.run(words({directory.path()})).reason == directory.path() + ": is a directory");
  const std::string orphan = directory.script("orphan", "#!/no/such/interpreter\n");
  const wire::Result no_interpreter = harness.run(words({orphan}));
  CHECK(no_interpreter.exit_code == 126);
  CHECK(no_interpreter.reason == orphan + ": its interpreter is missing");
}

TEST_CASE("a command too long for the system fails with 126 and a reason, and the next one runs") {
  Harness harness;
  const wire::Result result = harness.run(line("echo " + std::string(3u << 20, 'x') + "$"));
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.exit_code == 126);
  CHECK_THAT(result.reason, Catch::Contains("too long"));
  CHECK(harness.run(line("exit 0")).outcome == Outcome::Ok);
}

TEST_CASE("a script without an interpreter line runs, as a line and as words") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string script = directory.script("script", "echo ran $1\n");
  CHECK(harness.run(line(script + " a")).out == "ran a\n");
  CHECK(harness.run(words({script, "b"})).out == "ran b\n");
}

TEST_CASE("names are looked up in the PATH the command has, new and removed programs included") {
  Harness harness;
  TemporaryDirectory first, second;
  for (const bool is_line : {true, false}) {
    base::Command command = is_line ? line("keeper-test-tool x") : words({"keeper-test-tool", "x"});
    command.environment = {"PATH=" + first.path() + ":" + second.path() + ":/usr/bin:/bin"};
    CHECK(harness.run(command).exit_code == 127);
    const std::string later = second.script("keeper-test-tool", "#!/bin/sh\necho second $1\n");
    CHECK(harness.run(command).out == "second x\n");
    const std::string earlier = first.script("keeper-test-tool", "#!/bin/sh\necho first $1\n");
    CHECK(harness.run(command).out == "first x\n");
    std::filesystem::remove(earlier);
    CHECK(harness.run(command).out == "second x\n");
    std::filesystem::remove(later);
    CHECK(harness.run(command).exit_code == 127);
  }
}

TEST_CASE("words are found from the directory they run in") {
  Harness harness;
  TemporaryDirectory directory;
  directory.script("tool", "#!/bin/sh\necho here\n");
  base::Command command = words({"./tool"});
  command.directory = directory.path();
  CHECK(harness.run(command).out == "here\n");
  command = words({"tool"});
  command.directory = directory.path();
  command.environment = {"PATH=/usr/bin::/bin"};
  CHECK(harness.run(command).out == "here\n");
  command = line("./tool");
  command.directory = directory.path();
  CHECK(harness.run(command).out == "here\n");
}

TEST_CASE("where no keeper can be started the attempt is returned, and why is said") {
  auto config = test_config();
  config.keeper = "/no/such/keeper";
  Harness harness(config);
  const wire::Result result = harness.run(line("true"));
  CHECK(result.outcome == Outcome::Returned);
  CHECK(result.reason == "cannot start the keeper /no/such/keeper: No such file or directory");
  CHECK(harness.runner.fd() == -1);
}

TEST_CASE("five hundred commands two at a time give one result each") {
  Harness harness;
  constexpr int kJobs = 500;
  std::vector<wire::Result> results;
  std::set<base::Attempt> wanted;
  int started = 0;
  while (results.size() < kJobs) {
    while (started < kJobs && static_cast<std::size_t>(started) < results.size() + 2) {
      base::Command command = started % 3 == 0 ? line("echo $PUSHMILL_JOB") : started % 3 == 1 ? line(TRUE_PATH) : words({TRUE_PATH});
      wanted.insert(harness.start(command, started % 2 == 0 ? 10s : 0s, static_cast<std::uint32_t>(started % 2 + 1)));
      ++started;
    }
    harness.wait_and_collect(results);
  }
  std::set<base::Attempt> seen;
  for (const wire::Result& result : results) {
    INFO(result.attempt.text() << " exit " << result.exit_code << " signal " << result.signal << ": " << result.reason << result.err);
    CHECK(seen.insert(result.attempt).second);
    CHECK(result.outcome == Outcome::Ok);
    if (!result.out.empty()) CHECK(result.out == std::to_string(result.attempt.job) + "\n");
  }
  CHECK(seen == wanted);
}

TEST_CASE("commands as large as a job may be pass both ways without either end waiting for the other") {
  Harness harness;
  base::Command command = line("cat >/dev/null; head -c 65536 /dev/zero");
  command.stdin_bytes.assign(7u << 20, 'y');
  std::vector<wire::Result> results;
  for (int i = 0; i < 8; ++i) harness.start(command, 0us, static_cast<std::uint32_t>(i + 1));
  while (results.size() < 8) harness.wait_and_collect(results);
  for (const wire::Result& result : results) CHECK(result.out.size() == 65536);
}

TEST_CASE("commands per second, two in flight", "[.speed]") {
  Harness harness;
  for (const base::Command& command : {words({TRUE_PATH}), line(TRUE_PATH), line(std::string("exec ") + TRUE_PATH)}) {
    constexpr std::size_t kJobs = 5000;
    std::vector<wire::Result> results;
    std::size_t started = 0;
    const auto begin = std::chrono::steady_clock::now();
    while (results.size() < kJobs) {
      for (; started < kJobs && started < results.size() + 2; ++started) harness.start(command);
      harness.wait_and_collect(results);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%8.0f/s  %s\n", static_cast<double>(kJobs) / took.count(), command.line.empty() ? "words" : command.line.c_str());
  }
}
