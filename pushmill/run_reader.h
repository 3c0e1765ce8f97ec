// A run as others see it: live, ended or broken off, from its databases and from what its sink says of itself. Reading disturbs nothing and holds nothing: no
// lock is taken, and each connection is for a few short reads, so that the log of a live run can always be cut back (a reader that waits for its own reader,
// `| less`, must not wait inside a read).
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "io/database.h"
#include "io/lock.h"
#include "json/json.h"
#include "ventilator/spool.h"

namespace pushmill {

// How far a run is.
struct RunCounts {
  std::uint64_t finished = 0, failed = 0;
  std::uint64_t failed_before = 0;  // in earlier calls with --skip-done, and not among `failed`
  std::uint64_t accepted = 0;
  bool is_total = false;  // `accepted` is all there will be
};

class RunReader {
 public:
  enum class State { Live, Ended, Interrupted };

  // `directory`: empty for the newest of those without a name. With TakeOver::Yes one whose holder is on another host, which only a network file system has,
  // is one that nobody has.
  static base::Result<RunReader> open(const std::string& directory, io::TakeOver take_over = io::TakeOver::No);

  const std::string& path() const { return path_; }
  State state() const;
  const char* state_text() const;  // "live", "ended", "interrupted"
  bool has_ventilator() const { return ventilator_.has_value(); }
  bool has_sink() const { return sink_.has_value(); }
  std::string holder() const;  // of a live one: "process PID HOST PROGRAM"
  // Nobody here can tell whether it lives: each who has it is on another host, as written on a network file system.
  bool is_held_elsewhere() const { return is_held_elsewhere_; }
  std::string advice() const;  // of such a one: when its files last changed, and what to do if its host is dead

  // On a network file system a live run has its databases to itself. Then status() tells how it stands, and each call of these makes a copy,
  // which goes with its connection.
  bool has_databases() const { return has_databases_; }
  // None: it has not been made yet. Busy: it is written so fast that it cannot be copied.
  base::Result<std::optional<io::Database>> results() const;
  base::Result<std::optional<io::Database>> jobs() const;
  base::Status attach_jobs(io::Database& database) const;  // as "jobs". There is one
  base::Result<base::JobSpec> spec(base::JobId job) const;  // as it was accepted. NotFound: there is no such job
  const std::optional<ventilator::Spool::Summary>& summary() const { return summary_; }
  std::optional<int> exit_status() const { return exit_status_; }  // of one that has ended
  std::string command() const;  // the words it was begun with; empty: not known

  // What the living sink last said of itself (docs/ANSWERS.md). Null: nothing yet, or none lives.
  const json::Value& status() const { return status_; }
  // Of a live run as its sink says, else counted in its log.
  base::Result<RunCounts> counts() const;
  base::WallTime changed_at() const;  // when its files last changed; 0: not known

 private:
  base::Status read(io::TakeOver take_over);
  void read_status();
  base::Result<std::optional<io::Database>> database(const char* name, int version) const;

  std::string path_;
  std::optional<std::string> ventilator_, sink_;
  bool is_held_elsewhere_ = false;
  bool has_databases_ = true;
  std::optional<ventilator::Spool::Summary> summary_;
  std::optional<int> exit_status_;
  json::Value status_;
};

// A member of a JSON object, as far as it is there and of its kind: else 0, empty, false.
std::int64_t number_in(const json::Value& object, const char* key);
std::string text_in(const json::Value& object, const char* key);
bool flag_in(const json::Value& object, const char* key);

// `text`, the word of a user, as the number of a job.
base::Result<base::JobId> parse_job(const std::string& text);

}  // namespace pushmill
