// Runs commands through a real keeper and waits for what they give; looks for processes left behind by a word in their environment.
#pragma once

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "worker/keeper_runner.h"

namespace worker_test {

using namespace std::chrono_literals;
using base::Outcome;

inline base::Command line(std::string text) {
  base::Command command;
  command.line = std::move(text);
  return command;
}

inline base::Command words(std::vector<std::string> argv) {
  base::Command command;
  command.argv = std::move(argv);
  return command;
}

inline bool wait_until(const std::function<bool()>& is_so, std::chrono::milliseconds most = 20s) {
  const auto deadline = std::chrono::steady_clock::now() + most;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

// Empty when it cannot be read: a process may end while its file is being read.
inline std::string contents(const std::string& path) {
  std::string text;
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char chunk[4096];
    for (std::size_t n; (n = std::fread(chunk, 1, sizeof chunk, file)) > 0;) text.append(chunk, n);
    std::fclose(file);
  }
  return text;
}

// Removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/pushmill-keeper-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  std::string script(const std::string& name, const std::string& text, mode_t mode = 0755) const {
    const std::string path = *this / name;
    std::ofstream(path) << text;
    std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
    return path;
  }

 private:
  std::string path_;
};

// Living processes whose command line has `word` in it.
inline std::vector<pid_t> processes_with(const std::string& word) {
  std::vector<pid_t> found;
  DIR* directory = opendir("/proc");
  while (const dirent* entry = readdir(directory)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0 || std::stoi(entry->d_name) == getpid()) continue;
    const std::string command = contents(std::string("/proc/") + entry->d_name + "/cmdline");
    if (command.find(word) != std::string::npos) found.push_back(std::stoi(entry->d_name));
  }
  closedir(directory);
  return found;
}

// A number of seconds to sleep that no other process of this machine is likely to sleep: it stands in the command line and so tells whose a sleeper is.
inline std::string unique_seconds() {
  static int next = 0;
  return "98" + std::to_string(getpid()) + std::to_string(next++);
}

inline worker::KeeperRunner::Config test_config() {
  worker::KeeperRunner::Config config;
  config.keeper = KEEPER_PATH;
  sigemptyset(&config.caller.mask);
  sigemptyset(&config.caller.ignored);
  return config;
}

class Harness {
 public:
  explicit Harness(worker::KeeperRunner::Config config = test_config()) : runner(std::move(config)) {}

  base::Attempt start(const base::Command& command, base::Duration limit = 0us, std::uint32_t slot = 1) {
    const base::Attempt attempt{++jobs_, 2, jobs_ + 5};
    runner.start(attempt, slot, command, limit);
    return attempt;
  }
  // Waits for at least one result; fails after 30 seconds.
  void wait_and_collect(std::vector<wire::Result>& results) {
    const std::size_t before = results.size();
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (results.size() == before) {
      pollfd ready{runner.fd(), runner.events(), 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      if (ready.fd < 0 || left <= 0) FAIL("no result comes");
      poll(&ready, 1, static_cast<int>(left));
      std::vector<worker::OutputRead> outputs;
      runner.collect(outputs, results);
      for (const worker::OutputRead& output : outputs) {
        std::string& all = (output.stream == wire::OutputStream::Out ? streamed_out : streamed_err)[output.attempt];
        all += output.bytes;
        largest_part = std::max(largest_part, output.bytes.size());
        if (grants) runner.grant(output.attempt, output.stream, all.size() + 256 * 1024);
      }
    }
  }
  wire::Result run(const base::Command& command, base::Duration limit = 0us) {
    const base::Attempt attempt = start(command, limit);
    return result_of(attempt);
  }
  wire::Result result_of(const base::Attempt& attempt) {
    std::vector<wire::Result> results;
    wait_and_collect(results);
    REQUIRE(results.size() == 1);
    REQUIRE(results[0].attempt == attempt);
    return results[0];
  }

  worker::KeeperRunner runner;
  std::map<base::Attempt, std::string> streamed_out, streamed_err;
  std::size_t largest_part = 0;
  bool grants = true;  // more of each output as it comes

 private:
  base::JobId jobs_ = 0;
};

}  // namespace worker_test
