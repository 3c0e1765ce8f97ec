// Where the records of a run come from: a stream or file of lines, or the list given as arguments. A pull source for the ventilator's poll loop: it holds at
// most what one read brought and the record that is not complete yet.
// A record is what stands before a delimiter, usually a newline; the last one needs none. Nothing else is taken off: empty lines are records, a CR stays, any
// byte may occur.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/unique_fd.h"

namespace ventilator {

// How a stream is cut into records.
struct RecordFormat {
  std::string delimiter = "\n";   // empty: the whole stream is one record
  std::optional<char> csv = {};   // lines of values with this separator: a newline within double quotes is part of its record, and the delimiter does not count
};

// What a read of the input has come to.
enum class SourceState {
  More,   // ask again; there may be nothing this time
  End,    // no more, now and later
  Error,  // as error() says; no more. The input counts as cut behind what was delivered
};

class JobSource {
 public:
  using State = SourceState;

  // Lines from `fd`, which stays the caller's: neither closed nor changed.
  static JobSource standard_input(int fd = 0, RecordFormat format = {});
  // Lines from a file, FIFO or device; `-` is standard input. A FIFO is not ready before its writer has come. A directory is refused.
  static base::Result<JobSource> file(const std::string& path, RecordFormat format = {});
  // The records as they are. One with a newline stays one record; GNU parallel makes two of it, which breaks file names.
  static JobSource list(std::vector<std::string> records);

  // What to poll for reading before the next read(), or -1: read() will not block. Changes with every read().
  int fd() const;

  // Overwrites `records` with the next ones, in order, at most `max_records`, and at most `max_bytes` unless the first alone is larger. They are valid until the
  // next read(). At most one read(2), and only if fd() was not -1 or never is. REQUIRES: max_records > 0.
  State read(std::size_t max_records, std::size_t max_bytes, std::vector<std::string_view>& records);

  const base::Error& error() const { return error_; }  // REQUIRES: State::Error. Io: cannot be read; Usage: a record over wire::kMaxJob
  std::uint64_t delivered() const { return delivered_; }  // number of the last record delivered
  const std::string& text() const { return text_; }       // "standard input", "file PATH", "arguments"

 private:
  explicit JobSource(std::string text) : text_(std::move(text)) {}
  static JobSource stream(int fd, std::string text, RecordFormat format);
  bool fill();                                      // one read(2); false: failed
  bool add(std::string_view record, std::size_t max_bytes, std::size_t& bytes, std::vector<std::string_view>& records);  // false: not now
  void split(std::size_t max_records, std::size_t max_bytes, std::vector<std::string_view>& records);
  std::size_t find_delimiter();      // from scanned_ on, which it moves; npos: there is none yet
  std::size_t find_end_of_csv();
  void refuse(base::Error::Kind kind, std::string message);

  std::string text_;
  int fd_ = -1;        // -1: a list
  io::UniqueFd file_;  // fd_, if it is ours to close
  bool always_ready_ = false;  // a regular file: some pollers refuse those
  bool at_end_ = false;        // of the stream; what is left in the buffer is the last record
  bool failed_ = false;
  base::Error error_{base::Error::Kind::Io, {}};
  std::uint64_t delivered_ = 0;

  // Of a stream: [begin_, end_) is not delivered; no delimiter begins in [begin_, scanned_), so that no byte is searched twice.
  std::unique_ptr<char[]> buffer_;
  std::size_t chunk_ = 16u << 10;  // bytes of the next read: most inputs are small
  std::size_t capacity_ = 0, begin_ = 0, scanned_ = 0, end_ = 0;
  bool is_searched_ = true;  // up to end_: there is no complete record
  RecordFormat format_;
  enum class Csv { ValueBegins, InValue, InQuotes, BehindQuote } csv_ = Csv::ValueBegins;  // at scanned_

  std::vector<std::string> list_;
};

}  // namespace ventilator
