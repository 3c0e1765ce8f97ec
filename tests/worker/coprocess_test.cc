// Records through real children under a real keeper: what each does to its own job and to no other.
#include "worker/coprocess_runner.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <set>

#include "tests/worker/keeper_harness.h"

using namespace worker_test;
using base::Attempt;
using base::Framing;

namespace {

class Coprocesses {
 public:
  explicit Coprocesses(std::uint32_t slots = 1, worker::KeeperRunner::Config keeper = test_config()) {
    std::signal(SIGPIPE, SIG_IGN);
    auto made = worker::CoprocessRunner::create({.keeper = std::move(keeper), .leave = 2s}, slots);
    REQUIRE(made);
    runner = std::move(*made);
  }

  Attempt start(base::Command program, std::string input, Framing framing = Framing::Line, base::Duration limit = 0us, std::uint32_t slot = 1) {
    const Attempt attempt{++jobs_, 2, jobs_ + 5};
    runner->start(attempt, slot, {std::move(program), std::move(input), framing}, limit);
    return attempt;
  }
  Attempt start(const std::string& program, std::string input, Framing framing = Framing::Line, base::Duration limit = 0us, std::uint32_t slot = 1) {
    return start(line(program), std::move(input), framing, limit, slot);
  }
  // The next `count` results, in the order in which they come.
  std::vector<wire::Result> collect(std::size_t count) {
    std::vector<wire::Result> results;
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (results.size() < count) {
      if (std::chrono::steady_clock::now() > deadline) FAIL("no result comes");
      pollfd ready{runner->fd(), POLLIN, 0};
      poll(&ready, 1, 1000);
      runner->collect(results, remarks);
    }
    REQUIRE(results.size() == count);
    return results;
  }
  wire::Result run(const std::string& program, std::string input, Framing framing = Framing::Line, base::Duration limit = 0us) {
    const Attempt attempt = start(program, std::move(input), framing, limit);
    auto results = collect(1);
    CHECK(results[0].attempt == attempt);
    CHECK(results[0].out_bytes == results[0].out.size());
    CHECK(results[0].err_bytes == results[0].err.size());
    return results[0];
  }

  std::unique_ptr<worker::CoprocessRunner> runner;
  std::vector<std::string> remarks;

