// pushmill: the front. `run` and `resume` work here; the role programs are executed in its place.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "cli/exit_status.h"
#include "cli/program.h"
#include "pushmill/answers.h"
#include "pushmill/defaults.h"
#include "pushmill/options.h"
#include "pushmill/run.h"

namespace {

constexpr char kHelp[] =
    "pushmill runs many jobs on any number of machines and loses none.\n"
    "\n"
    "  pushmill run [OPTIONS] COMMAND ::: ARGUMENTS   run a command for each argument, here\n"
    "  pushmill run [OPTIONS] COMMAND < LINES         the same for each line of standard input\n"
    "  pushmill resume DIR                            continue an interrupted run\n"
    "\n"
    "What became of it: live, ended or broken off. Without DIR it is the newest run without a name.\n"
    "  pushmill status [DIR]                          how it stands: jobs, workers, who has what\n"
    "  pushmill log [DIR]                             its finished jobs; --failed, --json, --tsv and more\n"
    "  pushmill output [DIR] JOB                      what a job wrote\n"
    "  pushmill why [DIR] JOB                         its story in words\n"
    "  pushmill debug [DIR] JOB                       runs it here, recording nothing\n"
    "  pushmill retry [DIR] [--failed|--lost|JOB...]  runs finished jobs again\n"
    "  pushmill sql [DIR] QUERY                       asks the databases\n"
    "  pushmill runs                                  all runs without a name\n"
    "  pushmill rm DIR...|--ended|--older TIME        removes runs\n"
    "\n"
    "Across machines: one sink and one ventilator on one host, workers anywhere.\n"
    "  pushmill sink --listen ENDPOINT --run-dir DIR\n"
    "  pushmill ventilator --sink ENDPOINT --run-dir DIR COMMAND < LINES\n"
    "  pushmill worker --sink ENDPOINT\n"
    "\n"
    "Each of them explains its options with --help.\n";

// argv[0] is the name of the subcommand.
int execute(char** argv) {
  const std::string name = argv[0], path = cli::find_program(name);
  if (!path.empty()) ::execv(path.c_str(), argv);
  std::fprintf(stderr, "pushmill: the %s program is missing: it belongs beside this one or in ../libexec/pushmill\n", name.c_str());
  return cli::kExitOther;
}

int finish(const base::Result<int>& status) { return status ? *status : cli::fail(status.error(), "pushmill"); }

using Words = std::vector<std::string>;

// One that parses its words and does it.
template <typename Options, auto parse, auto act>
int answer(const std::string& name, const Words& words) {
  Options options;
  if (auto leave = parse(words, options)) return cli::leave(*leave, name);
  const base::Result<int> status = act(options);
  return status ? *status : cli::fail(status.error(), name);
}

struct Answer {
  const char* name;
  int (*act)(const std::string& name, const Words& words);
};
constexpr Answer kAnswers[] = {
    {"status", answer<pushmill::StatusOptions, pushmill::parse_status, pushmill::status>},
    {"log", answer<pushmill::LogOptions, pushmill::parse_log, pushmill::log>},
    {"output", answer<pushmill::OutputOptions, pushmill::parse_output, pushmill::output>},
    {"why", answer<pushmill::JobOptions, pushmill::parse_why, pushmill::why>},
    {"debug", answer<pushmill::JobOptions, pushmill::parse_debug, pushmill::debug>},
    {"retry", answer<pushmill::RetryOptions, pushmill::parse_retry, pushmill::retry>},
    {"sql", answer<pushmill::SqlOptions, pushmill::parse_sql, pushmill::sql>},
    {"runs", answer<pushmill::RunsOptions, pushmill::parse_runs, pushmill::runs>},
    {"rm", answer<pushmill::RemoveOptions, pushmill::parse_remove, pushmill::remove>},
};

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  const std::vector<std::string> words(argv + std::min(argc, 2), argv + argc);
  if (command == "run") {
    const auto all = pushmill::with_defaults(words);
    if (!all) return cli::fail(all.error(), "pushmill run");
    pushmill::RunOptions options;
    if (auto leave = pushmill::parse_run(*all, options)) return cli::leave(*leave, "pushmill run");
    return finish(pushmill::run(options, *all));
  }
  if (command == "resume") {
    pushmill::ResumeOptions options;
    if (auto leave = pushmill::parse_resume(words, options)) return cli::leave(*leave, "pushmill resume");
    return finish(pushmill::resume(options));
  }
  for (const Answer& known : kAnswers) {
    if (command == known.name) return known.act("pushmill " + command, words);
  }
  if (command == "ventilator" || command == "worker" || command == "sink") return execute(argv + 1);
  if (command == "--help" || command == "-h" || command == "help") return cli::leave({cli::kExitOk, kHelp}, "pushmill");
  if (command == "--version") return cli::leave({cli::kExitOk, "pushmill " PUSHMILL_VERSION "\n"}, "pushmill");
  if (command.empty()) std::fprintf(stderr, "pushmill: say what to do: run, resume, status, log ...; see pushmill --help\n");
  else std::fprintf(stderr, "pushmill: there is no '%s'; see pushmill --help\n", command.c_str());
  return cli::kExitUsage;
}
