#include "ventilator/job_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "wire/limits.h"

namespace ventilator {

namespace {

// Bytes of a read at most: above a pipe's usual capacity; files gain nothing from more.
constexpr std::size_t kMaxChunk = 256u << 10;

}  // namespace

JobSource JobSource::stream(int fd, std::string text, RecordFormat format) {
  JobSource source(std::move(text));
  source.format_ = std::move(format);
  source.fd_ = fd;
  struct stat status {};
  source.always_ready_ = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  return source;
}

JobSource JobSource::standard_input(int fd, RecordFormat format) { return stream(fd, "standard input", std::move(format)); }

base::Result<JobSource> JobSource::file(const std::string& path, RecordFormat format) {
  if (path == "-") return standard_input(0, std::move(format));
  struct stat status {};
  // A FIFO would make open() wait for its writer where no signal can end that; the poll before the first read() does the waiting.
  const int waits = ::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode) ? O_NONBLOCK : 0;
  io::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | waits));
  if (!file) {
    const auto kind = errno == ENOENT ? base::Error::Kind::NotFound : base::Error::Kind::Io;
    return base::Error{kind, "cannot open the input " + path + ": " + std::strerror(errno)};
  }
  if (::fstat(file.get(), &status) == 0 && S_ISDIR(status.st_mode))
    return base::Error{base::Error::Kind::Usage, "cannot read the input " + path + ": " + std::strerror(EISDIR)};
  // Absolute, so that a resumed run finds it from any directory.
  std::error_code unknown;
  const auto absolute = std::filesystem::absolute(path, unknown);
  JobSource source = stream(file.get(), "file " + (unknown ? path : absolute.string()), std::move(format));
  source.file_ = std::move(file);
  return source;
}

JobSource JobSource::list(std::vector<std::string> records) {
  JobSource source("arguments");
  source.list_ = std::move(records);
  return source;
}

int JobSource::fd() const {
  const bool has_work = !is_searched_ || at_end_ || failed_;
  return has_work || always_ready_ ? -1 : fd_;
}

JobSource::State JobSource::read(std::size_t max_records, std::size_t max_bytes, std::vector<std::string_view>& records) {
  records.clear();
  if (failed_) return State::Error;
  if (fd_ < 0) {
    std::size_t bytes = 0;
    while (delivered_ < list_.size() && records.size() < max_records && add(list_[delivered_], max_bytes, bytes, records)) {}
    if (failed_) return State::Error;
    return records.empty() ? State::End : State::More;
  }
  // With something left to search fd() was -1 and nobody polled: reading now might block.
  if (is_searched_ && !at_end_ && !fill()) return State::Error;
  split(max_records, max_bytes, records);
  if (failed_) return State::Error;
  return at_end_ && records.empty() ? State::End : State::More;
}

bool JobSource::fill() {
  // Only the incomplete record is moved, and while it grows over many reads it lies at the front already: each byte moves at most once here.
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  if (capacity_ - end_ < chunk_) {
    capacity_ = std::max(end_ + chunk_, 2 * capacity_);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
    if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
    buffer_ = std::move(larger);
  }
  const ssize_t count = ::read(fd_, buffer_.get() + end_, chunk_);
  if (count > 0) {
    if (static_cast<std::size_t>(count) == chunk_) chunk_ = std::min(2 * chunk_, kMaxChunk);
    end_ += static_cast<std::size_t>(count);
    is_searched_ = false;
  } else if (count == 0) {
    at_end_ = true;
  } else if (errno != EINTR && errno != EAGAIN) {  // EAGAIN: whoever gave us the descriptor had set O_NONBLOCK
    refuse(base::Error::Kind::Io, "cannot read the input (" + text_ + ") behind record " + std::to_string(delivered_) + ": " + std::strerror(errno));
    return false;
  }
  return true;
}

std::size_t JobSource::find_delimiter() {
  const std::string& delimiter = format_.delimiter;
  const void* found = nullptr;
  if (scanned_ < end_ && !delimiter.empty()) {
    const char* const from = buffer_.get() + scanned_;
    found = delimiter.size() == 1 ? std::memchr(from, delimiter[0], end_ - scanned_) : ::memmem(from, end_ - scanned_, delimiter.data(), delimiter.size());
  }
  if (found != nullptr) return static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.get());
  scanned_ = std::max(scanned_, end_ - std::min(end_, delimiter.empty() ? 0 : delimiter.size() - 1));  // one may have begun
  return std::string::npos;
}

std::size_t JobSource::find_end_of_csv() {
  for (; scanned_ < end_; ++scanned_) {
    const char c = buffer_[scanned_];
    switch (csv_) {
      case Csv::InQuotes:
        if (c == '"') csv_ = Csv::BehindQuote;
        continue;
      case Csv::BehindQuote:
        if (c == '"') {
          csv_ = Csv::InQuotes;
          continue;
        }
        break;
      case Csv::ValueBegins:
        if (c == '"') {
          csv_ = Csv::InQuotes;
          continue;
        }
        break;
      case Csv::InValue: break;
    }
    if (c == '\n') {
      csv_ = Csv::ValueBegins;
      return scanned_;
    }
    csv_ = c == *format_.csv ? Csv::ValueBegins : Csv::InValue;
  }
  return std::string::npos;
}

void JobSource::split(std::size_t max_records, std::size_t max_bytes, std::vector<std::string_view>& records) {
  std::size_t bytes = 0;
  const std::string_view buffer(buffer_.get(), end_);
  const std::size_t delimiter = format_.csv ? 1 : format_.delimiter.size();
  while (records.size() < max_records) {
    const std::size_t found = format_.csv ? find_end_of_csv() : find_delimiter();
    const bool is_found = found != std::string::npos;
    if (!is_found && !(at_end_ && begin_ < end_)) {
      is_searched_ = true;
      // Refused before it is read to its end, which may never come.
      if (records.empty() && end_ - begin_ > wire::kMaxJob) add(buffer.substr(begin_, end_ - begin_), max_bytes, bytes, records);
      return;
    }
    if (!is_found && csv_ == Csv::InQuotes) {
      if (records.empty())
        refuse(base::Error::Kind::Usage, "record " + std::to_string(delivered_ + 1) + " of the input (" + text_ + ") has a quote that is not closed: --csv takes \"\" for a quote within one");
      return;
    }
    const std::size_t end = is_found ? found : end_;
    if (!add(buffer.substr(begin_, end - begin_), max_bytes, bytes, records)) {
      scanned_ = end;  // comes back to it, and finds it at once
      return;
    }
    begin_ = scanned_ = is_found ? end + delimiter : end_;
  }
}

bool JobSource::add(std::string_view record, std::size_t max_bytes, std::size_t& bytes, std::vector<std::string_view>& records) {
  if (!records.empty() && bytes + record.size() > max_bytes) return false;
  if (record.size() > wire::kMaxJob) {
    // Those before it are delivered first: the next read() comes back to it.
    if (records.empty())
      refuse(base::Error::Kind::Usage, "record " + std::to_string(delivered_ + 1) + " of the input (" + text_ + ") is longer than " +
                                           std::to_string(wire::kMaxJob) + " bytes, the most a job may have");
    return false;
  }
  bytes += record.size();
  records.push_back(record);
  ++delivered_;
  return true;
}

void JobSource::refuse(base::Error::Kind kind, std::string message) {
  failed_ = true;
  error_ = {kind, std::move(message)};
}

}  // namespace ventilator
