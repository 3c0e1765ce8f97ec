#include "ventilator/file_parts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace ventilator {

using base::Error;

namespace {

constexpr std::size_t kWindow = 64u << 10;

Error failure(const std::string& path) { return {errno == ENOENT ? Error::Kind::NotFound : Error::Kind::Io, "cannot read the input " + path + ": " + std::strerror(errno)}; }

// Of the content, as far as it can be known without reading it.
std::uint64_t mark_of(const struct stat& status) {
  std::uint64_t mark = 0xcbf29ce484222325u;
  for (const auto part : {static_cast<std::uint64_t>(status.st_size), static_cast<std::uint64_t>(status.st_mtim.tv_sec), static_cast<std::uint64_t>(status.st_mtim.tv_nsec)})
    mark = (mark ^ part) * 0x9e3779b97f4a7c15u;
  return mark;
}

// As files of /proc: nobody knows how many.
bool has_hidden_bytes(const std::string& path, const struct stat& status) {
  const io::UniqueFd fd(status.st_size == 0 ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1);
  char byte;
  return fd && ::read(fd.get(), &byte, 1) > 0;
}

}  // namespace

base::Result<FileParts> FileParts::open(const std::vector<std::string>& paths, RecordEnds ends, const PartPlan& plan) {
  FileParts parts(std::move(ends), plan);
  for (const std::string& path : paths) {
    std::error_code unknown;
    const auto absolute = std::filesystem::absolute(path, unknown);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return failure(path);
    if (!S_ISREG(status.st_mode) || has_hidden_bytes(path, status)) return Error{Error::Kind::Usage, "--pipe-part: " + path + " is not a file whose parts can be read; use --pipe < " + path};
    parts.files_.push_back({unknown ? path : absolute.string(), static_cast<std::uint64_t>(status.st_size), mark_of(status)});
  }
  return parts;
}

base::Status FileParts::fetch(std::uint64_t from, std::size_t length) {
  window_.resize(length);
  std::size_t got = 0;
  while (got < length) {
    const ssize_t n = ::pread(fd_.get(), window_.data() + got, length - got, static_cast<off_t>(from + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(files_[next_file_ - 1].path);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  window_.resize(got);
  return base::ok();
}

base::Status FileParts::begin_file() {
  const File& file = files_[next_file_++];
  fd_ = io::UniqueFd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd_) return failure(file.path);
  at_ = 0;
  step_ = plan_.bytes > 0 ? plan_.bytes : file.size / plan_.parts + 1;
  header_.clear();
  for (std::size_t window = kWindow; plan_.header_lines > 0; window *= 2) {
    if (auto fetched = fetch(0, window); !fetched) return fetched;
    std::uint64_t lines = 0;
    for (std::size_t end = window_.find('\n'); end != std::string::npos && lines < plan_.header_lines; end = window_.find('\n', end + 1), ++lines) at_ = end + 1;
    if (lines == plan_.header_lines || window_.size() < window) {
      if (lines < plan_.header_lines) at_ = window_.size();
      header_ = window_.substr(0, at_);
      break;
    }
  }
  return base::ok();
}

// The first end of a record at or behind `from`.
base::Result<std::uint64_t> FileParts::end_from(std::uint64_t from) {
  const std::uint64_t size = files_[next_file_ - 1].size;
  for (std::size_t window = kWindow;; window *= 2) {
    if (from >= size) return size;
    if (auto fetched = fetch(from, window); !fetched) return fetched.error();
    const bool is_rest = from + window_.size() >= size || window_.size() < window;
    const std::size_t end = ends_.next(window_, 0);
    // A match that ends where the window does might go on behind it.
    if (end != RecordEnds::kNone && (end < window_.size() || is_rest || !ends_.is_regexp())) return from + end;
    if (is_rest) return size;
  }
}

base::Result<std::optional<base::InputFile>> FileParts::next() {
  while (next_file_ == 0 || at_ >= files_[next_file_ - 1].size) {
    if (next_file_ == files_.size()) return std::optional<base::InputFile>();
    if (auto begun = begin_file(); !begun) return begun.error();
  }
  const File& file = files_[next_file_ - 1];
  auto end = end_from(at_ + step_);
  if (!end) return end.error();
  base::InputFile part{file.path, at_, *end - at_, file.mark};
  at_ = *end;
  return std::optional(std::move(part));
}

}  // namespace ventilator
