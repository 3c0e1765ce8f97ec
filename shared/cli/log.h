// Lines for people on stderr, each with the name of its program or role in front: "worker: waiting for the sink at tcp://head:7000".
// The only user of spdlog. No threads, no files.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace cli {

enum class LogLevel { Debug, Info, Warning, Error };

// One role's voice; several may write at the same time, from several threads, and lines stay whole. Each is for one thread or several.
class Log {
 public:
  // Lines below `level` are dropped. Warnings and errors are what a user sees without asking for more.
  explicit Log(const std::string& program, LogLevel level = LogLevel::Warning);

  void debug(std::string_view line) const;
  void info(std::string_view line) const;
  void warning(std::string_view line) const;
  void error(std::string_view line) const;
  bool shows(LogLevel level) const { return level >= level_; }  // to save the making of a line

 private:
  void write(LogLevel level, std::string_view line) const;

  std::shared_ptr<spdlog::logger> logger_;
  LogLevel level_;
};

}  // namespace cli
