// How long the commands of a worker that may be stopped go on: until the time it last named.
#include "tests/worker/keeper_harness.h"

using namespace worker_test;

namespace {
base::TimePoint in(base::Duration time) { return std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()) + time; }
}  // namespace

TEST_CASE("when the time is up, what runs is killed at once and nothing of it is left") {
  Harness harness;
  harness.runner.run_until(in(300ms));
  const std::string seconds = unique_seconds();
  const wire::Result result = harness.run(line("trap '' TERM; setsid sleep " + seconds + " & sleep " + seconds));
  CHECK(result.outcome == Outcome::Cancelled);
  CHECK(result.signal == SIGKILL);
  CHECK(result.runtime_us >= 200'000);
  CHECK(processes_with(seconds).empty());
}

TEST_CASE("a time that is named again in time lets commands go on") {
  Harness harness;
  harness.runner.run_until(in(500ms));
  const base::Attempt attempt = harness.start(line("sleep 1; echo done"));
  harness.runner.run_until(in(60s));
  const wire::Result result = harness.result_of(attempt);
  CHECK(result.outcome == Outcome::Ok);
  CHECK(result.out == "done\n");
}

TEST_CASE("a command that is being ended has no more time than the rest") {
  Harness harness;
  TemporaryDirectory directory;
  const std::string up = directory / "up";
  base::Command command = line("trap '' TERM; echo up > " + up + "; while :; do sleep 0.05; done");
  command.term_seq = {SIGTERM, 3'600'000};
  const base::Attempt attempt = harness.start(command);
  REQUIRE(wait_until([&] { return !contents(up).empty(); }));
  harness.runner.kill(attempt);
  harness.runner.run_until(in(200ms));
  const wire::Result result = harness.result_of(attempt);
  CHECK(result.outcome == Outcome::Cancelled);
  CHECK(result.signal == SIGKILL);
}

TEST_CASE("nothing is started when the time is up, and everything again when a later one is named") {
  Harness harness;
  TemporaryDirectory directory;
  harness.runner.run_until(in(-1s));
  const wire::Result refused = harness.run(line("echo x > " + (directory / "ran")));
  CHECK(refused.outcome == Outcome::Cancelled);
  CHECK(contents(directory / "ran").empty());
  harness.runner.run_until(base::kNever);
  CHECK(harness.run(line("true")).outcome == Outcome::Ok);
}
