// `pushmill why`: the story of one job in words.
#include <algorithm>
#include <cstdio>

#include "cli/exit_status.h"
#include "cli/standard_output.h"
#include "io/clock.h"
#include "pushmill/answers.h"
#include "pushmill/moments.h"
#include "pushmill/run_reader.h"
#include "sink/result_log.h"
#include "wire/codec.h"

namespace pushmill {

using base::Error;

namespace {

struct Attempt {
  std::uint64_t ordinal = 0, epoch = 0, n = 0;
  std::string outcome, reason, worker, host;
  std::int64_t exit_code = 0, signal = 0, slot = 0, started_at = 0, finished_at = 0, runtime_us = 0;
  bool counted = false, alone = false, is_result = false, was_retried = false;
};

struct Story {
  std::vector<Attempt> attempts;  // those that have ended, in their order
  std::string command;
  bool is_finished = false;
  std::int64_t retries = 1;
  bool is_at_most_once = false;
};

constexpr const char* kAttempts =
    "SELECT attempt, epoch, n, outcome, reason, worker, host, exit_code, signal, slot, started_at, finished_at, runtime_us, counted, alone, 0,"
    " least_epoch IS NOT NULL FROM attempts WHERE job = ?1"
    " UNION ALL SELECT attempt, epoch, n, outcome, reason, worker, host, exit_code, signal, slot, started_at, finished_at, runtime_us, 1, 0, 1, 0"
    " FROM results WHERE job = ?1 ORDER BY 2, 3";

base::Status read_attempts(io::Database& results, base::JobId job, Story& story) {
  auto select = results.prepare(kAttempts);
  if (!select) return select.error();
  select->bind(1, static_cast<std::int64_t>(job));
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return base::ok();
    const auto number = [&](int column) { return static_cast<std::uint64_t>(select->integer(column)); };
    const auto text = [&](int column) { return std::string(select->text(column)); };
    Attempt attempt{number(0), number(1), number(2), text(3), text(4), text(5), text(6)};
    std::int64_t* const figures[] = {&attempt.exit_code, &attempt.signal, &attempt.slot, &attempt.started_at, &attempt.finished_at, &attempt.runtime_us};
    for (int i = 0; i < 6; ++i) *figures[i] = select->integer(7 + i);
    attempt.counted = select->integer(13) != 0;
    attempt.alone = select->integer(14) != 0;
    attempt.is_result = select->integer(15) != 0;
    attempt.was_retried = select->integer(16) != 0;
    // In `attempts` the reason begins with the outcome.
    if (attempt.reason.starts_with(attempt.outcome)) attempt.reason.erase(0, attempt.outcome.size());
    if (attempt.reason.starts_with(": ")) attempt.reason.erase(0, 2);
    story.is_finished = story.is_finished || attempt.is_result;
    story.attempts.push_back(std::move(attempt));
  }
}

base::Status read_policy(io::Database& results, Story& story) {
  auto select = results.prepare("SELECT key, value FROM meta WHERE key IN ('policy_retries', 'policy_at_most_once')");
  if (!select) return select.error();
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return base::ok();
    if (select->text(0) == "policy_retries") story.retries = select->integer(1);
    else story.is_at_most_once = select->integer(1) != 0;
  }
}

// The job as it was accepted; none: it was not.
base::Result<std::optional<std::string>> read_command(io::Database& jobs, base::JobId job) {
  auto select = jobs.prepare("SELECT spec FROM jobs WHERE job = ?1");
  if (!select) return select.error();
  const auto row = select->bind(1, static_cast<std::int64_t>(job)).step();
  if (!row) return row.error();
  if (!*row) return std::optional<std::string>();
  const auto spec = wire::decode_spec(select->text(0));
  if (!spec) return Error{Error::Kind::Corrupt, "jobs.db: job " + std::to_string(job) + ": " + spec.error().message};
  return std::optional(wire::describe(*spec));
}

