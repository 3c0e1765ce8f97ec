// `pushmill status`: how a run stands. Of a live one the sink itself says it, in status.json; of any other its log does.
#include <cstdio>

#include "cli/exit_status.h"
#include "cli/standard_output.h"
#include "io/clock.h"
#include "pushmill/answers.h"
#include "pushmill/moments.h"
#include "pushmill/run_reader.h"
#include "sink/tallies.h"

namespace pushmill {

namespace {

const json::Value kNone = json::Value::array();

const json::Value& list_in(const json::Value& status, const char* key) {
  const auto at = status.find(key);
  return at != status.end() && at->is_array() ? *at : kNone;
}

// The workers as the log knows them, in the form of status.json.
base::Result<json::Value> workers_of_log(const RunReader& run) {
  auto results = run.results();
  if (!results) return results.error();
  auto tallies = *results ? sink::read_tallies(**results) : base::Result<sink::Tallies>(sink::Tallies{});
  if (!tallies) return tallies.error();
  json::Value workers = json::Value::array();
  for (const auto& [id, tally] : *tallies) {
    workers.push_back({{"worker", id.hex()}, {"host", json::bytes(tally.host)}, {"has_left", true}, {"slots", 0}, {"done", tally.done},
                       {"failed", tally.failed}, {"lost", tally.lost}, {"runtime_us", tally.runtime_us}, {"heard_at", tally.heard_at}});
  }
  return workers;
}

// All that is known, as `--json` gives it.
base::Result<json::Value> describe(const RunReader& run) {
  const auto counts = run.counts();
  if (!counts) return counts.error();
  const bool is_live = run.state() == RunReader::State::Live;
  const json::Value& told = run.status();
  const bool is_told = told.is_object();
  json::Value all{{"run", run.path()}, {"state", run.state_text()}};
  all["run"] = json::bytes(run.path());
  all["holder"] = is_live ? json::bytes(run.holder()) : json::Value();
  all["is_held_elsewhere"] = run.is_held_elsewhere();
  all["changed_at"] = run.changed_at();
  all["exit_status"] = run.state() == RunReader::State::Ended && run.exit_status() ? json::Value(*run.exit_status()) : json::Value();
  const std::uint64_t out = is_told ? static_cast<std::uint64_t>(number_in(told, "out")) : 0;
  const std::uint64_t there = counts->accepted > counts->finished + out ? counts->accepted - counts->finished - out : 0;
  all["jobs"] = counts->accepted;
  all["is_total"] = counts->is_total;
  all["done"] = counts->finished - counts->failed - counts->failed_before;
  all["failed"] = counts->failed;
  all["failed_before"] = counts->failed_before;
  all["out"] = is_told ? json::Value(out) : json::Value();
  all["waiting"] = there;
  const double rate = is_told && told.contains("rate") && told["rate"].is_number() ? told["rate"].get<double>() : 0;
  all["rate"] = is_told ? json::Value(rate) : json::Value();
  const bool has_eta = rate > 0 && counts->is_total;
  all["eta_seconds"] = has_eta ? json::Value(static_cast<double>(counts->accepted - std::min(counts->accepted, counts->finished)) / rate) : json::Value();
  all["told_at"] = is_told ? json::Value(number_in(told, "written_at")) : json::Value();
  all["has_databases"] = run.has_databases();
  if (is_told || !run.has_databases()) {
    all["workers"] = list_in(told, "workers");
    all["known_workers"] = number_in(told, "known_workers");
  } else {
    auto workers = workers_of_log(run);
    if (!workers) return workers.error();
    all["known_workers"] = workers->size();
    all["workers"] = std::move(*workers);
  }
  all["jobs_out"] = is_told ? list_in(told, "jobs") : kNone;
  return all;
}

std::string plural(std::int64_t count, const char* what) { return std::to_string(count) + " " + what + (count == 1 ? "" : "s"); }

void print_heading(const RunReader& run, const json::Value& all) {
  std::string state = run.state_text();
  if (!all["holder"].is_null()) state += ", " + run.holder();
  if (!all["exit_status"].is_null()) state += " with status " + std::to_string(number_in(all, "exit_status"));
  std::printf("%s: %s\n", shown(run.path()).c_str(), shown(state).c_str());
  if (run.state() == RunReader::State::Live && !run.has_ventilator()) std::printf("the ventilator is not running: nothing is handed out\n");
  if (run.state() == RunReader::State::Live && !run.has_sink()) std::printf("the sink is not running: nothing is recorded\n");
  if (run.state() == RunReader::State::Interrupted) std::printf("continue it with: pushmill resume %s\n", base::shell_quote(run.path()).c_str());
  if (!run.has_databases()) std::printf("as its sink says: on a network file system a live run has its databases to itself\n");
  if (run.is_held_elsewhere()) std::printf("nobody here can tell whether it lives; %s\n", run.advice().c_str());
}

void print_counts(const json::Value& all) {
  std::string line = plural(number_in(all, "jobs"), "job") + (flag_in(all, "is_total") ? "" : " so far") + ": ";
  line += std::to_string(number_in(all, "done")) + " done, " + std::to_string(number_in(all, "failed")) + " failed, ";
  if (number_in(all, "failed_before") > 0) line += std::to_string(number_in(all, "failed_before")) + " failed in earlier calls, ";
  if (!all["out"].is_null()) line += std::to_string(number_in(all, "out")) + " out, ";
  line += std::to_string(number_in(all, "waiting")) + " waiting";
  if (!all["rate"].is_null()) {
    char rate[40];
    std::snprintf(rate, sizeof rate, "; %.1f/s", all["rate"].get<double>());
    line += rate;
  }
  if (!all["eta_seconds"].is_null()) line += ", " + span_text(base::Duration(static_cast<std::int64_t>(all["eta_seconds"].get<double>() * 1e6))) + " left";
  std::printf("%s\n", line.c_str());
}

std::string ago(std::int64_t at, base::WallTime now) { return at == 0 ? "-" : span_text(base::Duration(now - at)) + " ago"; }

base::Status print_workers(const json::Value& all, base::WallTime now) {
  if (all["workers"].empty()) return base::ok();
  std::printf("\n");
  Rows rows(stdout, Format::Table, {"worker", "host", "slots", "done", "failed", "lost", "mean s", "heard"});
  for (const json::Value& worker : all["workers"]) {
    const std::int64_t ran = number_in(worker, "done") + number_in(worker, "failed");
    rows.add({text_in(worker, "worker").substr(0, 8), text_in(worker, "host"), flag_in(worker, "has_left") ? Value() : Value(number_in(worker, "slots")),
              number_in(worker, "done"), number_in(worker, "failed"), number_in(worker, "lost"),
              seconds_text(ran > 0 ? number_in(worker, "runtime_us") / ran : 0), ago(number_in(worker, "heard_at"), now)});
  }
  if (auto ended = rows.end(); !ended) return ended;
  const std::int64_t more = number_in(all, "known_workers") - static_cast<std::int64_t>(all["workers"].size());
  if (more > 0) std::printf("and %s that were heard earlier\n", plural(more, "worker").c_str());
  return base::ok();
}

base::Status print_out(const json::Value& all, base::WallTime now) {
  if (all["jobs_out"].empty()) return base::ok();
  std::printf("\n");
  Rows rows(stdout, Format::Table, {"job out", "attempt", "worker", "since", "state"});
  for (const json::Value& out : all["jobs_out"]) {
    const std::string state = std::string(flag_in(out, "is_running") ? "running" : "handed out") + (flag_in(out, "is_alone") ? ", alone" : "");
    rows.add({number_in(out, "job"), std::to_string(number_in(out, "epoch")) + "." + std::to_string(number_in(out, "n")), text_in(out, "worker").substr(0, 8),
              ago(number_in(out, "since"), now), state});
  }
  if (auto ended = rows.end(); !ended) return ended;
  const std::int64_t more = number_in(all, "out") - static_cast<std::int64_t>(all["jobs_out"].size());
  if (more > 0) std::printf("and %s out\n", plural(more, "more job").c_str());
  return base::ok();
}

}  // namespace

base::Result<int> status(const StatusOptions& options) {
  const auto run = RunReader::open(options.directory, options.take_over);
  if (!run) return run.error();
  const auto all = describe(*run);
  if (!all) return all.error();
  if (options.json) {
    std::printf("%s\n", json::print(*all).c_str());
  } else {
    const base::WallTime now = io::wall_now();
    print_heading(*run, *all);
    print_counts(*all);
    if (auto printed = print_workers(*all, now); !printed) return printed.error();
    if (auto printed = print_out(*all, now); !printed) return printed.error();
  }
  if (auto written = cli::flush(stdout); !written) return written.error();
  return cli::kExitOk;
}

}  // namespace pushmill
