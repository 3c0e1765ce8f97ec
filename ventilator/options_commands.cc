#include "ventilator/options_commands.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "cli/durations.h"
#include "cli/environment.h"
#include "cli/exit_status.h"

extern char** environ;

namespace ventilator {

namespace {

constexpr std::uint32_t kMostPercent = 1'000'000;

CLI::ValidationError wrong(const std::string& message) { return {message, CLI::ExitCodes::ValidationError}; }

void take_timeout(const std::string& text, CommandOptions& options) {
  options.timeout = base::Duration::zero();
  options.timeout_percent = 0;
  if (text.ends_with('%')) {
    char* end = nullptr;
    const double percent = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + text.size() - 1 || !(percent >= 1) || percent > kMostPercent) throw wrong("--timeout: '" + text + "' is not a share of at least 1%");
    options.timeout_percent = static_cast<std::uint32_t>(percent);
    return;
  }
  const auto time = cli::parse_duration(text);
  if (!time) throw wrong("--timeout: " + time.error().message);
  options.timeout = *time;
}

// A variable, or a function that bash has exported under that name.
void add_variable(const std::string& name, std::vector<std::string>& entries) {
  for (const std::string& known : {name, "BASH_FUNC_" + name + "%%"}) {
    if (const char* value = std::getenv(known.c_str())) entries.push_back(known + "=" + value);
  }
}

}  // namespace

void add_commands(CLI::App& app, CommandOptions& options) {
  app.add_option_function<std::string>("--shell", [&options](const std::string& text) {
    options.shell = cli::find_shell(text);
    if (options.shell.empty()) throw wrong("--shell: " + text + " is no program that can be run: name a shell by its path or as PATH finds it");
  }, "the shell that runs the commands; default: $PARALLEL_SHELL, or the one that called")->type_name("SHELL");
  app.add_option("--wd,--workdir", options.directory, "run the commands in DIR, which is made if it is not there; '.' is where the run was begun, "
                                                      "'...' a new directory of its own for each job, under ~/.pushmill/tmp")->type_name("DIR");
  app.add_option_function<std::vector<std::string>>("--env", [&options](const std::vector<std::string>& lists) {
    options.environment.clear();
    for (const std::string& list : lists) {
      std::istringstream names(list);
      for (std::string name; std::getline(names, name, ',');) {
        if (name.find('=') != std::string::npos) throw wrong("--env: '" + name + "' is no name of a variable: set it before, and name it here");
        if (!name.empty()) options.environment.push_back(name);
      }
    }
  }, "variables and exported functions that travel with each job as they are now: names with commas between, or _ for all; jobs have what their worker has besides")
      ->type_name("NAME,...")->allow_extra_args(false);
  app.add_option("--nice", options.nice, "run the commands at this niceness")->type_name("N")->check(CLI::Range(-20, 19));
  app.add_option_function<std::string>("--timeout", [&options](const std::string& text) { take_timeout(text, options); },
                                       "limit of one attempt, whose whole process tree is ended: a time, or N% of what the jobs that succeeded took, their median")->type_name("TIME");
  cli::add_ending(app, options.term_seq, options.kill_leftovers);
}

std::optional<cli::Leave> check_commands(const CLI::App& app, const CommandOptions&, const cli::Work& work) {
  if (!work.call) return std::nullopt;
  for (const char* name : {"--shell", "--wd", "--env", "--nice", "--term-seq", "--kill-leftovers"}) {
    if (app.count(name) > 0) return cli::Leave{cli::kExitUsage, std::string(name) + " is for commands: a call is run by the worker itself\n"};
  }
  return std::nullopt;
}

JobDefaults defaults_of(const CommandOptions& options, std::string calling_shell) {
  JobDefaults defaults;
  defaults.shell = options.shell.empty() ? std::move(calling_shell) : options.shell;
  if (!options.directory.empty() && options.directory != "...") {
    std::error_code error;
    const auto path = std::filesystem::absolute(options.directory, error).lexically_normal();
    defaults.directory = error ? options.directory : path.string();
    if (defaults.directory.size() > 1 && defaults.directory.ends_with('/')) defaults.directory.pop_back();
  } else {
    defaults.directory = options.directory;
  }
  defaults.time_limit = options.timeout;
  defaults.term_seq = options.term_seq;
  defaults.kill_leftovers = options.kill_leftovers;
  defaults.nice = options.nice;
  for (const std::string& name : options.environment) {
    if (name != "_") add_variable(name, defaults.environment);
    else for (char** entry = environ; *entry != nullptr; ++entry) defaults.environment.emplace_back(*entry);
  }
  return defaults;
}

}  // namespace ventilator
