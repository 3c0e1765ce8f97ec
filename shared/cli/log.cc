#include "cli/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "base/one_line.h"
#include "cli/status_line.h"

namespace cli {

namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::Debug: return spdlog::level::debug;
    case LogLevel::Info: return spdlog::level::info;
    case LogLevel::Warning: return spdlog::level::warn;
    case LogLevel::Error: break;
  }
  return spdlog::level::err;
}

}  // namespace

Log::Log(const std::string& program, LogLevel level)
    : logger_(std::make_shared<spdlog::logger>(program, std::make_shared<spdlog::sinks::stderr_sink_mt>())), level_(level) {
  logger_->set_level(level_of(level));
  logger_->set_pattern("%n: %v");
}

void Log::debug(std::string_view line) const { write(LogLevel::Debug, line); }
void Log::info(std::string_view line) const { write(LogLevel::Info, line); }
void Log::warning(std::string_view line) const { write(LogLevel::Warning, line); }
void Log::error(std::string_view line) const { write(LogLevel::Error, line); }

void Log::write(LogLevel level, std::string_view line) const {
  if (!shows(level)) return;
  // A role's loop is not to wait for a terminal that somebody has stopped.
  const auto way = StatusLine::of_process().try_make_way();
  const std::string safe = base::one_line(line);
  logger_->log(level_of(level), spdlog::string_view_t(safe.data(), safe.size()));
}

}  // namespace cli
