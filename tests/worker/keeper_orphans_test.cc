// What is left when keeper and worker are killed in one moment, and what the next start makes of it; and attempts that ran out of memory.
#include <sys/file.h>
#include <sys/wait.h>

#include <algorithm>

#include "tests/worker/keeper_harness.h"
#include "worker/orphans.h"

using namespace worker_test;

namespace {

bool has_lines(const std::string& path, long count) {
  const std::string text = contents(path);
  return std::count(text.begin(), text.end(), '\n') >= count;
}

std::size_t tables_in(const std::string& directory) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) count += entry.path().filename().string().starts_with("keeper-");
  return count;
}

// Says in `path` that it runs, then sleeps where nobody finds it but by its mark.
std::string hidden(const std::string& path, const std::string& seconds) {
  return "(setsid env -i sh -c 'echo x >>" + path + "; exec sleep " + seconds + "' >/dev/null 2>&1 </dev/null &); ";
}

// A worker in a process of its own that has run the first line to its end, and the others, which wait; killed with its keeper in one moment.
void kill_worker_and_keeper(const std::string& tables, const std::vector<std::string>& lines, const std::string& up, long count) {
  int pipe_of[2];
  REQUIRE(pipe(pipe_of) == 0);
  const pid_t worker = fork();
  if (worker == 0) {
    auto config = test_config();
    config.tables = tables;
    Harness harness(config);
    harness.run(line(lines.front()));
    for (std::uint32_t slot = 1; slot < lines.size(); ++slot) harness.start(line(lines[slot]), 0us, slot);
    const pid_t keeper = harness.runner.keeper_pid();
    if (write(pipe_of[1], &keeper, sizeof keeper) != sizeof keeper) _exit(1);
    std::vector<wire::Result> results;
    for (;;) harness.wait_and_collect(results);
  }
  pid_t keeper = 0;
  REQUIRE(read(pipe_of[0], &keeper, sizeof keeper) == sizeof keeper);
  close(pipe_of[0]);
  close(pipe_of[1]);
  REQUIRE(wait_until([&] { return has_lines(up, count); }));
  kill(worker, SIGSTOP);  // nobody acts while the two die
  kill(keeper, SIGKILL);
  kill(worker, SIGKILL);
  waitpid(worker, nullptr, 0);
  const std::string stat = "/proc/" + std::to_string(keeper) + "/stat";
  REQUIRE(wait_until([&] { return contents(stat).empty() || contents(stat).find(") Z") != std::string::npos; }));
}

}  // namespace

TEST_CASE("a command does not outlive a keeper that is killed with its worker") {
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  kill_worker_and_keeper("", {"exit 0", "echo x >>" + (directory / "up") + "; exec sleep " + seconds}, directory / "up", 1);
  CHECK(wait_until([&] { return processes_with(seconds).empty(); }));
}

TEST_CASE("what a worker and its keeper leave when both are killed is ended at the next start, and what was left on purpose is not") {
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds(), kept = unique_seconds();
  kill_worker_and_keeper(directory.path(), {hidden(directory / "up", kept), hidden(directory / "up", seconds) + "exec sleep " + unique_seconds(), "exec sleep " + unique_seconds()},
                         directory / "up", 2);
  const auto sleepers = [](const std::string& number) { return processes_with(std::string("sleep\0", 6) + number); };
  REQUIRE(wait_until([&] { return sleepers(seconds).size() == 1 && sleepers(kept).size() == 1; }));
  CHECK(tables_in(directory.path()) == 1);
  CHECK(worker::end_orphans(directory.path()).ended >= 1);  // the leader may be dying still
  CHECK(sleepers(seconds).empty());
  CHECK(sleepers(kept).size() == 1);
  CHECK(tables_in(directory.path()) == 0);
  CHECK(worker::end_orphans(directory.path()).ended == 0);
  for (pid_t left : sleepers(kept)) kill(left, SIGKILL), waitpid(left, nullptr, 0);
}

TEST_CASE("what runs under a living keeper, or whose worker lives, is no orphan") {
  TemporaryDirectory directory;
  auto config = test_config();
  config.tables = directory.path();
  const std::string seconds = unique_seconds();
  {
    Harness harness(config);
    const base::Attempt attempt = harness.start(line(hidden(directory / "up", seconds) + "sleep " + seconds));
    REQUIRE(wait_until([&] { return has_lines(directory / "up", 1); }));
    CHECK(worker::end_orphans(directory.path()).ended == 0);
    kill(harness.runner.keeper_pid(), SIGKILL);
    CHECK(worker::end_orphans(directory.path()).ended == 0);
    CHECK(harness.result_of(attempt).outcome == Outcome::Lost);
    CHECK(processes_with(seconds).empty());
    CHECK(tables_in(directory.path()) == 0);
    CHECK(harness.run(line("exit 0")).outcome == Outcome::Ok);
    CHECK(tables_in(directory.path()) == 1);
  }
  CHECK(tables_in(directory.path()) == 0);
}

TEST_CASE("the next start waits for a keeper whose worker was killed, and it leaves no table") {
  TemporaryDirectory directory;
  const std::string seconds = unique_seconds();
  const pid_t worker = fork();
  if (worker == 0) {
    auto config = test_config();
    config.tables = directory.path();
    Harness harness(config);
    harness.start(line("echo x >>" + (directory / "up") + "; sleep " + seconds));
    std::vector<wire::Result> results;
    for (;;) harness.wait_and_collect(results);
  }
  REQUIRE(wait_until([&] { return has_lines(directory / "up", 1); }));
  CHECK(tables_in(directory.path()) == 1);
  kill(worker, SIGKILL);
  waitpid(worker, nullptr, 0);
  CHECK(worker::end_orphans(directory.path()).ended == 0);  // waits for the keeper, which does it all
  CHECK(tables_in(directory.path()) == 0);
  CHECK(processes_with(seconds).empty());
}

TEST_CASE("files that are no tables are left alone") {
  TemporaryDirectory directory;
  directory.script("keeper-notours", "x");
  CHECK(worker::end_orphans(directory.path()).ended == 0);
  CHECK(std::filesystem::exists(directory / "keeper-notours"));
  CHECK(worker::end_orphans("/no/such/directory").ended == 0);
}

TEST_CASE("a command ended by KILL while the kernel counted a process ended for want of memory ran out of memory") {
  TemporaryDirectory directory;
  auto config = test_config();
  config.oom_counter = directory.script("events", "oom 0\noom_kill 0\n", 0600);
  const std::string count_one = "printf 'oom 1\\noom_kill %s\\n' ";
  Harness harness(config);
  const wire::Result killed = harness.run(line("kill -9 $$"));
  CHECK(killed.outcome == Outcome::Failed);
  const wire::Result oom = harness.run(line(count_one + "1 >" + config.oom_counter + "; kill -9 $$"));
  CHECK(oom.outcome == Outcome::Oom);
  CHECK(oom.signal == SIGKILL);
  CHECK(oom.reason == "out of memory: the kernel ended it, or a process of it");
  const wire::Result again = harness.run(line("kill -9 $$"));
  CHECK(again.outcome == Outcome::Failed);
  const wire::Result by_shell = harness.run(line(count_one + "2 >" + config.oom_counter + "; sh -c 'kill -9 $$'; exit $?"));
  CHECK(by_shell.outcome == Outcome::Oom);
  CHECK(by_shell.exit_code == 137);
  const wire::Result other = harness.run(line(count_one + "3 >" + config.oom_counter + "; exit 3"));
  CHECK(other.outcome == Outcome::Failed);
}
