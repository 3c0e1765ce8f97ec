#include "ventilator/spooled_file.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <span>
#include <utility>

#include "io/run_directory.h"
#include "io/unique_fd.h"

namespace ventilator {

using base::Error;

namespace {

Error failure(const std::string& what, const std::string& path) {
  return {errno == ENOSPC || errno == EDQUOT ? Error::Kind::Full : Error::Kind::Io, what + " " + path + ": " + std::strerror(errno)};
}

std::string folder_of(const std::string& run_directory) { return run_directory + "/" + io::kInputs; }

// Many small pieces in one call.
bool write_all(int file, std::span<const std::string_view> pieces) {
  constexpr std::size_t kAtOnce = 1024;  // IOV_MAX
  std::vector<iovec> vectors;
  while (!pieces.empty()) {
    vectors.clear();
    for (const std::string_view piece : pieces.first(std::min(pieces.size(), kAtOnce))) vectors.push_back({const_cast<char*>(piece.data()), piece.size()});
    pieces = pieces.subspan(vectors.size());
    for (std::size_t first = 0; first < vectors.size();) {
      ssize_t n = ::writev(file, vectors.data() + first, static_cast<int>(vectors.size() - first));
      if (n < 0 && errno != EINTR) return false;
      for (; n > 0 && static_cast<std::size_t>(n) >= vectors[first].iov_len; ++first) n -= static_cast<ssize_t>(vectors[first].iov_len);
      if (n > 0) vectors[first] = {static_cast<char*>(vectors[first].iov_base) + n, vectors[first].iov_len - static_cast<std::size_t>(n)};
    }
  }
  return true;
}

base::Status copy(const base::InputFile& part, int file, const std::string& path) {
  const io::UniqueFd from(::open(part.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!from) return failure("cannot read the input", part.path);
  auto at = static_cast<off64_t>(part.offset);
  for (std::uint64_t left = part.length; left > 0;) {
    const ssize_t n = ::sendfile64(file, from.get(), &at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure("cannot write", path);
    if (n == 0) return Error{Error::Kind::Io, "the input " + part.path + " has become shorter"};
    left -= static_cast<std::uint64_t>(n);
  }
  return base::ok();
}

}  // namespace

SpooledFile::SpooledFile(const SpoolPlace& place, base::JobId job) : place_(place), job_(job), path_(path_of(place.run_directory, job)) {}

std::string SpooledFile::path_of(const std::string& run_directory, base::JobId job) { return folder_of(run_directory) + "/" + std::to_string(job); }

void SpooledFile::add(std::string_view bytes) {
  mark_.add(bytes);
  length_ += bytes.size();
  if (!place_.run_directory.empty() && !bytes.empty()) fresh_.push_back(bytes);
}

// What is in the part is not read for it: its own mark stands for that.
void SpooledFile::add(base::InputFile part) {
  for (const std::uint64_t number : {part.mark, part.offset, part.length}) mark_.add({reinterpret_cast<const char*>(&number), sizeof number});
  length_ += part.length;
  copied_ = std::move(part);
}

base::Status SpooledFile::store(base::JobId accepted, bool is_last) {
  const bool is_there = job_ == kAll ? accepted > 0 : job_ <= accepted;
  if (!is_there && (is_last || !fresh_.empty()))
    if (auto written = write(is_last); !written) return written;
  fresh_.clear();
  stored_ = length_;
  return base::ok();
}

base::Status SpooledFile::write(bool is_last) const {
  const std::string folder = folder_of(place_.run_directory);
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (stored_ == 0 ? O_TRUNC : 0);
  io::UniqueFd file(::open(path_.c_str(), flags, 0600));
  if (!file && errno == ENOENT) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failure("cannot make", folder);
    file = io::UniqueFd(::open(path_.c_str(), flags, 0600));
  }
  if (!file) return failure("cannot make", path_);
  // Behind it may be what the try before has left.
  const auto at = static_cast<off_t>(stored_);
  if (stored_ > 0 && (::ftruncate(file.get(), at) != 0 || ::lseek(file.get(), at, SEEK_SET) != at)) return failure("cannot write", path_);
  if (!write_all(file.get(), fresh_)) return failure("cannot write", path_);
  if (copied_.length > 0)
    if (auto copied = copy(copied_, file.get(), path_); !copied) return copied;
  if (!place_.is_synced || !is_last) return base::ok();
  const io::UniqueFd made_in(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!made_in || ::fsync(file.get()) != 0 || ::fsync(made_in.get()) != 0) return failure("cannot write", path_);
  return base::ok();
}

void SpooledFile::drop_leftovers(const std::string& run_directory, base::JobId accepted) {
  std::error_code error;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(folder_of(run_directory), error)) {
    const std::string name = entry.path().filename().string();
    base::JobId job = 0;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), job);
    const bool is_ours = fault == std::errc{} && end == name.data() + name.size();
    if (is_ours && (job > accepted || accepted == 0)) leftovers.push_back(entry.path());
  }
  for (const auto& path : leftovers) std::filesystem::remove(path, error);
}

void SpooledFile::drop_shared(const std::string& run_directory) { ::unlink(path_of(run_directory, kAll).c_str()); }

}  // namespace ventilator
