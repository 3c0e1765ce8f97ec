#include "sink/joblog.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "sink/job_fields.h"
#include "sink/presentation.h"

namespace sink {

using base::Error;
using base::Status;

namespace {

constexpr std::string_view kHeader = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
constexpr std::size_t kPiece = 256u << 10;           // bytes read at a time
constexpr std::size_t kLongest = 64u << 20;         // no line of ours has so many
constexpr std::size_t kReplayFlush = 1u << 20;       // bytes
constexpr std::uint64_t kReplayRows = 1'000'000;     // sorted at a time
constexpr std::size_t kRuntimeWidth = 10;            // "%10.3f"

void append_line(std::string& line, const Row& row, const std::string& local_host) {
  const JobFields fields = fields_of(row, label_of(row.result.label).number, local_host);
  line += std::to_string(fields.number) + '\t' + fields.host + '\t' + fields.started + '\t';
  line.append(std::max(fields.runtime.size(), kRuntimeWidth) - fields.runtime.size(), ' ');
  line += fields.runtime + "\t0\t" + std::to_string(fields.received) + '\t' + std::to_string(fields.exit_value) + '\t' + std::to_string(fields.signal) + '\t';
  const std::size_t command = line.size();
  line += row.result.command;
  std::replace(line.begin() + static_cast<std::ptrdiff_t>(command), line.end(), '\n', '\0');  // as GNU parallel does; tabs stay
  line += '\n';
}

}  // namespace

std::string joblog_line(const Row& row, const std::string& local_host) {
  std::string line;
  append_line(line, row, local_host);
  return line;
}

base::Result<Joblog> Joblog::open(const std::string& path, const std::string& local_host, ResultLog& log) {
  Joblog joblog(path, local_host);
  if (auto done = joblog.open_file(); !done) return done.error();
  const JoblogMark mark = log.recovered().joblog.value_or(JoblogMark{});
  if (!joblog.is_regular_) {
    joblog.mark_ = mark;
    joblog.pending_ = kHeader;
  } else if (joblog.appends_) {
    const bool is_ours = joblog.is_ours(mark, log);
    if (auto done = joblog.go_to_end(); !done) return done.error();
    if (is_ours) joblog.mark_ = mark;
    if (log.recovered().last_seq > joblog.mark_.seq) {
      if (auto done = joblog.read_lines(is_ours ? mark.offset : 0); !done) return done.error();
    }
  } else if (joblog.is_ours(mark, log)) {
    if (auto done = joblog.cut(mark.offset); !done) return done.error();
    joblog.mark_ = mark;
  } else {
    if (auto done = joblog.cut(0); !done) return done.error();
    joblog.pending_ = kHeader;
  }
  if (auto done = joblog.replay(log); !done) return done.error();
  joblog.lines_ = {};
  auto flushed = joblog.flush();
  if (!flushed) return flushed.error();
  log.joblog(*flushed);
  return joblog;
}

Status Joblog::open_file() {
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  is_regular_ = !exists || S_ISREG(status.st_mode);
  // A file is read as well, to see whether it is ours; a pipe opened so would hold its own reading end open.
  fd_.reset(::open(path_.c_str(), (is_regular_ ? O_RDWR | O_CREAT : O_WRONLY) | (appends_ ? O_APPEND : 0) | O_CLOEXEC | O_NOCTTY, 0666));
  if (!fd_) return error("cannot write to it", errno);
  return base::ok();
}

// Compares the header and the last line that the mark covers: enough to tell our file from another one, also one that grew in the same place.
bool Joblog::is_ours(const JoblogMark& mark, ResultLog& log) const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) < mark.offset || mark.offset < kHeader.size()) return false;
  const auto holds = [&](std::string_view text, std::uint64_t at) {
    std::string found(text.size(), '\0');
    return ::pread(fd_.get(), found.data(), found.size(), static_cast<off_t>(at)) == static_cast<ssize_t>(found.size()) && found == text;
  };
  if (!holds(kHeader, 0) && !appends_) return false;
  if (mark.seq == 0) return mark.offset == kHeader.size();
  const auto row = log.row(mark.job);
  if (!row && row.error().kind == Error::Kind::NotFound) return has_line_before(mark.offset, mark.number);  // a user's retry took it away; its line stays
  if (!row) return false;
  const auto ends_there = [&](const std::string& line) { return mark.offset >= kHeader.size() + line.size() && holds(line, mark.offset - line.size()); };
  return ends_there(joblog_line(*row, local_host_)) || ends_there(line_elsewhere(*row));
}

// As a sink wrote it for which another host was its own: this one may have had another name then, or the run may have moved.
std::string Joblog::line_elsewhere(const Row& row) const { return joblog_line(row, row.host == local_host_ ? std::string() : row.host); }

// Others may have written up to there, and may have been left in the middle of a line; they may write on.
Status Joblog::go_to_end() {
  const off_t end = ::lseek(fd_.get(), 0, SEEK_END);
  if (end < 0) return error("cannot seek", errno);
  char last = '\n';
  if (end > 0 && ::pread(fd_.get(), &last, 1, end - 1) != 1) return error("cannot read it", errno);
  if (end == 0) pending_ = kHeader;
  else if (last != '\n') pending_ = '\n';
  mark_ = {.offset = static_cast<std::uint64_t>(end)};
  return base::ok();
}

