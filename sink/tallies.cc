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

// Row by row, most of which come from where the one before came from: for SQLite to group them it would have to sort them all.
base::Result<Tallies> read_tallies(io::Database& results) {
  auto statement = results.prepare("SELECT worker, outcome, runtime_us, finished_at, host FROM results"
                                   " UNION ALL SELECT worker, outcome, runtime_us, finished_at, host FROM attempts");
  if (!statement) return statement.error();
  Tallies tallies;
  std::string last;
  Tally* tally = nullptr;  // of that worker; null: of none
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return tallies;
    if (statement->text(0) != last || last.empty()) {
      last = statement->text(0);
      const auto worker = base::parse_id(last);
      tally = worker && !worker->is_zero() ? &tallies[base::WorkerId{*worker}] : nullptr;
    }
    const auto outcome = base::parse_outcome(statement->text(1));
    if (tally == nullptr || !outcome) continue;
    tally->add(*outcome, static_cast<std::uint64_t>(statement->integer(2)));
    tally->heard_at = std::max(tally->heard_at, statement->integer(3));
    if (tally->host.empty()) tally->host = statement->text(4);
  }
}

}  // namespace sink
