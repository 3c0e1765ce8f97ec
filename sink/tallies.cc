#include "sink/tallies.h"

#include <algorithm>

namespace sink {

void Tally::add(base::Outcome outcome, std::uint64_t runtime) {
  switch (outcome) {
    case base::Outcome::Lost: ++lost; return;
    case base::Outcome::Returned:
    case base::Outcome::Cancelled:
    case base::Outcome::Superseded: return;
    case base::Outcome::Ok: ++done; break;
    default: ++failed; break;
  }
  runtime_us += runtime;
}

base::Result<Tallies> read_tallies(io::Database& results) {
  auto statement = results.prepare(
      "SELECT worker, max(host), count(*) FILTER (WHERE outcome = 'ok'),"
      " count(*) FILTER (WHERE outcome NOT IN ('ok', 'lost', 'returned', 'cancelled', 'superseded')), count(*) FILTER (WHERE outcome = 'lost'),"
      " sum(runtime_us) FILTER (WHERE outcome NOT IN ('lost', 'returned', 'cancelled', 'superseded')), max(finished_at)"
      " FROM (SELECT worker, host, outcome, runtime_us, finished_at FROM results"
      " UNION ALL SELECT worker, host, outcome, runtime_us, finished_at FROM attempts) GROUP BY worker");
  if (!statement) return statement.error();
  Tallies tallies;
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return tallies;
    const auto worker = base::parse_id(statement->text(0));
    if (!worker || worker->is_zero()) continue;
    const auto count = [&](int column) { return static_cast<std::uint64_t>(statement->integer(column)); };
    tallies[base::WorkerId{*worker}] = {std::string(statement->text(1)), count(2), count(3), count(4), count(5), statement->integer(6)};
  }
}

}  // namespace sink