// Whether the line of that number ends there, so far as its last 64 KiB tell.
bool Joblog::has_line_before(std::uint64_t offset, std::uint64_t number) const {
  std::string text(std::min<std::uint64_t>(offset, 64u << 10), '\0');
  if (::pread(fd_.get(), text.data(), text.size(), static_cast<off_t>(offset - text.size())) != static_cast<ssize_t>(text.size())) return false;
  if (text.back() != '\n') return false;
  const std::size_t before = text.rfind('\n', text.size() - 2);
  return before == std::string::npos || std::string_view(text).substr(before + 1).starts_with(std::to_string(number) + '\t');
}

Status Joblog::cut(std::uint64_t offset) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(offset)) != 0) return error("cannot cut it back", errno);
  if (::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) return error("cannot seek", errno);
  mark_ = {.offset = offset};
  return base::ok();
}

// Those behind `from`, where one begins.
Status Joblog::read_lines(std::uint64_t from) {
  std::string piece(kPiece, '\0');
  for (std::uint64_t at = from;;) {
    const ssize_t n = ::pread(fd_.get(), piece.data(), piece.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error("cannot read it", errno);
    if (n == 0) break;
    std::string_view rest(piece.data(), static_cast<std::size_t>(n));
    at += rest.size();
    for (std::size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      torn_ += rest.substr(0, end + 1);
      lines_.push_back({std::hash<std::string_view>{}(torn_), at - (rest.size() - end - 1)});
      torn_.clear();
    }
    if (torn_.size() <= kLongest) torn_ += rest;  // a longer one is none of ours
  }
  std::sort(lines_.begin(), lines_.end(), [](const Line& a, const Line& b) { return a.hash < b.hash; });
  return base::ok();
}

// Where that line ends in the file; none: it is not there.
std::optional<std::uint64_t> Joblog::find_line(std::string_view line) const {
  const std::size_t hash = std::hash<std::string_view>{}(line);
  auto at = std::lower_bound(lines_.begin(), lines_.end(), hash, [](const Line& known, std::size_t wanted) { return known.hash < wanted; });
  std::string found(line.size(), '\0');
  for (; at != lines_.end() && at->hash == hash; ++at) {
    if (at->end < line.size() || ::pread(fd_.get(), found.data(), found.size(), static_cast<off_t>(at->end - line.size())) != static_cast<ssize_t>(found.size())) continue;
    if (found == line) return at->end;
  }
  return std::nullopt;
}

Status Joblog::replay(ResultLog& log) {
  const std::uint64_t last = log.recovered().last_seq;
  for (std::uint64_t from = mark_.seq; from < last; from += kReplayRows) {
    const auto rows = log.finished_between(from, std::min(last, from + kReplayRows));
    if (!rows) return rows.error();
    for (const Finished& finished : *rows) {
      const auto row = log.row(finished.job);
      if (!row) return row.error();
      const std::string line = joblog_line(*row, local_host_);
      auto end = find_line(line);
      if (!end) end = find_line(line_elsewhere(*row));
      if (end) {
        mark_.offset = *end;
      } else if (const std::string torn = std::exchange(torn_, {}); !torn.empty() && line.starts_with(torn)) {
        pending_ = line.substr(torn.size());  // in place of the newline that go_to_end() wanted
      } else {
        pending_ += line;
      }
      cover(*row);
      mark_.seq = finished.seq;  // a retried job leaves a gap in the numbers
      if (pending_.size() < kReplayFlush) continue;
      if (auto flushed = flush(); !flushed) return flushed.error();
    }
  }
  mark_.seq = std::max(mark_.seq, last);
  return base::ok();
}

void Joblog::add(const Row& row) {
  append_line(pending_, row, local_host_);
  cover(row);
}

void Joblog::cover(const Row& row) {
  ++mark_.seq;
  mark_.job = row.result.attempt.job;
  const std::uint64_t number = label_of(row.result.label).number;
  mark_.number = number != 0 ? number : mark_.job;
}

base::Result<JoblogMark> Joblog::flush() {
  std::size_t written = 0;
  while (written < pending_.size()) {
    const ssize_t n = ::write(fd_.get(), pending_.data() + written, pending_.size() - written);
    if (n >= 0) {
      written += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      const int code = errno;
      pending_.erase(0, written);
      mark_.offset += written;
      return error("cannot write to it", code);
    }
  }
  pending_.clear();
  mark_.offset += written;
  if (const off_t end = appends_ && is_regular_ && written > 0 ? ::lseek(fd_.get(), 0, SEEK_CUR) : -1; end >= 0) mark_.offset = static_cast<std::uint64_t>(end);
  return mark_;
}

Error Joblog::error(const char* what, int code) const {
  const auto kind = code == ENOSPC || code == EDQUOT ? Error::Kind::Full : Error::Kind::Io;
  return {kind, "joblog " + path_ + ": " + what + ": " + std::strerror(code)};
}

}  // namespace sink
