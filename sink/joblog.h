// The file of --joblog, in GNU parallel's format (20221122), one line a finished job in the order of completion. It is a projection of results.db and
// never the truth: whatever is wrong with it is mended from there.
//
// The shell adds the rows of a batch, calls flush(), puts the mark it returns into the same batch of the ResultLog and commits that. So the file may be
// ahead of the log by one batch, never behind it, and what a crash leaves too much is cut off at the next start. One that is appended to is never cut: there
// the batch is committed first, and the mark goes into the next (follows_commit()). So the file may be behind the log by one batch, and the lines behind the
// mark are those of rows that the log has: the next start knows each of them, and writes those that are missing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/unique_fd.h"
#include "sink/result_log.h"

namespace sink {

// The line of `row`, with its newline; job_fields.h says what stands in it.
std::string joblog_line(const Row& row, const std::string& local_host);

class Joblog {
 public:
  // A file that is what `log` last said of it is cut back to that mark; any other, also an empty or a lost one, is overwritten. Then the lines of all rows behind
  // the mark are written. A pipe or a device just gets the header and those lines.
  // A path that begins with `+` is that of a file to append to. Other runs may write to it as well, so it is never cut. Of the rows behind the mark, or of all if the
  // mark does not fit, those get a line that have none there: one that is cut short at the end is gone on with. One that is empty gets the header.
  static base::Result<Joblog> open(const std::string& path, const std::string& local_host, ResultLog& log);

  // What was added is to be flushed when its rows are committed, not before.
  bool follows_commit() const { return appends_ && is_regular_; }
  void add(const Row& row);
  // Writes what was added and returns the mark that covers it. Kind Full: nothing is forgotten, and the caller may call again later.
  base::Result<JoblogMark> flush();

 private:
  Joblog(const std::string& path, std::string local_host)
      : path_(path.starts_with('+') ? path.substr(1) : path), appends_(path.starts_with('+')), local_host_(std::move(local_host)) {}
  base::Status open_file();
  base::Status go_to_end();
  bool is_ours(const JoblogMark& mark, ResultLog& log) const;
  bool has_line_before(std::uint64_t offset, std::uint64_t number) const;
  base::Status cut(std::uint64_t offset);
  base::Status read_lines(std::uint64_t from);
  std::optional<std::uint64_t> find_line(std::string_view line) const;
  std::string line_elsewhere(const Row& row) const;
  void cover(const Row& row);
  base::Status replay(ResultLog& log);
  base::Error error(const char* what, int code) const;

  std::string path_;
  bool appends_ = false;
  std::string local_host_;
  io::UniqueFd fd_;
  bool is_regular_ = false;
  std::string pending_;  // not yet written
  JoblogMark mark_;      // the end of what was written, and the last row added

  // While a file that is appended to is opened: its lines that may be of our rows, and what stands behind the last of them.
  struct Line {
    std::size_t hash = 0;
    std::uint64_t end = 0;
  };
  std::vector<Line> lines_;  // by hash
  std::string torn_;
};

}  // namespace sink
