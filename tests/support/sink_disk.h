// What results.db keeps of a sink, for the tests that join the cores in memory.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "sink/core.h"

namespace support {

struct SinkDisk {
  std::uint64_t epoch = 0, emitted = 0, failed = 0, moved = 0;
  std::optional<wire::Policy> policy;
  std::map<base::JobId, wire::Result> results;
  std::map<base::Attempt, sink::EndedAttempt> attempts;
  std::optional<sink::LogEnded> ended;
  std::optional<sink::LogHalt> halt;
  std::map<base::JobId, std::uint64_t> retried;  // and the least valid epoch
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
    else if (const auto* known_halt = std::get_if<sink::LogHalt>(&effect)) halt = *known_halt;
    else if (std::holds_alternative<sink::TakeBackEnd>(effect)) ended.reset();
  }
  // What a user's retry does. REQUIRES: the job is finished, and no sink runs.
  void retry(base::JobId job, std::uint64_t least_epoch) {
    for (auto& [attempt, attempt_ended] : attempts) {
      if (attempt.job == job) attempt_ended.counted = false;
    }
    const auto result = results.extract(job);
    attempts[result.mapped().attempt] = {result.mapped().attempt, result.mapped().outcome, false, false};
    failed -= result.mapped().outcome != base::Outcome::Ok;
    retried[job] = least_epoch;
    ++moved;
    ended.reset();
  }
  // A core that knows what is here, in its next epoch.
  sink::Core start() {
    sink::Core core({++epoch, policy, emitted, ended, moved, halt});
    for (const auto& [job, result] : results) core.recover_finished(job, result.outcome != base::Outcome::Ok);
    for (const auto& [attempt, attempt_ended] : attempts) {
      if (!results.contains(attempt.job) && attempt_ended.outcome != base::Outcome::Superseded) core.recover_ended(attempt_ended);
    }
    for (const auto& [job, least_epoch] : retried) {
      if (!results.contains(job)) core.recover_retried(job, least_epoch);
    }
    std::erase_if(outputs, [&](const auto& output) {
      return !is_result(output.first.first) && !core.recover_output(output.first.first, output.first.second, output.second.size());
    });
    return core;
  }
};

}  // namespace support
