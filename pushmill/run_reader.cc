#include "pushmill/run_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "base/job.h"
#include "io/clock.h"
#include "io/database_copy.h"
#include "io/run_directory.h"
#include "pushmill/moments.h"
#include "sink/result_log.h"
#include "ventilator/origin.h"
#include "wire/codec.h"

namespace pushmill {

using base::Error;

namespace {

constexpr const char* kJobs = "jobs.db";

std::optional<io::Database> none() { return std::nullopt; }

base::Result<std::optional<io::Database>> open_if_there(const std::string& path, int version) {
  auto database = io::Database::open_read_only(path, version);
  if (database) return std::optional<io::Database>(std::move(*database));
  if (database.error().kind == Error::Kind::NotFound) return none();
  return database.error();
}

}  // namespace

base::Result<RunReader> RunReader::open(const std::string& directory, io::TakeOver take_over) {
  RunReader reader;
  if (directory.empty()) {
    const auto runs = io::runs_without_a_name();
    if (runs.empty()) return Error{Error::Kind::NotFound, "there is no run without a name here: name a run directory"};
    reader.path_ = runs.front();
  } else {
    const auto found = io::look_at_run_directory(directory);
    if (!found) return found.error();
    reader.path_ = found->path;
  }
  if (auto read = reader.read(take_over); !read) return read.error();
  return reader;
}

base::Status RunReader::read(io::TakeOver take_over) {
  bool is_held_here = false;
  for (const char* name : {io::Lock::kVentilator, io::Lock::kSink}) {
    auto holder = io::Lock::holder(path_, name);
    const bool is_here = holder && !io::Lock::check(path_, name, io::TakeOver::Yes);
    if (take_over == io::TakeOver::Yes && !is_here) holder.reset();
    is_held_here = is_held_here || is_here;
    (name == io::Lock::kSink ? sink_ : ventilator_) = std::move(holder);
  }
  const bool is_live = ventilator_ || sink_;
  has_databases_ = !is_live || !io::is_network_filesystem(path_);
  is_held_elsewhere_ = !has_databases_ && !is_held_here;
  if (sink_) read_status();
  if (!has_databases_) return base::ok();
  auto summary = ventilator::Spool::peek(path_);
  if (summary) summary_ = std::move(*summary);
  else if (summary.error().kind != Error::Kind::NotFound) return summary.error();
  if (summary_) exit_status_ = summary_->ended;
  if (exit_status_) return base::ok();
  auto log = results();
  if (!log) return log.error();
  if (!*log) return base::ok();
  // An end behind which the input has gone on is one no more.
  auto mark = (*log)->prepare("SELECT (SELECT value FROM meta WHERE key = 'ended_status') WHERE (SELECT value FROM meta WHERE key = 'ended_total') = ?1"
                              " AND (SELECT value FROM meta WHERE key = 'ended_cut') = ?2");
  if (!mark) return mark.error();
  if (summary_) mark->bind(1, static_cast<std::int64_t>(summary_->accepted)).bind(2, summary_->cut);
  const auto row = mark->step();
  if (!row) return row.error();
  if (*row) exit_status_ = static_cast<int>(mark->integer(0));
  return base::ok();
}

void RunReader::read_status() {
  std::ifstream file(path_ + "/" + io::kStatusFile, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  if (text.empty()) return;
  const auto parsed = json::parse(text);
  if (parsed && number_in(*parsed, "version") == 1) status_ = *parsed;
}

RunReader::State RunReader::state() const {
  if (ventilator_ || sink_) return State::Live;
  return exit_status_ ? State::Ended : State::Interrupted;
}

const char* RunReader::state_text() const {
  switch (state()) {
    case State::Live: return "live";
    case State::Ended: return "ended";
    case State::Interrupted: break;
  }
  return "interrupted";
}

std::string RunReader::holder() const { return ventilator_ ? *ventilator_ : sink_.value_or(""); }

std::string RunReader::advice() const {
  const base::WallTime at = changed_at();
  const std::string last = at == 0 ? "" : "its files last changed " + span_text(base::Duration(io::wall_now() - at)) + " ago: ";
  return last + "if that host is dead, go on with --take-over";
}

base::Result<std::optional<io::Database>> RunReader::database(const char* name, int version) const {
  if (has_databases_) return open_if_there(path_ + "/" + name, version);
  const auto copy = io::DatabaseCopy::make(path_, name);
  if (!copy) return copy.error();
  return open_if_there(copy->path(), version);
}

base::Result<std::optional<io::Database>> RunReader::results() const { return database(sink::ResultLog::kFile, sink::ResultLog::kVersion); }

base::Result<std::optional<io::Database>> RunReader::jobs() const { return database(kJobs, ventilator::Spool::kSchemaVersion); }

base::Status RunReader::attach_jobs(io::Database& database) const {
  if (has_databases_) return database.attach_read_only(path_ + "/" + kJobs, "jobs");
  const auto copy = io::DatabaseCopy::make(path_, kJobs);
  if (!copy) return copy.error();
  return database.attach_read_only(copy->path(), "jobs");
}

std::string RunReader::command() const {
  if (!summary_ || !summary_->template_text) return {};
  return base::shell_join(ventilator::Origin::decode(summary_->origin).arguments);
}

base::Result<RunCounts> RunReader::counts() const {
  RunCounts counts;
  const bool is_told = status_.is_object();
  if (is_told) {
    counts.finished = static_cast<std::uint64_t>(number_in(status_, "finished"));
    counts.failed = static_cast<std::uint64_t>(number_in(status_, "failed"));
    counts.accepted = static_cast<std::uint64_t>(number_in(status_, "total"));
    counts.is_total = counts.accepted > 0;
  }
  if (summary_) {
    counts.accepted = std::max<std::uint64_t>(counts.accepted, summary_->accepted);
    counts.is_total = counts.is_total || summary_->end_of_input;
  }
  if (!has_databases_) return counts;
  if (!is_told) {
    const auto log = sink::ResultLog::peek(path_);
    if (!log && log.error().kind == Error::Kind::NotFound) return counts;
    if (!log) return log.error();
    counts.finished = log->finished;
    counts.failed = log->failed;
  }
  const auto settled = sink::ResultLog::failures(path_, true);
  if (!settled) return settled.error();
  // For a moment the status file may still be that of the call before.
  counts.failed = std::min(counts.failed, counts.finished);
  counts.failed_before = std::min(settled->size(), counts.finished - counts.failed);
  return counts;
}

base::WallTime RunReader::changed_at() const {
  base::WallTime newest = 0;
  for (const char* name : {"jobs.db", "jobs.db-wal", "results.db", "results.db-wal", io::kStatusFile}) {
    struct stat status {};
    if (::stat((path_ + "/" + name).c_str(), &status) != 0) continue;
    newest = std::max<base::WallTime>(newest, std::int64_t{status.st_mtim.tv_sec} * 1'000'000 + status.st_mtim.tv_nsec / 1000);
  }
  return newest;
}

std::int64_t number_in(const json::Value& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number() ? at->get<std::int64_t>() : 0;
}

std::string text_in(const json::Value& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

bool flag_in(const json::Value& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_boolean() && at->get<bool>();
}

base::Result<base::JobId> parse_job(const std::string& text) {
  base::JobId job = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), job);
  if (error == std::errc() && end == text.data() + text.size() && job > 0 && job < base::JobId{1} << 48) return job;
  return Error{Error::Kind::Usage, "'" + text + "' is not the number of a job"};
}

base::Result<base::JobSpec> RunReader::spec(base::JobId job) const {
  auto database = jobs();
  if (!database) return database.error();
  const std::string nowhere = "there is no job " + std::to_string(job) + " in " + path_;
  if (!*database) return Error{Error::Kind::NotFound, nowhere};
  auto select = (*database)->prepare("SELECT spec FROM jobs WHERE job = ?1");
  if (!select) return select.error();
  const auto row = select->bind(1, static_cast<std::int64_t>(job)).step();
  if (!row) return row.error();
  if (!*row) return Error{Error::Kind::NotFound, nowhere};
  auto spec = wire::decode_spec(select->text(0));
  if (!spec) return Error{Error::Kind::Corrupt, path_ + "/jobs.db: job " + std::to_string(job) + ": " + spec.error().message};
  return spec;
}

}  // namespace pushmill
