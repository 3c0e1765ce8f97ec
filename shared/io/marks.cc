#include "io/marks.h"

#include <algorithm>

#include "io/database.h"
#include "io/run_directory.h"

namespace io {

namespace {

std::optional<std::int64_t> meta(Database& database, std::string_view key) {
  auto select = database.prepare("SELECT value FROM meta WHERE key = ?");
  if (!select) return std::nullopt;
  select->bind_text(1, key);
  const auto row = select->step();
  if (!row || !*row) return std::nullopt;
  return select->integer(0);
}

}  // namespace

// Read under the sink's lock, so that a live sink is never mistaken for one that has gone.
std::optional<EndMark> end_mark_of_sink(const std::string& directory) {
  const auto lock = Lock::take(directory, Lock::kSink, Lock::kLook);
  if (!lock) return std::nullopt;
  auto database = Database::open_read_only(directory + "/results.db", 1);
  if (!database) return std::nullopt;
  const auto status = meta(*database, "ended_status");
  if (!status) return std::nullopt;
  const auto number = [&](std::string_view key) { return static_cast<std::uint64_t>(meta(*database, key).value_or(0)); };
  return EndMark{static_cast<int>(*status), number("ended_total"), number("ended_failed"), number("ended_cut") != 0, number("halt")};
}

std::optional<base::RunId> run_of_ventilator(const std::string& directory) {
  auto database = Database::open_read_only(directory + "/jobs.db", 1);
  if (!database) return std::nullopt;
  auto select = database->prepare("SELECT value FROM meta WHERE key = 'run'");
  if (!select) return std::nullopt;
  const auto row = select->step();
  base::RunId run;
  if (!row || !*row || select->text(0).size() != run.bytes.size()) return std::nullopt;
  std::copy_n(select->text(0).begin(), run.bytes.size(), run.bytes.begin());
  return run;
}

}  // namespace io
