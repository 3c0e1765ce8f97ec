// The outputs that a worker holds until the sink has stored them: large ones, which go ahead of their result in OUTPUT. Part of the core, and as pure.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "wire/messages.h"

namespace worker {

class OutputStore {
 public:
  struct Part {
    base::Attempt attempt;
    wire::OutputStream stream;
    std::uint64_t offset;
  };

  void append(const base::Attempt& attempt, wire::OutputStream stream, std::string&& bytes);
  // What is to be sent now: of each stream in its order, and no more than `window` bytes ahead of what is stored. `next_state`: the number of the first STATE
  // behind it.
  void take_unsent(std::uint64_t next_state, std::uint64_t window, std::vector<Part>& parts);
  bool has_unsent(const base::Attempt& attempt) const;
  // The sink has read the STATE of this number: what was sent before it and is not stored was lost, and is unsent.
  void note_echo(std::uint64_t state_seq);
  // The first `length` bytes of the stream are stored. Returns whether that is news.
  bool note_stored(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t length);
  void erase(const base::Attempt& attempt);
  void clear();

  // The bytes of a part as it was taken. REQUIRES: nothing but take_unsent() was called since.
  std::string_view bytes(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t offset) const;
  std::uint64_t length(const base::Attempt& attempt, wire::OutputStream stream) const;  // of all that was appended
  bool holds(const base::Attempt& attempt) const { return outputs_.contains(attempt); }
  std::size_t held_bytes() const { return held_bytes_; }
  void check_invariants() const;

 private:
  struct Stream {
    std::uint64_t stored = 0, sent = 0, length = 0;      // stored <= sent <= length
    std::deque<std::pair<std::uint64_t, std::string>> parts;  // by offset: what is not stored
    std::uint64_t next_state = 0;                        // behind the newest that was sent; 0: nothing is on its way
  };
  std::map<base::Attempt, std::array<Stream, wire::kOutputStreams>> outputs_;
  std::vector<base::Attempt> unsent_;  // that may have something to send
  std::size_t held_bytes_ = 0;
};

}  // namespace worker
