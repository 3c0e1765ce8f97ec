#include "worker/output_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wire/limits.h"

namespace worker {

using base::Attempt;
using wire::OutputStream;

namespace {
std::size_t index(OutputStream stream) { return static_cast<std::size_t>(stream); }
}  // namespace

void OutputStore::append(const Attempt& attempt, OutputStream stream, std::string&& bytes) {
  if (bytes.empty()) return;
  Stream& to = outputs_[attempt][index(stream)];
  held_bytes_ += bytes.size();
  if (to.sent == to.length) unsent_.push_back(attempt);
  if (!to.parts.empty() && to.parts.back().first >= to.sent && to.parts.back().second.size() + bytes.size() <= wire::kMaxOutput) {
    to.parts.back().second += bytes;  // of a live output many small ones come
    to.length += bytes.size();
    return;
  }
  const std::uint64_t from = to.length;
  to.length += bytes.size();
  if (bytes.size() <= wire::kMaxOutput) {
    to.parts.emplace_back(from, std::move(bytes));
    return;
  }
  for (std::size_t at = 0; at < bytes.size(); at += wire::kMaxOutput) to.parts.emplace_back(from + at, bytes.substr(at, wire::kMaxOutput));
}

void OutputStore::take_unsent(std::uint64_t next_state, std::uint64_t window, std::vector<Part>& parts) {
  for (const Attempt& attempt : std::exchange(unsent_, {})) {
    const auto output = outputs_.find(attempt);
    if (output == outputs_.end()) continue;
    for (std::size_t i = 0; i < output->second.size(); ++i) {
      Stream& stream = output->second[i];
      for (const auto& [offset, bytes] : stream.parts) {
        if (offset + bytes.size() <= stream.sent) continue;
        if (offset >= stream.stored + window) break;
        parts.push_back({attempt, static_cast<OutputStream>(i), offset});
        stream.sent = offset + bytes.size();
        stream.next_state = next_state;
      }
    }
    if (has_unsent(attempt)) unsent_.push_back(attempt);
  }
}

bool OutputStore::has_unsent(const Attempt& attempt) const {
  const auto output = outputs_.find(attempt);
  return output != outputs_.end() && std::any_of(output->second.begin(), output->second.end(), [](const Stream& s) { return s.sent < s.length; });
}

void OutputStore::note_echo(std::uint64_t state_seq) {
  for (auto& [attempt, streams] : outputs_) {
    for (Stream& stream : streams) {
      if (stream.next_state == 0 || stream.next_state > state_seq) continue;
      stream.next_state = 0;
      stream.sent = stream.stored;
      if (stream.sent < stream.length) unsent_.push_back(attempt);
    }
  }
}

bool OutputStore::note_stored(const Attempt& attempt, OutputStream which, std::uint64_t length) {
  const auto output = outputs_.find(attempt);
  if (output == outputs_.end()) return false;
  Stream& stream = output->second[index(which)];
  length = std::min(length, stream.length);
  if (length <= stream.stored) return false;
  stream.stored = length;
  stream.sent = std::max(stream.sent, length);
  while (!stream.parts.empty() && stream.parts.front().first + stream.parts.front().second.size() <= length) {
    held_bytes_ -= stream.parts.front().second.size();
    stream.parts.pop_front();
  }
  if (stream.stored == stream.sent) stream.next_state = 0;
  return true;
}

void OutputStore::erase(const Attempt& attempt) {
  const auto output = outputs_.find(attempt);
  if (output == outputs_.end()) return;
  for (const Stream& stream : output->second) {
    for (const auto& [offset, bytes] : stream.parts) held_bytes_ -= bytes.size();
  }
  outputs_.erase(output);
}

void OutputStore::clear() {
  outputs_.clear();
  unsent_.clear();
  held_bytes_ = 0;
}

std::string_view OutputStore::bytes(const Attempt& attempt, OutputStream stream, std::uint64_t offset) const {
  const auto& parts = outputs_.at(attempt)[index(stream)].parts;
  const auto part = std::lower_bound(parts.begin(), parts.end(), offset, [](const auto& p, std::uint64_t at) { return p.first < at; });
  CHECK_INVARIANT(part != parts.end() && part->first == offset);
  return part->second;
}

std::uint64_t OutputStore::length(const Attempt& attempt, OutputStream stream) const {
  const auto output = outputs_.find(attempt);
  return output == outputs_.end() ? 0 : output->second[index(stream)].length;
}

void OutputStore::check_invariants() const {
  std::size_t held = 0;
  for (const auto& [attempt, streams] : outputs_) {
    for (const Stream& stream : streams) {
      CHECK_INVARIANT(stream.stored <= stream.sent && stream.sent <= stream.length);
      CHECK_INVARIANT(stream.sent == stream.length || std::find(unsent_.begin(), unsent_.end(), attempt) != unsent_.end());
      CHECK_INVARIANT(stream.stored == stream.sent || stream.next_state != 0);
      for (const auto& [offset, bytes] : stream.parts) held += bytes.size();
    }
  }
  CHECK_INVARIANT(held == held_bytes_);
}

}  // namespace worker