 private:
  base::JobId jobs_ = 0;
};

// Answers each line with its pid and the line.
constexpr char kPid[] = "while read -r line; do echo $$ $line; done";

TEST_CASE("one child answers record after record", "[coprocess]") {
  Coprocesses c;
  const auto first = c.run(kPid, "one");
  const auto second = c.run(kPid, "two");
  CHECK(first.outcome == Outcome::Ok);
  CHECK(first.exit_code == 0);
  CHECK(first.started_at > 0);
  CHECK(first.finished_at >= first.started_at);
  const std::string pid = first.out.substr(0, first.out.find(' '));
  CHECK(first.out == pid + " one\n");
  CHECK(second.out == pid + " two\n");
  CHECK(c.remarks.empty());
}

TEST_CASE("records that wait in one slot are answered in order, and slots have children of their own", "[coprocess]") {
  Coprocesses c(2);
  for (int n = 0; n < 1000; ++n) c.start(kPid, std::to_string(n), Framing::Line, 0us, 1 + static_cast<std::uint32_t>(n % 2));
  std::vector<base::JobId> jobs[2];
  std::string pids[2];
  for (const auto& result : c.collect(1000)) {
    const auto which = (result.attempt.job - 1) % 2;
    jobs[which].push_back(result.attempt.job);
    const std::string pid = result.out.substr(0, result.out.find(' '));
    CHECK(result.slot == which + 1);
    CHECK(result.out == pid + " " + std::to_string(result.attempt.job - 1) + "\n");
    if (pids[which].empty()) pids[which] = pid;
    CHECK(pids[which] == pid);
  }
  for (const auto& list : jobs) CHECK(std::is_sorted(list.begin(), list.end()));
  CHECK(pids[0] != pids[1]);
}

TEST_CASE("a child finds its slot in its environment, and no job", "[coprocess]") {
  Coprocesses c(3);
  c.start("env | tr '\\n' ' '; echo; cat >&2", "x", Framing::Line, 0us, 3);
  const std::string out = " " + c.collect(1)[0].out;
  CHECK(out.find(" PUSHMILL_SLOT=3 ") != std::string::npos);
  CHECK(out.find(" PARALLEL_JOBSLOT=3 ") != std::string::npos);
  CHECK(out.find("PUSHMILL_JOB=") == std::string::npos);
  CHECK(out.find("PUSHMILL_ATTEMPT=") == std::string::npos);
  CHECK(out.find("PARALLEL_SEQ=") == std::string::npos);
}

TEST_CASE("many slots find descriptors enough, and children have the limit that was", "[coprocess]") {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit low{64, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  {
    Coprocesses c(40);
    for (std::uint32_t slot = 1; slot <= 40; ++slot) c.start("while read -r line; do ulimit -n; done", "x", Framing::Line, 0us, slot);
    for (const auto& result : c.collect(40)) CHECK(result.out == "64\n");
  }
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("where the hard limit of descriptors is low, slots share children, and no job fails for it", "[coprocess]") {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit low{300, 300};
    if (setrlimit(RLIMIT_NOFILE, &low) != 0) _exit(2);
    bool is_fine = true;
    {
      Coprocesses c(40);
      for (std::uint32_t slot = 1; slot <= 40; ++slot) c.start("while read -r line; do echo $$; done", "x", Framing::Line, 0us, slot);
      std::set<std::string> children;
      for (const auto& result : c.collect(40)) is_fine &= result.outcome == Outcome::Ok, children.insert(result.out);
      is_fine &= children.size() == 7;
      is_fine &= c.remarks == std::vector<std::string>{"the hard limit of 300 open files allows 7 coprocesses, not 40; raise it (ulimit -Hn) or lower --jobs"};
    }
    _exit(is_fine ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("lengths carry any bytes, also more than a pipe holds", "[coprocess]") {
  Coprocesses c;
  const std::string bytes("a\nb\0\xff", 5);
  CHECK(c.run("cat", bytes, Framing::Length).out == bytes);
  CHECK(c.run("cat", std::string(65536, 'x'), Framing::Length).out == std::string(65536, 'x'));
  const auto count = c.run(R"(exec python3 -c 'import sys
while head := sys.stdin.buffer.read(4):
    text = str(len(sys.stdin.buffer.read(int.from_bytes(head, "big")))).encode()
    sys.stdout.buffer.write(len(text).to_bytes(4, "big") + text)
    sys.stdout.buffer.flush()')",
                           std::string(3'000'000, 'y'), Framing::Length);
  CHECK(count.out == "3000000");
}

TEST_CASE("json wraps the record and checks the answer", "[coprocess]") {
  Coprocesses c;
  CHECK(c.run("cat", "a\n\"b\"", Framing::Json).out == "{\"job\":1,\"input\":\"a\\n\\\"b\\\"\"}\n");
  const auto bad = c.run("while read -r line; do echo \"${line%?}\"; done", "x", Framing::Json);
  CHECK(bad.outcome == Outcome::Failed);
  CHECK(bad.exit_code == 1);
  CHECK(bad.reason.starts_with("the coprocess's answer to job 2 is not JSON: "));
  const auto error = c.run(R"(while read -r line; do echo '{"error":"no such model"}'; done)", "x", Framing::Json);
  CHECK(error.outcome == Outcome::Failed);
  CHECK(error.reason == "no such model");
  CHECK(error.out == "{\"error\":\"no such model\"}\n");
  CHECK(c.run("cat", "\xff", Framing::Json).reason.find("UTF-8") != std::string::npos);
}

TEST_CASE("an answer may come in pieces", "[coprocess]") {
  Coprocesses c;
  const std::string program = "while read -r line; do printf 'a'; sleep 0.05; printf 'b'; sleep 0.05; echo \"$line\"; done";
  CHECK(c.run(program, "1").out == "ab1\n");
  CHECK(c.run(program, "2").out == "ab2\n");
}

TEST_CASE("a child may answer before it has read its record", "[coprocess]") {
  Coprocesses c;
  const std::string program = R"(exec python3 -c 'import sys
while True:
    sys.stdout.write("early\n"); sys.stdout.flush()
    if len(sys.stdin.readline()) != 400001: sys.exit(9)
    break
for line in sys.stdin: print(len(line), flush=True)')";
  CHECK(c.run(program, std::string(400'000, 'x')).out == "early\n");
  CHECK(c.run(program, std::string(200'000, 'y')).out == "200001\n");
  CHECK(c.run(program, "z").out == "2\n");
}

TEST_CASE("what a child says on stderr before the answer is the job's", "[coprocess]") {
  Coprocesses c;
  const std::string program = "while read -r line; do echo \"about $line\" >&2; echo ok; done";
  CHECK(c.run(program, "1").err == "about 1\n");
  CHECK(c.run(program, "2").err == "about 2\n");
  const auto much = c.run("while read -r line; do head -c 1000000 /dev/zero >&2; echo ok; done", "1");
  CHECK(much.outcome == Outcome::Ok);
  CHECK(much.err.size() == 1000000);
}

TEST_CASE("a child that cannot be had for want of descriptors is waited for, and nothing of a record that failed reaches another", "[coprocess]") {
  Coprocesses c(2);
  CHECK(c.run(kPid, "1").outcome == Outcome::Ok);  // the keeper is there
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int lowest = dup(0);
  close(lowest);
  const rlimit none{static_cast<rlim_t>(lowest), before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  c.start(kPid, "failed", Framing::Line, 0us, 2);
  const auto failed = c.collect(1)[0];
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(failed.outcome == Outcome::Failed);
  CHECK(failed.reason == "cannot make the coprocess's streams: Too many open files");
  c.start(kPid, "next", Framing::Line, 0us, 2);
  const auto next = c.collect(1)[0];
  CHECK(next.outcome == Outcome::Ok);
  CHECK(next.out.ends_with(" next\n"));
}

TEST_CASE("a child that dies fails its own job and is replaced", "[coprocess]") {
  Coprocesses c;
  const std::string program = "while read -r line; do case $line in die) echo why >&2; exit 3;; kill) kill -9 $$;; zero) exit 0;; half) printf hal; exit 4;; *) echo $line;; esac; done";
  for (const char* input : {"1", "die", "2", "kill", "3", "zero", "4", "half", "5"}) c.start(program, input);
  const auto results = c.collect(9);
  for (std::size_t i = 0; i < 9; i += 2) {
    CHECK(results[i].outcome == Outcome::Ok);
    CHECK(results[i].out == std::to_string(i / 2 + 1) + "\n");
  }
  const auto check = [&](std::size_t i, int exit_code, int signal, const std::string& reason) {
    CHECK(results[i].outcome == Outcome::Failed);
    CHECK(results[i].exit_code == exit_code);
    CHECK(results[i].signal == signal);
    CHECK(results[i].reason == reason);
    CHECK(results[i].out.empty());
  };
  check(1, 3, 0, "the coprocess ended with status 3 before it answered");
  CHECK(results[1].err == "why\n");
  check(3, 0, SIGKILL, "the coprocess was ended by signal 9 before it answered");
  check(5, 1, 0, "the coprocess ended with status 0 before it answered");
  check(7, 4, 0, "the coprocess ended with status 4 before it answered");
}

TEST_CASE("a record whose child the kernel killed for memory says so, and is not a failure like others", "[coprocess]") {
  TemporaryDirectory directory;
  auto config = test_config();
  config.oom_counter = directory.script("events", "oom_kill 0\n", 0600);
  Coprocesses c(1, config);
  const auto result = c.run("read -r line; printf 'oom_kill 1\\n' >" + config.oom_counter + "; kill -9 $$", "x");
  CHECK(result.outcome == Outcome::Oom);
  CHECK(result.signal == SIGKILL);
  CHECK(result.reason == "out of memory: the kernel ended it, or a process of it");
  CHECK(c.run("read -r line; kill -9 $$", "x").outcome == Outcome::Failed);
}

// It counted as a failure of the job when the worker had not asked for its end: of several records the time of the first is that of all.
TEST_CASE("a record whose child the keeper ended when the time was up is cancelled", "[coprocess]") {
  Coprocesses c;
  c.runner->run_until(std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()) + 500ms);
  c.start("read -r line; sleep 100", "x");
  const auto result = c.collect(1)[0];
  CHECK(result.outcome == Outcome::Cancelled);
  CHECK(result.reason == "its time was up");
}

TEST_CASE("a child that leaves between two records costs no job", "[coprocess]") {
  Coprocesses c;
  const std::string program = "read -r a; echo $a; read -r b; echo $b";  // reads byte by byte
  for (int n = 0; n < 20; ++n) c.start(program, std::to_string(n));
  const auto results = c.collect(20);
  for (int n = 0; n < 20; ++n) {
    CHECK(results[static_cast<std::size_t>(n)].outcome == Outcome::Ok);
    CHECK(results[static_cast<std::size_t>(n)].out == std::to_string(n) + "\n");
  }
  CHECK(c.run(program, "idle").out == "idle\n");
}

TEST_CASE("a child that leaves before its first record fails the job, and does not go round", "[coprocess]") {
  Coprocesses c;
  CHECK(c.run("exit 0", "x").reason == "the coprocess ended with status 0 before it answered");
  CHECK(c.run("exit 5", "x").exit_code == 5);
}

TEST_CASE("a program that is not there is a failed job with 127, one that cannot be run 126", "[coprocess]") {
  Coprocesses c;
  c.start(words({"no-such-program-anywhere"}), "x");
  const auto missing = c.collect(1)[0];
  CHECK(missing.outcome == Outcome::Failed);
  CHECK(missing.exit_code == 127);
  CHECK(missing.reason == "no-such-program-anywhere: command not found");
  CHECK(c.run("no-such-program-anywhere", "x").exit_code == 127);
  c.start(words({"/etc/passwd"}), "x");
  CHECK(c.collect(1)[0].exit_code == 126);
  base::Command program = words({"cat"});
  program.directory = "/nowhere/at/all";
  c.start(program, "x");
  CHECK(c.collect(1)[0].reason == "cannot enter directory /nowhere/at/all: No such file or directory");
  CHECK(c.run("cat", "still here").out == "still here\n");
}

TEST_CASE("the time limit ends the whole tree, and the next job has a new child", "[coprocess]") {
  Coprocesses c;
  const std::string seconds = unique_seconds();
  const std::string program = "while read -r line; do [ $line = ok ] || { (trap '' TERM; setsid sleep " + seconds + ") & sleep " + seconds + "; }; echo $line; done";
  c.start(program, "ok", Framing::Line, 20s);
  c.start(program, "stuck", Framing::Line, 300'000us);
  c.start(program, "ok", Framing::Line, 20s);
  const auto results = c.collect(2);
  CHECK(results[0].outcome == Outcome::Ok);
  CHECK(results[1].outcome == Outcome::Timeout);
  CHECK(results[1].exit_code == -1);
  CHECK(results[1].signal != 0);
  CHECK(processes_with("sleep" + std::string(1, '\0') + seconds).empty());
  CHECK(c.collect(1)[0].out == "ok\n");
}

TEST_CASE("a blank answer fails its job only", "[coprocess]") {
  Coprocesses c;
  for (const char* input : {"a", "", "b"}) c.start("cat", input);
  const auto results = c.collect(3);
  CHECK(results[0].out == "a\n");
  CHECK(results[1].outcome == Outcome::Failed);
  CHECK(results[1].reason == "the coprocess gave a blank answer to job 2");
  CHECK(results[1].out.empty());
  CHECK(results[2].out == "b\n");
}

TEST_CASE("a child that answers more than it was asked for is ended and its job failed", "[coprocess]") {
  Coprocesses c;
  const std::string program = "while read -r line; do [ $line = two ] && printf 'one\\ntwo\\n' || echo $line; done";
  for (const char* input : {"a", "two", "b"}) c.start(program, input);
  const auto results = c.collect(3);
  CHECK(results[0].out == "a\n");
  CHECK(results[1].outcome == Outcome::Failed);
  CHECK(results[1].reason == "the coprocess answered more than it was asked for: 4 bytes behind its answer");
  CHECK(results[2].out == "b\n");
}

TEST_CASE("a child that goes on writing after its answer is replaced, with a word about it", "[coprocess]") {
  Coprocesses c;
  TemporaryDirectory directory;
  const std::string program = "while read -r line; do echo $line; while [ ! -e " + (directory / "go") + " ]; do sleep 0.01; done; echo more; sleep 100; done";
  CHECK(c.run(program, "a").out == "a\n");
  directory.script("go", "");
  std::vector<wire::Result> none;
  CHECK(wait_until([&] { return c.runner->collect(none, c.remarks), !c.remarks.empty(); }));
  CHECK(c.remarks == std::vector<std::string>{"the coprocess in slot 1 wrote 5 bytes that it was not asked for; it is replaced"});
  CHECK(none.empty());
  CHECK(c.run("cat", "b").out == "b\n");
}

TEST_CASE("an answer may be as large as the limit and not one byte larger", "[coprocess]") {
  Coprocesses c;
  const std::size_t limit = worker::CoprocessRunner::Config{}.answer;
  CHECK((c.run("cat", std::string(limit - 1, 'x')).out == std::string(limit - 1, 'x') + "\n"));
  const auto over = c.run("cat", std::string(limit, 'x'));
  CHECK(over.outcome == Outcome::Failed);
  CHECK(over.reason == "the coprocess's answer is over 8388608 bytes");
  CHECK(c.run("cat", "next").out == "next\n");
}

TEST_CASE("a record with a newline fails in line framing, before any child sees it", "[coprocess]") {
  Coprocesses c;
  const auto result = c.run("cat", "a\nb");
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.reason.find("newline") != std::string::npos);
  CHECK(c.run("cat", "a").out == "a\n");
}

TEST_CASE("another program, or another framing, has another child", "[coprocess]") {
  Coprocesses c;
  const auto first = c.run(kPid, "a");
  CHECK(c.run("cat", "b").out == "b\n");
  CHECK(c.run("cat", "b", Framing::Length).out == "b");
  base::Command program = line("while read -r line; do echo $WHO; done");
  for (const char* who : {"WHO=me", "WHO=you"}) {
    program.environment = {who};
    c.start(program, "x");
    CHECK(c.collect(1)[0].out == std::string(who).substr(4) + "\n");
  }
  CHECK(c.run(kPid, "a").out != first.out);
}

TEST_CASE("a child that closes its output and stays is ended", "[coprocess]") {
  Coprocesses c;
  const auto result = c.run("read -r line; exec >&-; sleep 1000", "x");
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.reason == "the coprocess closed its output before it answered");
  CHECK(c.run("cat", "a").out == "a\n");
}

TEST_CASE("a child that closes its input may answer what it has, and another one takes the next record", "[coprocess]") {
  Coprocesses c;
  const std::string seconds = unique_seconds();
  const std::string program = "read -r line; exec <&-; sleep 0.05; echo $line; sleep " + seconds;
  for (const char* input : {"x", "y"}) CHECK(c.run(program, input).out == std::string(input) + "\n");
  CHECK(c.run("cat", "z").out == "z\n");
  CHECK(processes_with("sleep" + std::string(1, '\0') + seconds).empty());
}

TEST_CASE("a child that does not read all of its record and stays is ended", "[coprocess]") {
  Coprocesses c;
  const auto result = c.run("exec <&-; sleep 1000", "x");
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.reason == "the coprocess closed its input before it had the record");
}

TEST_CASE("a killed attempt is cancelled, whether its turn had come or not", "[coprocess]") {
  Coprocesses c;
  const std::string seconds = unique_seconds();
  const auto first = c.start("sleep " + seconds, "x"), second = c.start("sleep " + seconds, "y");
  c.start("cat", "z");
  c.runner->kill({99, 1, 1});
  c.runner->kill(second);
  c.runner->kill(first);
  const auto results = c.collect(3);
  CHECK(results[0].attempt == second);
  CHECK(results[0].outcome == Outcome::Cancelled);
  CHECK(results[1].attempt == first);
  CHECK(results[1].outcome == Outcome::Cancelled);
  CHECK(results[2].out == "z\n");
  CHECK(processes_with("sleep" + std::string(1, '\0') + seconds).empty());
}

TEST_CASE("a child may write its last words when the run is over, and one that does not leave is ended", "[coprocess]") {
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  {
    Coprocesses c(2);
    c.start("while read -r line; do echo $line; done; echo bye > " + (directory / "words") + "; echo parting", "a");
    c.start("while read -r line; do echo $line; done; sleep " + seconds, "b", Framing::Line, 0us, 2);
    c.collect(2);
  }
  CHECK(contents(directory / "words") == "bye\n");
  CHECK(wait_until([&] { return processes_with("sleep" + std::string(1, '\0') + seconds).empty(); }));
}

TEST_CASE("without a keeper the records are given back", "[coprocess]") {
  auto config = test_config();
  config.keeper = "/nowhere/keeper";
  auto runner = worker::CoprocessRunner::create({.keeper = config}, 1);
  (*runner)->start({1, 1, 1}, 1, {line("cat"), "x", Framing::Line}, 0us);
  std::vector<wire::Result> results;
  std::vector<std::string> remarks;
  CHECK(wait_until([&] { return (*runner)->collect(results, remarks), !results.empty(); }));
  CHECK(results[0].outcome == Outcome::Returned);
  CHECK(results[0].reason.find("/nowhere/keeper") != std::string::npos);
}

}  // namespace