std::string how_it_ended(const Attempt& attempt) {
  std::string text = attempt.outcome;
  if (attempt.outcome == "ok") text = "it succeeded";
  else if (attempt.outcome == "failed" && attempt.signal > 0)
    text = "it was ended by signal " + std::to_string(attempt.signal) + " (" + ::strsignal(static_cast<int>(attempt.signal)) + ")";
  else if (attempt.outcome == "failed") text = "it failed with exit status " + std::to_string(attempt.exit_code);
  else if (attempt.outcome == "timeout") text = "it was over its time limit, and was ended";
  else if (attempt.outcome == "oom") text = "it was ended for want of memory";
  else if (attempt.outcome == "lost") text = "it was lost";
  else if (attempt.outcome == "returned") text = attempt.slot > 0 ? "it was given back" : "it was given back unstarted";
  else if (attempt.outcome == "cancelled") text = attempt.reason.empty() ? "it was cut short, because its worker was stopped or the run halted" : "it was cut short";
  else if (attempt.outcome == "superseded") text = "another attempt had been first";
  if (!attempt.reason.empty()) text += ": " + attempt.reason;
  if (attempt.was_retried) text += ". Then you had it retried";
  return text;
}

void print_attempt(const Attempt& attempt, base::WallTime now) {
  const std::string ordinal = attempt.ordinal > 0 ? std::to_string(attempt.ordinal) : "-";
  std::printf("  attempt %s (%llu.%llu)", ordinal.c_str(), static_cast<unsigned long long>(attempt.epoch), static_cast<unsigned long long>(attempt.n));
  if (!attempt.host.empty()) std::printf(" on %s", shown(attempt.host).c_str());
  const bool is_known = attempt.worker.find_first_not_of('0') != std::string::npos;
  if (is_known) std::printf(", worker %s", attempt.worker.substr(0, 8).c_str());
  if (attempt.slot > 0) std::printf(", slot %lld", static_cast<long long>(attempt.slot));
  if (attempt.started_at > 0) {
    std::printf(", %s to %s (%s s)", clock_text(attempt.started_at, now).c_str(), clock_text(attempt.finished_at, now).c_str(),
                seconds_text(attempt.runtime_us).c_str());
  }
  if (attempt.alone) std::printf(", alone on its worker");
  std::printf(":\n    %s\n", shown(how_it_ended(attempt)).c_str());
}

std::uint64_t counted(const Story& story, bool losses) {
  const auto counts = [losses](const Attempt& attempt) { return attempt.counted && !attempt.is_result && (attempt.outcome == "lost") == losses; };
  return static_cast<std::uint64_t>(std::count_if(story.attempts.begin(), story.attempts.end(), counts));
}

std::string ending(const Story& story) {
  const Attempt& last = *std::find_if(story.attempts.begin(), story.attempts.end(), [](const Attempt& a) { return a.is_result; });
  if (last.outcome == "ok") return "It is done.";
  const std::string never = "It will not run again: ", retry = " To have it run again: pushmill retry";
  if (last.outcome == "lost" && story.is_at_most_once) return never + "it may have begun (--at-most-once)." + retry;
  if (last.outcome == "lost") return never + "its workers died under it too often (--crash-limit)." + retry;
  const bool may_run_more = story.retries == 0 || counted(story, false) + 1 < static_cast<std::uint64_t>(story.retries);
  if (may_run_more) return never + "a failure of this kind is for good (--retry-on, --no-retry-on)." + retry;
  return never + "it may run " + std::to_string(story.retries) + (story.retries == 1 ? " time" : " times") + " in all (--retries)." + retry;
}

// Where a job that is not finished is now, as the living sink says.
const json::Value* find_out(const json::Value& status, base::JobId job) {
  const auto jobs = status.find("jobs");
  if (jobs == status.end() || !jobs->is_array()) return nullptr;
  for (const json::Value& out : *jobs) {
    if (number_in(out, "job") == static_cast<std::int64_t>(job)) return &out;
  }
  return nullptr;
}

std::string host_of(const json::Value& status, const std::string& worker) {
  const auto workers = status.find("workers");
  if (workers == status.end() || !workers->is_array()) return {};
  for (const json::Value& known : *workers) {
    if (text_in(known, "worker") == worker) return text_in(known, "host");
  }
  return {};
}

bool has_workers(const json::Value& status) {
  const auto workers = status.find("workers");
  if (workers == status.end() || !workers->is_array()) return false;
  return std::any_of(workers->begin(), workers->end(), [](const json::Value& worker) { return !flag_in(worker, "has_left"); });
}

