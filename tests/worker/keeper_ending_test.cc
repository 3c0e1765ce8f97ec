// How commands are ended: time limits, kill(), a dead keeper, a dead worker; and that no process of theirs is left by then.
#include <sys/wait.h>

#include <algorithm>

#include "tests/worker/keeper_harness.h"

using namespace worker_test;

namespace {

// Sleepers that nothing but KILL ends, hidden in every way there is: a background child, a new session, a double fork into a new session, an empty
// environment, and all of these at once. Each tells in `path` that it runs.
std::string hidden_sleepers(const std::string& seconds, const std::string& path) {
  const std::string sleeper = "\"trap '' TERM; echo x >>" + path + "; while :; do sleep " + seconds + "; done\"";
  return "sh -c " + sleeper + " & setsid sh -c " + sleeper + " & (setsid sh -c " + sleeper + " & ) & env -i sh -c " + sleeper + " & (setsid env -i sh -c " + sleeper +
         " >/dev/null 2>&1 & ) & trap '' TERM; sleep " + seconds +
         "; wait; wait";
}

bool has_lines(const std::string& path, long count) {
  const std::string text = contents(path);
  return std::count(text.begin(), text.end(), '\n') >= count;
}

}  // namespace

TEST_CASE("a time limit ends a command with TERM") {
  Harness harness;
  const wire::Result result = harness.run(line("echo before; exec sleep " + unique_seconds()), 100ms);
  CHECK(result.outcome == Outcome::Timeout);
  CHECK(result.exit_code == -1);
  CHECK(result.signal == SIGTERM);
  CHECK(result.out == "before\n");
  CHECK(result.runtime_us >= 100'000);
}

TEST_CASE("a time limit ends children that ignore TERM, fork twice and begin new sessions, before it is reported") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const wire::Result result = harness.run(line(hidden_sleepers(seconds, directory / "up")), 1500ms);
  CHECK(has_lines(directory / "up", 5));
  CHECK(processes_with(seconds).empty());
  CHECK(result.outcome == Outcome::Timeout);
  CHECK(result.exit_code == -1);
  CHECK(result.signal == SIGKILL);
}

TEST_CASE("a command that obeys TERM in its own way is still a timeout, and what it says last is kept") {
  Harness harness;
  const wire::Result result = harness.run(line("trap 'echo bye; exit 0' TERM; sleep 5 & wait"), 200ms);
  CHECK(result.outcome == Outcome::Timeout);
  CHECK(result.signal == SIGTERM);
  CHECK(result.out == "bye\n");
}

TEST_CASE("a stopped command is ended by its time limit") {
  Harness harness;
  const wire::Result result = harness.run(line("kill -STOP $$; sleep " + unique_seconds()), 100ms);
  CHECK(result.outcome == Outcome::Timeout);
}

TEST_CASE("kill ends a command and all its children, and the result is cancelled") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const base::Attempt attempt = harness.start(line(hidden_sleepers(seconds, directory / "up")));
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 5); }));
  harness.runner.kill(attempt);
  const wire::Result result = harness.result_of(attempt);
  CHECK(processes_with(seconds).empty());
  CHECK(result.outcome == Outcome::Cancelled);
  CHECK(result.exit_code == -1);
}

TEST_CASE("a command that stopped its keeper is ended all the same") {
  Harness harness;
  const std::string seconds = unique_seconds();
  const base::Attempt attempt = harness.start(line("kill -STOP $PPID; exec sleep " + seconds));
  const auto is_stopped = [&] {
    const auto keeper = worker::read_process(harness.runner.keeper_pid());
    return keeper && keeper->is_stopped;
  };
  REQUIRE(wait_until(is_stopped));
  harness.runner.kill(attempt);
  CHECK(harness.result_of(attempt).outcome == Outcome::Cancelled);
  CHECK(processes_with(seconds).empty());
}

TEST_CASE("killing one command leaves another alone") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const base::Attempt victim = harness.start(line("echo x >>" + (directory / "up") + "; sleep " + unique_seconds()), 0us, 1);
  const std::string until_go = "; until [ -e " + (directory / "go") + " ]; do sleep 0.02; done; exit 5";
  const base::Attempt other = harness.start(line("setsid sleep " + seconds + " & echo x >>" + (directory / "up") + until_go), 0us, 2);
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 2) && processes_with(seconds).size() == 2; }));
  harness.runner.kill(victim);
  CHECK(harness.result_of(victim).outcome == Outcome::Cancelled);
  CHECK(wait_until([&] { return processes_with(seconds).size() == 2; }));  // the shell, whose line has the number too, and the sleeper
  directory.script("go", "");
  CHECK(harness.result_of(other).exit_code == 5);
  for (pid_t sleeper : processes_with(seconds)) kill(sleeper, SIGKILL);
}

