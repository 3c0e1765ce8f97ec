// The joblog's line of any result: one line of nine fields, whatever workers say.
#include "sink/joblog.h"

#include <algorithm>
#include <string>

#include "base/ids.h"
#include "fuzz.h"
#include "wire/codec.h"

void fuzz(std::string_view bytes) {
  const auto read = wire::decode_to_sink(bytes, base::RunId{});
  if (!read) return;
  const auto* results = std::get_if<wire::Results>(&read->message);
  if (results == nullptr) return;
  for (const wire::Result& result : results->items) {
    sink::Row row;
    row.result = result;
    row.host = results->host;
    const std::string line = sink::joblog_line(row, "here");
    MUST(!line.empty() && line.back() == '\n' && std::count(line.begin(), line.end(), '\n') == 1);
    MUST(std::count(line.begin(), line.end(), '\t') >= 8);
    // The command is the last field and stands as it is, so only it may hold a tab.
    std::size_t at = 0;
    for (int field = 0; field < 8; ++field) at = line.find('\t', at) + 1;
    MUST(line.substr(0, line.find('\t')) == std::to_string(result.attempt.job));
    MUST(result.outcome == base::Outcome::Ok || !std::string_view(line).substr(0, at).ends_with("\t0\t0\t"));
  }
}