std::string where_it_is(const json::Value& status, const json::Value& out, base::WallTime now) {
  const std::string worker = text_in(out, "worker"), host = host_of(status, worker);
  std::string text = flag_in(out, "is_running") ? "It runs" : "It has been handed out";
  text += " (attempt " + std::to_string(number_in(out, "epoch")) + "." + std::to_string(number_in(out, "n")) + "): worker " + worker.substr(0, 8);
  if (!host.empty()) text += " on " + host;
  return text + " has had it for " + span_text(base::Duration(now - number_in(out, "since"))) + ".";
}

std::string why_again(const Story& story) {
  const Attempt& last = story.attempts.back();
  if (last.was_retried) return "It runs again because you had it retried.";
  if (last.outcome == "lost") {
    return counted(story, true) >= 2 ? "It runs again, alone on a worker, for it may be what workers die of: it waits for one that has nothing else to do."
                                     : "It runs again because its worker was lost.";
  }
  if (last.outcome == "returned" || last.outcome == "cancelled") return "It runs again; that attempt counts for nothing.";
  const std::string limit = story.retries == 0 ? "until it succeeds" : std::to_string(story.retries) + " times in all";
  return "It runs again: it has failed " + std::to_string(counted(story, false)) + " times, and may run " + limit + " (--retries), each time after its delay (--retry-delay).";
}

std::string state_now(const RunReader& run, const Story& story) {
  const std::string again = story.attempts.empty() ? "" : why_again(story) + " ";
  if (run.state() == RunReader::State::Ended) return again + "But the run has ended without it.";
  if (run.state() == RunReader::State::Interrupted) return again + "It waits because the run is interrupted: pushmill resume goes on with it.";
  const json::Value& status = run.status();
  if (!run.has_ventilator()) return again + "It waits for the ventilator, which is not running.";
  if (!run.has_sink()) return again + "It waits for the sink, which is not running.";
  if (status.is_object() && !has_workers(status)) return again + "It waits for a worker: none is there.";
  const auto listed = status.find("jobs");
  const bool is_list_whole = listed != status.end() && listed->is_array() && static_cast<std::int64_t>(listed->size()) >= number_in(status, "out");
  return again + (is_list_whole ? "It waits for its turn." : "It waits for its turn, or has just been handed out.");
}

}  // namespace

base::Result<int> why(const JobOptions& options) {
  const auto run = RunReader::open(options.directory, options.take_over);
  if (!run) return run.error();
  const base::WallTime now = io::wall_now();
  const std::string name = "job " + std::to_string(options.job);
  Story story;
  auto jobs = run->jobs();
  if (!jobs) return jobs.error();
  auto command = *jobs ? read_command(**jobs, options.job) : base::Result<std::optional<std::string>>(std::nullopt);
  if (!command) return command.error();
  auto results = run->results();
  if (!results) return results.error();
  if (*results) {
    if (auto read = read_attempts(**results, options.job, story); !read) return read.error();
    if (auto read = read_policy(**results, story); !read) return read.error();
  }
  if (!*command && story.attempts.empty()) {
    const auto& summary = run->summary();
    const std::string known = summary ? ": it has " + std::to_string(summary->accepted) + (summary->end_of_input ? "" : " so far") : "";
    return Error{Error::Kind::NotFound, "there is no " + name + " in " + run->path() + known};
  }
  story.command = command->value_or("");
  const json::Value* out = story.is_finished ? nullptr : find_out(run->status(), options.job);
  std::printf("%s%s%s\n", name.c_str(), story.command.empty() ? "" : ": ", shown(story.command).c_str());
  for (const Attempt& attempt : story.attempts) print_attempt(attempt, now);
  std::string last = story.is_finished ? ending(story) : out != nullptr ? where_it_is(run->status(), *out, now) : state_now(*run, story);
  if (run->is_held_elsewhere()) last += " (Nobody here can tell whether the run lives; " + run->advice() + ".)";
  std::printf("  %s\n", shown(last).c_str());
  if (auto written = cli::flush(stdout); !written) return written.error();
  return cli::kExitOk;
}

}  // namespace pushmill