TEST_CASE("a time limit ends what hides without environment, session and parents, and leaves alone what another command hides so") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string mine = unique_seconds(), others = unique_seconds();
  const auto hide = [&](const std::string& seconds) { return "(setsid env -i sh -c 'echo x >>" + (directory / "up") + "; exec sleep " + seconds + "' >/dev/null 2>&1 &); "; };
  harness.start(line(hide(others) + "until [ -e " + (directory / "go") + " ]; do sleep 0.02; done"), 0us, 1);
  const base::Attempt victim = harness.start(line(hide(mine) + "sleep " + unique_seconds()), 2s, 2);
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 2); }));
  CHECK(harness.result_of(victim).outcome == Outcome::Timeout);
  CHECK(processes_with("sleep" + std::string(1, '\0') + mine).empty());
  CHECK(processes_with("sleep" + std::string(1, '\0') + others).size() == 1);
  directory.script("go", "");
  std::vector<wire::Result> results;
  harness.wait_and_collect(results);
  CHECK(results.at(0).outcome == Outcome::Ok);
  for (pid_t left : processes_with(others)) kill(left, SIGKILL);
  CHECK(wait_until([&] { return processes_with(others).empty(); }));
}

TEST_CASE("a command says by which signals it is ended") {
  Harness harness;
  TemporaryDirectory directory;
  base::Command command = line("trap 'echo int' INT; trap 'echo usr; exit 3' USR1; echo x >>" + (directory / "up") + "; while :; do sleep 0.02; done");
  command.term_seq = {SIGINT, 100, SIGUSR1, 20'000};
  const base::Attempt attempt = harness.start(command);
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 1); }));
  harness.runner.kill(attempt);
  const wire::Result result = harness.result_of(attempt);
  CHECK(result.outcome == Outcome::Cancelled);
  CHECK(result.signal == SIGUSR1);
  CHECK(result.out == "int\nusr\n");
}

TEST_CASE("a sequence that waits long does not hold up the end of the runner") {
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const auto begin = std::chrono::steady_clock::now();
  {
    Harness harness;
    base::Command command = line("trap '' TERM; echo x >>" + (directory / "up") + "; while :; do sleep " + seconds + "; done");
    command.term_seq = {SIGTERM, 3'600'000};
    const base::Attempt attempt = harness.start(command);
    REQUIRE(wait_until([&] { return has_lines(directory / "up", 1); }));
    harness.runner.kill(attempt);
  }
  CHECK(processes_with(seconds).empty());
  CHECK(std::chrono::steady_clock::now() - begin < 9s);  // the last resort comes after ten
}

TEST_CASE("what a command leaves behind is ended before its result where it says so, and the result is its own") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const std::string wait = " until [ $(wc -l <" + (directory / "up") + ") = 2 ]; do sleep 0.01; done; echo done; exit 4";
  base::Command command = line("(setsid env -i sh -c 'echo x >>" + (directory / "up") + "; exec sleep " + seconds + "' &); sh -c 'trap \"\" TERM; echo x >>" +
                               (directory / "up") + "; while :; do sleep " + seconds + "; done' &" + wait);
  command.kill_leftovers = true;
  const wire::Result result = harness.run(command);
  CHECK(processes_with(seconds).empty());
  CHECK(result.outcome == Outcome::Failed);
  CHECK(result.exit_code == 4);
  CHECK(result.signal == 0);
  CHECK(result.out == "done\n");
  command = words({"true"});
  command.kill_leftovers = true;
  CHECK(harness.run(command).outcome == Outcome::Ok);
}

TEST_CASE("killing an attempt that is not known changes nothing") {
  Harness harness;
  harness.runner.kill({99, 1, 1});
  CHECK(harness.run(line("exit 2")).exit_code == 2);
  harness.runner.kill({1, 2, 6});
  CHECK(harness.run(line("exit 3")).exit_code == 3);
}

TEST_CASE("a background process that holds the outputs does not delay the result and lives on") {
  Harness harness;
  const std::string seconds = unique_seconds();
  const wire::Result result = harness.run(line("sleep " + seconds + " & echo started"), 20s);
  CHECK(result.outcome == Outcome::Ok);
  CHECK(result.out == "started\n");
  CHECK(result.runtime_us < 10'000'000);
  std::vector<pid_t> survivors;
  CHECK(wait_until([&] { return (survivors = processes_with(seconds)).size() == 1; }));  // not at once: during its exec it has no command line
  for (pid_t survivor : survivors) kill(survivor, SIGKILL);
  CHECK(wait_until([&] { return processes_with(seconds).empty(); }));
}

TEST_CASE("when the keeper is killed its attempts are lost, none of their processes is left, and the next command runs") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const base::Attempt first = harness.start(line(hidden_sleepers(seconds, directory / "up")), 0us, 1);
  const base::Attempt second = harness.start(words({"env", "-i", "sleep", seconds}), 0us, 2);
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 5) && processes_with(seconds).size() >= 7; }));
  const pid_t keeper = harness.runner.keeper_pid();
  kill(keeper, SIGKILL);
  harness.start(line("exit 4"), 0us, 3);  // comes while the keeper is dying or dead: it must get a result too
  std::vector<wire::Result> results;
  while (results.size() < 3) harness.wait_and_collect(results);
  CHECK(processes_with(seconds).empty());
  for (const wire::Result& result : results) {
    if (result.attempt == first || result.attempt == second) {
      CHECK(result.outcome == Outcome::Lost);
      CHECK(result.reason == "the keeper died");
    }
  }
  CHECK(harness.run(line("exit 6")).exit_code == 6);
  CHECK(harness.runner.keeper_pid() != keeper);
}

