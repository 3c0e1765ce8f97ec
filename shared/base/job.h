// What a job is: a command to run, a handler to call or a record for a coprocess, as the user gave it. Travels in JOB and rests in jobs.db.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/term_seq.h"
#include "base/time.h"

namespace base {

// A part of a file that the worker can open: of one on its own host, or on a file system that it shares with the ventilator.
struct InputFile {
  std::string path;  // absolute; empty: none
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // bytes
  std::uint64_t mark = 0;    // stands for what is in it: another content has another
  bool operator==(const InputFile&) const = default;
};

struct Command {
  std::string line;                      // for `shell -c`; used when `argv` is empty
  std::vector<std::string> argv;         // literal words, no shell
  std::string shell;                     // absolute path; empty: /bin/sh
  std::string stdin_bytes;               // empty: /dev/null
  std::string directory;                 // empty: the worker's own
  std::vector<std::string> environment;  // NAME=VALUE, added to the worker's own
  TermSeq term_seq = {};                 // how it is ended when it has to be
  bool kill_leftovers = false;           // what it leaves behind at its end is ended too
  std::vector<std::uint32_t> slot_marks = {};  // where in `line`, in bytes and rising, the number of the slot is to be put in before it runs
  std::int32_t nice = 0;                 // added to the worker's niceness
  bool live = false;                     // its outputs are told as they come, not at its end
  InputFile input = {};                  // its stdin, behind stdin_bytes
  bool operator==(const Command&) const = default;
};

struct Call {
  std::string handler;
  std::uint32_t version = 1;
  std::string arguments;  // one msgpack value
  bool operator==(const Call&) const = default;
};

// How records go to a coprocess and answers come back: a line each; a length of four bytes, greatest first, and as many bytes; or a line of JSON each. The
// numbers are those of the protocol.
enum class Framing : std::uint8_t { Line = 0, Length = 1, Json = 2 };
std::string_view name(Framing framing);  // "line", "length", "json"

// One record for a child that stays: it answers with one record, which is the job's output.
struct Record {
  Command program;  // what to start when no child of it is there; its stdin_bytes are not used
  std::string input;
  Framing framing = Framing::Line;
  bool operator==(const Record&) const = default;
};

// How a job is to be shown: what the sink has to know of it beside its result, where the user has asked for more than its output.
struct Label {
  std::uint64_t number = 0;         // of the job as the user counts, where that is not the job's own; 0: it is
  std::string tag;                  // stands before each line of its output
  std::string destination;          // the file or directory for its output; in a table, names of its columns, each ended by a NUL byte
  std::vector<std::string> values;  // of its input sources or columns, in order
  bool operator==(const Label&) const = default;
};

// "csv", "tsv" or "json" if a file of this name is a table of all outputs, not a place for those of one job; else empty.
std::string_view table_of(std::string_view name);

struct JobSpec {
  std::variant<Command, Call, Record> work;
  Duration time_limit{0};  // of one attempt; 0: none
  std::string label = {};  // an encoded Label, or empty: it comes back with each result
  bool operator==(const JobSpec&) const = default;
};

// How an attempt ended. The numbers are those of the protocol and of results.db.
enum class Outcome : std::uint8_t { Ok = 0, Failed = 1, Timeout = 2, Lost = 3, Returned = 4, Cancelled = 5, Superseded = 6, Oom = 7 };
inline constexpr std::uint8_t kOutcomes = 8;
// It counts as a run of its job.
constexpr bool is_failure(Outcome outcome) { return outcome == Outcome::Failed || outcome == Outcome::Timeout || outcome == Outcome::Oom; }
std::string_view name(Outcome outcome);  // "ok", "failed", ...
std::optional<Outcome> parse_outcome(std::string_view text);  // the same backwards

// Puts the number of the slot into the line, where its marks are, and takes these away.
void put_in_slot(Command& command, std::uint32_t slot);

// `words` as one line that a POSIX shell splits back into the same words.
std::string shell_join(const std::vector<std::string>& words);
// `word` quoted for a POSIX shell, byte for byte as GNU parallel 20221122 does: as it is when only letters, digits and -_.+/, else in single quotes.
std::string shell_quote(std::string_view word);
void append_shell_quoted(std::string_view word, std::string& line);

}  // namespace base
