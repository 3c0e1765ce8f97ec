#include "cli/dropped_frames.h"
#include "cli/log.h"
#include "cli/reminder.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>

using cli::Log;
using cli::LogLevel;

namespace {

// What `body` writes to stderr.
std::string written(const std::function<void()>& body) {
  std::FILE* file = std::tmpfile();
  const int before = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  body();
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  char text[4096];
  const auto size = ::pread(::fileno(file), text, sizeof text, 0);
  std::fclose(file);
  return {text, static_cast<std::size_t>(size > 0 ? size : 0)};
}

}  // namespace

TEST_CASE("a line has its program in front and is otherwise as given", "[log]") {
  CHECK(written([] { Log("worker").warning("100% of {} and %v"); }) == "worker: 100% of {} and %v\n");
  CHECK(written([] { Log("100%").error("x"); }) == "100%: x\n");
}

TEST_CASE("what somebody else put into a line cannot break it or speak to the terminal", "[log]") {
  CHECK(written([] { Log("sink").error("worker a\nb\t\x1b[31m\x7f \xc3\xbc \xff"); }) == "sink: worker a\\nb\\t\\x1b[31m\\x7f \xc3\xbc \xff\n");
}

TEST_CASE("what is waited for is said when it changes, and again each half minute", "[log]") {
  CHECK(written([] {
          const Log log("worker", LogLevel::Info);
          cli::Reminder reminder(log);
          for (int second = 0; second <= 65; ++second) {
            const std::string line = second < 3 || second == 50 ? "" : second < 40 ? "for a sink" : "for a sink: nobody answers there";
            reminder.say(line, base::TimePoint{} + std::chrono::seconds(second));
          }
        }) == "worker: for a sink\n"                          // 3
              "worker: for a sink\n"                          // 33
              "worker: for a sink: nobody answers there\n"    // 40
              "worker: for a sink: nobody answers there\n");  // 51
}

TEST_CASE("without asking only warnings and errors are shown", "[log]") {
  CHECK(written([] {
          const Log log("sink");
          log.debug("1");
          log.info("2");
          log.warning("3");
          log.error("4");
        }) == "sink: 3\nsink: 4\n");
}

TEST_CASE("a level shows itself and what is above", "[log]") {
  CHECK(written([] {
          const Log log("sink", LogLevel::Info);
          log.debug("1");
          log.info("2");
        }) == "sink: 2\n");
  CHECK(Log("sink", LogLevel::Info).shows(LogLevel::Info));
  CHECK_FALSE(Log("sink", LogLevel::Info).shows(LogLevel::Debug));
  CHECK(written([] { Log("sink", LogLevel::Error).warning("x"); }).empty());
}

TEST_CASE("two roles in one process have a voice each", "[log]") {
  CHECK(written([] {
          const Log worker("worker"), sink("sink");
          worker.warning("a");
          sink.warning("b");
          const Log copy = worker;
          copy.warning("c");
        }) == "worker: a\nsink: b\nworker: c\n");
}

TEST_CASE("of many dropped frames the first is told at once and the rest in one line", "[log]") {
  CHECK(written([] {
          const Log log("sink");
          cli::DroppedFrames dropped(log);
          const base::TimePoint start{base::Duration(1)};
          for (int i = 0; i < 5; ++i) dropped.note("no version", start + base::Duration(i));
          dropped.note("another run", start + base::Duration(10'000'000));
          dropped.note("no version", start + base::Duration(20'000'000));
        }) == "sink: dropped a frame: no version\nsink: dropped 5 frames, the last one: another run\nsink: dropped a frame: no version\n");
}