TEST_CASE("a command that comes while a dead keeper's processes are being ended waits for that, and can be cancelled meanwhile") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const base::Attempt lost = harness.start(line(hidden_sleepers(seconds, directory / "up")));
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 5); }));
  kill(harness.runner.keeper_pid(), SIGKILL);
  std::vector<worker::OutputRead> outputs;
  std::vector<wire::Result> results;
  pollfd gone{harness.runner.fd(), POLLIN, 0};
  REQUIRE(poll(&gone, 1, 20'000) == 1);
  harness.runner.collect(outputs, results);
  REQUIRE(results.empty());  // the grace has only begun
  const base::Attempt waiting = harness.start(line("exit 4"), 0us, 2);
  const base::Attempt cancelled = harness.start(line("exit 5"), 0us, 3);
  harness.runner.kill(cancelled);
  while (results.size() < 3) harness.wait_and_collect(results);
  CHECK(results[0].attempt == cancelled);
  CHECK(results[0].outcome == Outcome::Cancelled);
  CHECK(results[1].attempt == lost);
  CHECK(results[1].outcome == Outcome::Lost);
  CHECK(results[2].attempt == waiting);
  CHECK(results[2].exit_code == 4);
  CHECK(processes_with(seconds).empty());
}

TEST_CASE("a keeper killed again and again costs no result and leaves no zombie") {
  while (waitpid(-1, nullptr, WNOHANG) > 0) continue;  // what earlier tests left behind and then killed
  Harness harness;
  const std::string seconds = unique_seconds();
  for (int round = 0; round < 5; ++round) {
    const base::Attempt attempt = harness.start(words({"sleep", seconds}));
    REQUIRE(wait_until([&] { return !processes_with(seconds).empty(); }));
    kill(harness.runner.keeper_pid(), SIGKILL);
    CHECK(harness.result_of(attempt).outcome == Outcome::Lost);
  }
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("children of the worker that are not the keeper's are neither reaped nor ended") {
  const std::string seconds = unique_seconds();
  const pid_t own = fork();
  if (own == 0) execlp("sleep", "sleep", seconds.c_str(), nullptr);
  {
    Harness harness;
    const base::Attempt attempt = harness.start(line("sleep " + unique_seconds()));
    kill(harness.runner.keeper_pid(), SIGKILL);
    CHECK(harness.result_of(attempt).outcome == Outcome::Lost);
    CHECK(harness.run(line("exit 0")).outcome == Outcome::Ok);
  }
  CHECK(kill(own, SIGKILL) == 0);
  int status = 0;
  CHECK(waitpid(own, &status, 0) == own);
  CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("when the worker is killed, no process of a running attempt is left") {
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const pid_t worker = fork();
  if (worker == 0) {
    Harness harness;
    harness.start(line(hidden_sleepers(seconds, directory / "up")), 0us, 1);
    harness.start(line("(setsid env -i sh -c 'echo x >>" + (directory / "up") + "; sleep " + seconds + "' &) ; sleep " + seconds), 0us, 2);
    std::vector<wire::Result> results;
    for (;;) harness.wait_and_collect(results);
  }
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 6); }));
  kill(worker, SIGKILL);
  waitpid(worker, nullptr, 0);
  CHECK(wait_until([&] { return processes_with(seconds).empty(); }));
}

TEST_CASE("what attempts left on purpose outlives the worker, with and without its environment") {
  const std::string seconds = unique_seconds();
  {
    Harness harness;
    CHECK(harness.run(line("setsid sleep " + seconds + " & setsid env -i sleep " + seconds + " &")).outcome == Outcome::Ok);
    CHECK(wait_until([&] { return processes_with(seconds).size() == 2; }));
  }
  const auto survivors = processes_with(seconds);
  CHECK(survivors.size() == 2);
  for (pid_t survivor : survivors) {
    kill(survivor, SIGKILL);
    waitpid(survivor, nullptr, 0);  // ours now: the keeper is gone
  }
}

TEST_CASE("a runner that is destroyed waits for its commands to be gone") {
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  {
    Harness harness;
    harness.start(line(hidden_sleepers(seconds, directory / "up")));
    REQUIRE(wait_until([&] { return has_lines(directory / "up", 5); }));
  }
  CHECK(processes_with(seconds).empty());
}

TEST_CASE("signals that end the worker's group do not reach the keeper") {
  Harness harness;
  CHECK(harness.run(line("exit 0")).outcome == Outcome::Ok);
  const pid_t keeper = harness.runner.keeper_pid();
  CHECK(getpgid(keeper) != getpgrp());
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1}) kill(keeper, signal);
  CHECK(harness.run(line("exit 0")).outcome == Outcome::Ok);
  CHECK(harness.runner.keeper_pid() == keeper);
}
