// What results.db keeps of a sink, for the tests that join the cores in memory.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "sink/core.h"

namespace support {

struct SinkDisk {
  std::uint64_t epoch = 0, emitted = 0, failed = 0;
  std::optional<wire::Policy> policy;
  std::map<base::JobId, wire::Result> results;
  std::map<base::Attempt, sink::EndedAttempt> attempts;
  std::optional<sink::LogEnded> ended;
  std::map<std::pair<base::Attempt, wire::OutputStream>, std::string> outputs;

  bool is_result(const base::Attempt& attempt) const {
    const auto winner = results.find(attempt.job);
    return winner != results.end() && winner->second.attempt == attempt;
  }
  void take_back(const sink::UncountLoss& loss) {
    if (loss.revived) attempts.erase(loss.attempt);
    else attempts.at(loss.attempt).counted = false;
  }
  // Marks: those of `effect`, if it is one.
  void note_mark(const sink::Effect& effect) {
    if (const auto* known = std::get_if<sink::LogPolicy>(&effect)) policy = known->policy;
    else if (const auto* mark = std::get_if<sink::LogEmitted>(&effect)) emitted = mark->jobs;
    else if (const auto* end = std::get_if<sink::LogEnded>(&effect)) ended = *end;
  }
  // A core that knows what is here, in its next epoch.
  sink::Core start() {
    sink::Core core({++epoch, policy, emitted, ended});
    for (const auto& [job, result] : results) core.recover_finished(job, result.outcome != base::Outcome::Ok);
    for (const auto& [attempt, attempt_ended] : attempts) {
      if (!results.contains(attempt.job)) core.recover_ended(attempt_ended);
    }
    std::erase_if(outputs, [&](const auto& output) {
      return !is_result(output.first.first) && !core.recover_output(output.first.first, output.first.second, output.second.size());
    });
    return core;
  }
};

}  // namespace support
