#include "sink/job_fields.h"

#include <algorithm>

namespace sink {

using base::Outcome;

namespace {

std::string seconds(std::uint64_t milliseconds) {
  const std::string thousandths = std::to_string(1000 + milliseconds % 1000);
  return std::to_string(milliseconds / 1000) + '.' + thousandths.substr(1);
}

void set_exit(JobFields& fields, const wire::Result& result) {
  fields.exit_value = -1;
  fields.signal = 9;
  switch (result.outcome) {
    case Outcome::Ok: fields.exit_value = fields.signal = 0; break;
    case Outcome::Timeout:
      fields.signal = result.signal;
      if (result.signal == 0 && result.exit_code != 0) fields.exit_value = result.exit_code;
      break;
    case Outcome::Failed:
    case Outcome::Oom:
      fields.signal = result.signal;
      fields.exit_value = result.signal != 0 ? 0 : result.exit_code != 0 ? result.exit_code : 255;
      break;
    case Outcome::Lost:
    case Outcome::Returned:
    case Outcome::Cancelled:
    case Outcome::Superseded: break;
  }
}

// A host name comes from a worker: it must not break a line.
std::string shown_host(const std::string& host, const std::string& local_host) {
  if (host.empty() || host == local_host) return ":";
  std::string shown = host;
  std::replace_if(shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; }, '?');
  return shown;
}

}  // namespace

JobFields fields_of(const Row& row, std::uint64_t number, const std::string& local_host) {
  const wire::Result& result = row.result;
  JobFields fields;
  fields.number = number != 0 ? number : result.attempt.job;
  fields.host = shown_host(row.host, local_host);
  const auto started = static_cast<std::uint64_t>(std::max<base::WallTime>(result.started_at, 0));
  fields.started = seconds((started + 500) / 1000);  // the start is rounded, the runtime cut: as GNU parallel does
  fields.runtime = seconds(result.runtime_us / 1000);
  fields.received = result.out_bytes;
  set_exit(fields, result);
  return fields;
}

}  // namespace sink
