// What the tests of the sink's outputs share: a folder of their own, rows, waiting with a deadline, and a disk with faults.
#pragma once

#include <catch2/catch.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include "sink/result_log.h"
#include "tests/support/faulty_disk.h"

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sink_output.XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::unique_ptr<sink::ResultLog> open_log(const std::string& folder) {
  auto log = sink::ResultLog::open(folder, io::Durability::Process, false);
  if (!log) FAIL(log.error().message);
  return std::move(*log);
}

// The log as it would be found after a kill -9 now.
inline void copy_as_after_a_crash(const TemporaryFolder& from, const TemporaryFolder& to) {
  for (const char* name : {"results.db", "results.db-wal"})
    if (std::filesystem::exists(from / name)) std::filesystem::copy_file(from / name, to / name, std::filesystem::copy_options::overwrite_existing);
}

inline sink::Row ok_row(base::JobId job, const std::string& out = "", const std::string& err = "") {
  sink::Row row;
  row.result.attempt = {job, 1, job};
  row.result.out = out;
  row.result.err = err;
  row.result.out_bytes = out.size();
  row.result.err_bytes = err.size();
  row.result.command = "command of " + std::to_string(job);
  row.worker.bytes[0] = 0xab;
  row.host = "here";
  return row;
}

inline void commit(sink::ResultLog& log) {
  const auto done = log.commit();
  if (!done) FAIL(done.error().message);
}

template <typename Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

inline std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
