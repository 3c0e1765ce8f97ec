#include "ventilator/spool.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/job.h"
#include "io/entropy.h"
#include "io/run_directory.h"
#include "wire/codec.h"

namespace ventilator {

using base::Error;
using base::JobId;
using base::Status;

namespace {

constexpr const char* kSchema =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE jobs(job INTEGER PRIMARY KEY, spec BLOB NOT NULL, hash INTEGER NOT NULL);";

enum EndOfInput : std::int64_t { kOpen = 0, kWhole = 1, kCut = 2 };

constexpr const char* kTakeBackEnd = "DELETE FROM meta WHERE key = 'ended'";

// One read of the file: enough to make its cost per job small, bounded in bytes because one job may have 8 MiB.
constexpr int kAheadJobs = 256;
constexpr std::size_t kAheadBytes = 1u << 20;

// Longer texts are clipped in messages.
constexpr std::size_t kShownBytes = 160;

std::string path_in(const std::string& directory) { return directory + "/jobs.db"; }

// `text` from byte `from` on, as it can stand in a message of one line.
std::string shown(std::string_view text, std::size_t from = 0) {
  std::string line = from > 0 ? "`..." : "`";
  for (char c : text.substr(from, kShownBytes)) {
    if (c == '\n') line += "\\n";
    else line += static_cast<unsigned char>(c) < ' ' ? '?' : c;
  }
  return line += text.size() - from > kShownBytes ? "...`" : "`";
}

// Two texts that differ, where they differ.
std::string now_and_was(std::string_view now, std::string_view was) {
  const auto same = static_cast<std::size_t>(std::mismatch(now.begin(), now.end(), was.begin(), was.end()).first - now.begin());
  const std::size_t from = same > kShownBytes / 2 ? same - kShownBytes / 4 : 0;
  return shown(now, from) + ", was " + shown(was, from);
}

std::string shown_limit(base::Duration limit) { return limit.count() == 0 ? "none" : std::to_string(limit.count()) + " us"; }

// The first thing in which two jobs differ, in words that follow "record N".
std::string difference(const base::JobSpec& now, const base::JobSpec& was) {
  const std::string now_text = wire::describe(now), was_text = wire::describe(was);
  if (now_text != was_text) return "is now " + now_and_was(now_text, was_text);
  if (now.time_limit != was.time_limit) return "has now the time limit " + shown_limit(now.time_limit) + ", had " + shown_limit(was.time_limit);
  const auto command_of = [](const base::JobSpec& spec) {
    const auto* record = std::get_if<base::Record>(&spec.work);
    return record != nullptr ? &record->program : std::get_if<base::Command>(&spec.work);
  };
  const auto *now_command = command_of(now), *was_command = command_of(was);
  if (now_command != nullptr && was_command != nullptr) {
    if (now_command->directory != was_command->directory)
      return "runs now in directory " + shown(now_command->directory) + ", ran in " + shown(was_command->directory);
    if (now_command->shell != was_command->shell) return "runs now in shell " + shown(now_command->shell) + ", ran in " + shown(was_command->shell);
    if (now_command->term_seq != was_command->term_seq) return "is to be ended now by other signals (--term-seq)";
    if (now_command->stdin_bytes != was_command->stdin_bytes || now_command->input != was_command->input) return "reads now another block of the input on stdin";
    if (now_command->kill_leftovers != was_command->kill_leftovers) return std::string("is run now ") + (now_command->kill_leftovers ? "with" : "without") + " --kill-leftovers";
    if (now_command->live != was_command->live) return std::string("is shown now ") + (now_command->live ? "while it runs" : "when it has ended") + " (--line-buffer, --ungroup)";
  }
  return shown(now_text) + " is not the job of the same text that was accepted";
}

base::Result<Spool::Summary> read_summary(io::Database& database, const std::string& path) {
  Spool::Summary summary;
  auto meta = database.prepare("SELECT key, value FROM meta");
  if (!meta) return meta.error();
  for (;;) {
    auto row = meta->step();
    if (!row) return row.error();
    if (!*row) break;
    const std::string_view key = meta->text(0);
    if (key == "run") {
      const std::string_view id = meta->text(1);
      if (id.size() != summary.run.bytes.size()) return Error{Error::Kind::Corrupt, path + ": the run id has " + std::to_string(id.size()) + " bytes"};
      std::memcpy(summary.run.bytes.data(), id.data(), id.size());
    } else if (key == "epoch") {
      summary.epoch = static_cast<std::uint64_t>(meta->integer(1));
    } else if (key == "horizon") {
      summary.horizon = static_cast<JobId>(meta->integer(1));
    } else if (key == "template") {
      summary.template_text = std::string(meta->text(1));
    } else if (key == "input") {
      summary.input_text = meta->text(1);
    } else if (key == "origin") {
      summary.origin = meta->text(1);
    } else if (key == "end_of_input") {
      summary.end_of_input = meta->integer(1) != kOpen;
      summary.cut = meta->integer(1) == kCut;
    } else if (key == "cut_reason") {
      summary.cut_reason = meta->text(1);
    } else if (key == "keeps_dispatches") {
      summary.keeps_dispatches = meta->integer(1) != 0;
    } else if (key == "accepted_before") {
      summary.accepted_before = static_cast<JobId>(meta->integer(1));
    } else if (key == "ended") {
      summary.ended = static_cast<int>(meta->integer(1));
    } else if (key == "halts_over") {
      summary.halts_over = static_cast<std::uint64_t>(meta->integer(1));
    }
  }
  auto jobs = database.prepare("SELECT max(job) FROM jobs");
  if (!jobs) return jobs.error();
  auto row = jobs->step();
  if (!row) return row.error();
  summary.accepted = *row ? static_cast<JobId>(jobs->integer(0)) : 0;
  return summary;
}

}  // namespace

std::uint64_t content_hash(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

// ---- blocks

void Spool::Block::add(std::string_view spec) {
  bytes += spec;
  ends.push_back(bytes.size());
}

std::string_view Spool::Block::spec(JobId job) const {
  const std::size_t index = job - first;
  const std::size_t begin = index == 0 ? 0 : ends[index - 1];
  return std::string_view(bytes).substr(begin, ends[index] - begin);
}

std::size_t Spool::Block::memory() const { return sizeof *this + bytes.capacity() + ends.capacity() * sizeof ends[0]; }

// ---- opening

base::Result<Spool> Spool::open(const std::string& directory, io::Durability durability, bool exclusive, std::size_t cache_bytes) {
  auto database = io::Database::open(path_in(directory), kSchemaVersion, kSchema, durability, exclusive);
  if (!database) return database.error();
  auto summary = read_summary(*database, path_in(directory));
  if (!summary) return summary.error();
  Spool spool(std::move(*database), cache_bytes);
  spool.summary_ = std::move(*summary);
  if (auto prepared = spool.prepare(); !prepared) return prepared.error();
  if (auto begun = spool.begin_epoch(); !begun) return begun.error();
  return spool;
}

base::Result<Spool::Summary> Spool::peek(const std::string& directory) {
  const std::string path = path_in(directory);
  auto database = io::Database::open_read_only(path, kSchemaVersion);
  if (!database) return database.error();
  auto summary = read_summary(*database, path);
  if (summary && summary->run.is_zero()) return Error{Error::Kind::NotFound, path + ": no run was begun in it"};
  return summary;
}

base::Result<Spool::Summary> Spool::take_back_end(const std::string& directory) {
  auto summary = peek(directory);
  if (!summary || !summary->ended) return summary;
  auto database = io::Database::open(path_in(directory), kSchemaVersion, kSchema, io::Durability::Power, io::is_network_filesystem(directory));
  if (!database) return database.error();
  if (auto done = database->execute(kTakeBackEnd); !done) return done.error();
  summary->ended.reset();
  return summary;
}

Status Spool::for_each_accepted(const std::string& directory, const std::function<void(JobId, base::JobSpec&&)>& each) {
  auto database = io::Database::open_read_only(path_in(directory), kSchemaVersion);
  if (!database) return database.error();
  auto jobs = database->prepare("SELECT job, spec FROM jobs ORDER BY job");
  if (!jobs) return jobs.error();
  for (;;) {
    auto row = jobs->step();
    if (!row) return row.error();
    if (!*row) return base::ok();
    const auto job = static_cast<JobId>(jobs->integer(0));
    auto spec = wire::decode_spec(jobs->text(1));
    if (!spec) return Error{Error::Kind::Corrupt, "jobs.db: job " + std::to_string(job) + ": " + spec.error().message};
    each(job, std::move(*spec));
  }
}

Status Spool::go_on(const std::string& directory, const std::string& template_text, const std::string& origin) {
  auto database = io::Database::open(path_in(directory), kSchemaVersion, kSchema, io::Durability::Power, io::is_network_filesystem(directory));
  if (!database) return database.error();
  Spool spool(std::move(*database), 0);
  if (auto prepared = spool.prepare(); !prepared) return prepared;
  return spool.transaction([&]() -> Status {
    if (auto done = spool.database_.execute(kTakeBackEnd); !done) return done;
    if (auto done = spool.put("end_of_input", kOpen); !done) return done;
    if (auto done = spool.database_.execute("INSERT INTO meta(key, value) SELECT 'accepted_before', coalesce(max(job), 0) FROM jobs WHERE true"
                                            " ON CONFLICT(key) DO UPDATE SET value = excluded.value"); !done) return done;
    if (auto done = spool.put_text("template", template_text); !done) return done;
    return spool.put_text("origin", origin);
  });
}

Status Spool::prepare() {
  const auto prepare = [this](io::Statement& statement, std::string_view sql) -> Status {
    auto prepared = database_.prepare(sql);
    if (!prepared) return prepared.error();
    statement = std::move(*prepared);
    return base::ok();
  };
  auto status = prepare(put_, "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value");
  if (status) status = prepare(insert_, "INSERT INTO jobs(job, spec, hash) VALUES(?1, ?2, ?3)");
  if (status) status = prepare(select_, "SELECT job, spec, hash FROM jobs WHERE job >= ?1 ORDER BY job LIMIT ?2");
  return status;
}

Status Spool::begin_epoch() {
  base::RunId run = summary_.run;
  const std::uint64_t epoch = summary_.epoch + 1;
  auto status = transaction([&]() -> Status {
    if (run.is_zero()) {
      run = io::new_run_id();
      const std::string_view bytes(reinterpret_cast<const char*>(run.bytes.data()), run.bytes.size());
      if (auto done = put_.bind_text(1, "run").bind_blob(2, bytes).run(); !done) return done;
    }
    return put("epoch", static_cast<std::int64_t>(epoch));
  });
  if (status) {
    summary_.run = run;
    summary_.epoch = epoch;
  }
  return status;
}

// ---- writing

template <typename Body>
Status Spool::transaction(Body body) {
  auto status = database_.execute("BEGIN IMMEDIATE");
  if (status) status = body();
  if (status) status = database_.execute("COMMIT");
  if (!status) (void)database_.rollback();  // one that fails too has nothing to add
  return status;
}

Status Spool::put(std::string_view key, std::int64_t value) { return put_.bind_text(1, key).bind(2, value).run(); }

Status Spool::put_text(std::string_view key, std::string_view value) { return put_.bind_text(1, key).bind_text(2, value).run(); }

Status Spool::describe_run(const std::string& template_text, const std::string& input_text, const std::string& origin) {
  if (summary_.template_text && *summary_.template_text != template_text)
    return Error{Error::Kind::Conflict, "the template of this run is now " + now_and_was(template_text, *summary_.template_text)};
  if (summary_.template_text && summary_.input_text == input_text) return base::ok();
  auto status = transaction([&]() -> Status {
    if (auto done = put_text("template", template_text); !done) return done;
    if (summary_.template_text) return put_text("input", input_text);
    if (auto done = put_text("origin", origin); !done) return done;
    return put_text("input", input_text);
  });
  if (status) {
    if (!summary_.template_text) summary_.origin = origin;
    summary_.template_text = template_text;
    summary_.input_text = input_text;
  }
  return status;
}

Status Spool::append(std::span<const std::string> specs) {
  CHECK_INVARIANT(!summary_.end_of_input || summary_.cut);
  if (specs.empty()) return base::ok();
  Block block;
  block.first = summary_.accepted + 1;
  std::size_t total = 0;
  for (const std::string& spec : specs) total += spec.size();
  block.bytes.reserve(total);
  block.ends.reserve(specs.size());
  auto status = transaction([&]() -> Status {
    if (summary_.cut) {
      if (auto done = database_.execute(kTakeBackEnd); !done) return done;
      if (auto done = put("end_of_input", kOpen); !done) return done;
    }
    JobId job = summary_.accepted;
    for (const std::string& spec : specs) {
      const auto hash = static_cast<std::int64_t>(content_hash(spec));
      if (auto done = insert_.bind(1, static_cast<std::int64_t>(++job)).bind_blob(2, spec).bind(3, hash).run(); !done) return done;
      block.add(spec);
    }
    return base::ok();
  });
  if (!status) return status;
  if (summary_.cut) {
    summary_.end_of_input = summary_.cut = false;
    summary_.ended.reset();
  }
  summary_.accepted += specs.size();
  remember(std::move(block));
  return status;
}

Status Spool::raise_horizon(JobId job) {
  if (job <= summary_.horizon) return base::ok();
  auto status = put("horizon", static_cast<std::int64_t>(job));
  if (status) summary_.horizon = job;
  return status;
}

Status Spool::keep_dispatches(bool keeps) {
  if (summary_.horizon > 0 && keeps != summary_.keeps_dispatches) {
    return Error{Error::Kind::Conflict, std::string("this run was begun ") + (keeps ? "without" : "with") + " --at-most-once: go on with it in the same way"};
  }
  if (keeps != summary_.keeps_dispatches) {
    auto done = transaction([&]() -> Status {
      if (auto put_down = put("keeps_dispatches", keeps); !put_down || !keeps) return put_down;
      return database_.execute(
          "CREATE TABLE IF NOT EXISTS dispatched(job INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, n INTEGER NOT NULL, worker BLOB NOT NULL)");
    });
    if (!done) return done;
    summary_.keeps_dispatches = keeps;
  }
  if (!keeps) return base::ok();
  auto dispatch = database_.prepare("INSERT OR REPLACE INTO dispatched(job, epoch, n, worker) VALUES(?1, ?2, ?3, ?4)");
  auto recall = database_.prepare("SELECT epoch, n, worker FROM dispatched WHERE job = ?1");
  if (!dispatch) return dispatch.error();
  if (!recall) return recall.error();
  dispatch_ = std::move(*dispatch);
  recall_ = std::move(*recall);
  return base::ok();
}

Status Spool::commit_dispatches(std::span<const Dispatch> dispatches) {
  return transaction([&]() -> Status {
    for (const auto& [attempt, worker] : dispatches) {
      const std::string_view bytes(reinterpret_cast<const char*>(worker.bytes.data()), worker.bytes.size());
      dispatch_.bind(1, static_cast<std::int64_t>(attempt.job)).bind(2, static_cast<std::int64_t>(attempt.epoch)).bind(3, static_cast<std::int64_t>(attempt.n));
      if (auto done = dispatch_.bind_blob(4, bytes).run(); !done) return done;
    }
    return base::ok();
  });
}

base::Result<std::vector<Dispatch>> Spool::dispatches(std::span<const JobId> jobs) {
  std::vector<Dispatch> found;
  for (const JobId job : jobs) {
    auto row = recall_.bind(1, static_cast<std::int64_t>(job)).step();
    if (!row) return row.error();
    if (*row) {
      Dispatch dispatch{{job, static_cast<std::uint64_t>(recall_.integer(0)), static_cast<std::uint64_t>(recall_.integer(1))}, {}};
      const std::string_view id = recall_.text(2);
      if (id.size() != dispatch.worker.bytes.size()) return Error{Error::Kind::Corrupt, "jobs.db is damaged: the dispatch of job " + std::to_string(job)};
      std::memcpy(dispatch.worker.bytes.data(), id.data(), id.size());
      found.push_back(dispatch);
    }
    recall_.reset();
  }
  return found;
}

Status Spool::commit_end_of_input(bool cut, const std::string& reason) {
  auto status = transaction([&]() -> Status {
    if (auto done = database_.execute(kTakeBackEnd); !done) return done;
    if (auto done = put("end_of_input", cut ? kCut : kWhole); !done) return done;
    return put_text("cut_reason", reason);
  });
  if (status) {
    summary_.end_of_input = true;
    summary_.cut = cut;
    summary_.cut_reason = reason;
    summary_.ended.reset();
  }
  return status;
}

Status Spool::commit_ended(int exit_status) {
  auto status = put("ended", exit_status);
  if (status) summary_.ended = exit_status;
  return status;
}

Status Spool::commit_halts_over(std::uint64_t number) {
  if (number <= summary_.halts_over) return base::ok();
  auto status = put("halts_over", static_cast<std::int64_t>(number));
  if (status) summary_.halts_over = number;
  return status;
}

// ---- reading

void Spool::remember(Block block) {
  fresh_memory_ += block.memory();
  fresh_.push_back(std::move(block));
  // The oldest go: they were dispatched, or dispatch lags so far behind that it reads from the file anyway.
  while (!fresh_.empty() && fresh_memory_ > cache_bytes_) {
    fresh_memory_ -= fresh_.front().memory();
    fresh_.pop_front();
  }
}

base::Result<std::string_view> Spool::find(JobId job) {
  if (job == 0 || job > summary_.accepted) return Error{Error::Kind::NotFound, "there is no job " + std::to_string(job) + " in this run"};
  if (!fresh_.empty() && job >= fresh_.front().first) {
    const auto behind = std::upper_bound(fresh_.begin(), fresh_.end(), job, [](JobId wanted, const Block& block) { return wanted < block.first; });
    return std::prev(behind)->spec(job);
  }
  if (!ahead_.holds(job))
    if (auto read = read_ahead(job); !read) return read.error();
  return ahead_.spec(job);
}

Status Spool::read_ahead(JobId job) {
  Block block;
  block.first = job;
  select_.bind(1, static_cast<std::int64_t>(job)).bind(2, kAheadJobs);
  for (;;) {
    auto row = select_.step();
    if (!row) return row.error();
    if (!*row) break;
    const std::string_view spec = select_.text(1);
    const JobId found = static_cast<JobId>(select_.integer(0));
    if (found != job + block.ends.size() || static_cast<std::uint64_t>(select_.integer(2)) != content_hash(spec)) break;
    block.add(spec);
    if (block.bytes.size() >= kAheadBytes) break;
  }
  select_.reset();
  if (block.ends.empty()) return Error{Error::Kind::Corrupt, "jobs.db is damaged: job " + std::to_string(job) + " is missing or not as it was accepted"};
  ahead_ = std::move(block);
  return base::ok();
}

base::Result<std::string> Spool::spec(JobId job) {
  auto found = find(job);
  if (!found) return found.error();
  return std::string(*found);
}

base::Result<std::uint64_t> Spool::hash(JobId job) {
  auto found = find(job);
  if (!found) return found.error();
  return content_hash(*found);
}

base::Result<base::JobSpec> Spool::decoded(JobId job) {
  auto found = find(job);
  if (!found) return found.error();
  auto spec = wire::decode_spec(*found);
  if (!spec) return Error{Error::Kind::Corrupt, "jobs.db: job " + std::to_string(job) + ": " + spec.error().message};
  return spec;
}

Status Spool::matches(JobId job, std::string_view spec) {
  const std::string record = "record " + std::to_string(job) + " ";
  if (job > summary_.accepted) {
    if (summary_.end_of_input && !summary_.cut)
      return Error{Error::Kind::Conflict, record + "is new: the input of this run ended behind record " + std::to_string(summary_.accepted)};
    return base::ok();
  }
  auto accepted = find(job);
  if (!accepted) return accepted.error();
  if (spec == *accepted) return base::ok();
  auto now = wire::decode_spec(spec);
  if (!now) return now.error();
  auto was = wire::decode_spec(*accepted);
  if (!was) return Error{Error::Kind::Corrupt, "jobs.db: job " + std::to_string(job) + ": " + was.error().message};
  // Not the bytes decide: a newer pushmill may encode the same job with fields that the older did not know.
  if (*now == *was) return base::ok();
  return Error{Error::Kind::Conflict, record + difference(*now, *was)};
}

Status Spool::matches_end(JobId records) const {
  if (records >= summary_.accepted) return base::ok();
  return Error{Error::Kind::Conflict,
               "the input ends now behind record " + std::to_string(records) + ", this run has accepted " + std::to_string(summary_.accepted)};
}

}  // namespace ventilator
