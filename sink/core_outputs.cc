// The part of the core that is about large outputs: what is written, what counts as stored, and which files are of use.
#include <algorithm>
#include <utility>

#include "sink/core.h"
#include "wire/limits.h"

namespace sink {

namespace {
constexpr std::uint64_t kGreatestLength = std::uint64_t{1} << 56;  // of an output: far above any disk
}  // namespace

bool Core::recover_output(const Attempt& attempt, wire::OutputStream stream, std::uint64_t length) {
  if (!wants_output(attempt)) return false;
  outputs_[attempt][static_cast<std::size_t>(stream)] = length;
  return true;
}

// Not once its job is finished or it has ended; but one that was lost may still be the first to succeed.
bool Core::wants_output(const Attempt& attempt) {
  if (progress_.is_finished(attempt.job) || progress_.is_void(attempt)) return false;
  JobRecord* record = progress_.find(attempt.job);
  const EndedAttempt* ended = record == nullptr ? nullptr : record->find_ended(attempt);
  return ended == nullptr || ended->outcome == Outcome::Lost;
}

const LiveAttempt* Core::find_live(const Attempt& attempt) {
  JobRecord* record = progress_.find(attempt.job);
  return record == nullptr ? nullptr : record->find_live(attempt);
}

// A file only grows at its end. What is not wanted counts as stored: nobody is to keep it.
void Core::on_event(wire::Output&& message) {
  if (!is_plausible(message.attempt) || message.offset > kGreatestLength) return void(++ignored_);
  const std::uint64_t end = message.offset + message.bytes.size();
  std::uint64_t stored = end;
  if (wants_output(message.attempt)) {
    std::uint64_t& length = outputs_[message.attempt][static_cast<std::size_t>(message.stream)];
    if (message.offset > length) return void(++ignored_);  // what came before it was lost, and comes again
    if (end > length) {
      message.bytes.erase(0, length - message.offset);
      effects_->push_back(WriteOutput{message.attempt, message.stream, length, std::move(message.bytes)});
      has_written_ = true;
      length = end;
    }
    stored = length;
  }
  std::uint64_t& known = stored_[message.worker][{message.attempt, message.stream}];
  known = std::max(known, stored);
}

// Both streams are in the result itself or in their files, as far as the result says that they go.
bool Core::is_whole(const wire::Result& result) const {
  const auto files = outputs_.find(result.attempt);
  const auto is_there = [&](const std::string& bytes, std::uint64_t length, std::size_t stream) {
    return !bytes.empty() || length == 0 || (files != outputs_.end() && files->second[stream] >= length);
  };
  return is_there(result.out, result.out_bytes, 0) && is_there(result.err, result.err_bytes, 1);
}

// What is missing comes again within heartbeats, if its worker still has it. It has not if our disk has lost what it had freed.
bool Core::is_hopeless(const wire::Result& result) {
  const auto [since, is_new] = incomplete_since_.emplace(result.attempt, now_);
  return !is_new && now_ - since->second > policy_.lease;
}

void Core::drop_outputs(const Attempt& attempt) {
  incomplete_since_.erase(attempt);
  if (outputs_.erase(attempt) == 0) return;
  for (const auto stream : {wire::OutputStream::Out, wire::OutputStream::Err}) dropped_.push_back({attempt, stream});
}

// All but the files that the row of `winner` names.
void Core::drop_losing_outputs(const wire::Result& winner) {
  const Attempt first{winner.attempt.job, 0, 0};
  for (auto it = outputs_.lower_bound(first); it != outputs_.end() && it->first.job == first.job; it = outputs_.erase(it)) {
    const bool wins = it->first == winner.attempt;
    if (!wins || !winner.has_out_file()) dropped_.push_back({it->first, wire::OutputStream::Out});
    if (!wins || !winner.has_err_file()) dropped_.push_back({it->first, wire::OutputStream::Err});
  }
  for (auto it = incomplete_since_.lower_bound(first); it != incomplete_since_.end() && it->first.job == first.job;) it = incomplete_since_.erase(it);
}

void Core::send_stored() {
  if (stored_.empty()) return;
  wire::Stored message;
  std::size_t items = 0;
  for (const auto& [worker, lengths] : stored_) {
    message.workers.push_back({worker, {}});
    for (const auto& [output, length] : lengths) {
      if (items++ == wire::kBatchItems) {
        send(std::exchange(message, {}));
        message.workers.push_back({worker, {}});
        items = 1;
      }
      message.workers.back().items.push_back({output.first, output.second, length});
    }
  }
  stored_.clear();
  send(std::move(message));
}

}  // namespace sink
