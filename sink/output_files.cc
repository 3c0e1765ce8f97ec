#include "sink/output_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

namespace sink {

using base::Attempt;
using base::Error;
using base::Status;
using wire::OutputStream;

namespace {

constexpr const char* kFolder = "outputs";

Error failed(const std::string& doing, const std::string& name, int error) {
  const auto kind = error == ENOSPC || error == EDQUOT ? Error::Kind::Full : error == ENOENT ? Error::Kind::NotFound : Error::Kind::Io;
  return {kind, "cannot " + doing + " " + name + ": " + std::strerror(error)};
}

// What name() made, without its folder.
std::optional<std::pair<Attempt, OutputStream>> parse_name(std::string_view name) {
  Attempt attempt;
  for (std::uint64_t* number : {&attempt.job, &attempt.epoch, &attempt.n}) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), *number);
    if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
    name.remove_prefix(static_cast<std::size_t>(end - name.data()) + 1);
  }
  if (name == "out") return std::pair(attempt, OutputStream::Out);
  if (name == "err") return std::pair(attempt, OutputStream::Err);
  return std::nullopt;
}

Status sync_path(const std::string& path, int flags) {
  const io::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd && errno == ENOENT) return base::ok();  // dropped meanwhile
  if (!fd || ::fsync(fd.get()) != 0) return failed("sync", path, errno);
  return base::ok();
}

}  // namespace

OutputFiles::OutputFiles(std::string run_directory, io::Durability durability) : run_directory_(std::move(run_directory)), durability_(durability) {}

std::string OutputFiles::name(const Attempt& attempt, OutputStream stream) {
  return std::string(kFolder) + "/" + std::to_string(attempt.job) + "." + std::to_string(attempt.epoch) + "." + std::to_string(attempt.n) +
         (stream == OutputStream::Out ? ".out" : ".err");
}

Status OutputFiles::append(const Attempt& attempt, OutputStream stream, std::uint64_t offset, std::string_view bytes) {
  if (!has_folder_) {
    const std::string folder = run_directory_ + "/" + kFolder;
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failed("create", folder, errno);
    has_folder_ = true;
  }
  const std::string path = run_directory_ + "/" + name(attempt, stream);
  io::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return failed("create", path, errno);
  const bool is_first = offset == 0;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("write", path, n == 0 ? ENOSPC : errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  // Some file systems say so late that a write found no room.
  if (::close(fd.release()) != 0 && errno != EINTR) return failed("write", path, errno);
  if (durability_ == io::Durability::Power) unsynced_.insert(path);
  has_new_file_ = has_new_file_ || is_first;
  return base::ok();
}

void OutputFiles::recover(const Attempt& attempt, OutputStream stream) {
  if (durability_ == io::Durability::Power) unsynced_.insert(run_directory_ + "/" + name(attempt, stream));
  has_new_file_ = true;
}

Status OutputFiles::sync() {
  if (unsynced_.empty()) return base::ok();
  Status synced = base::ok();
  for (auto path = unsynced_.begin(); path != unsynced_.end() && synced; ++path) synced = sync_path(*path, O_WRONLY);
  if (synced && has_new_file_) synced = sync_path(run_directory_ + "/" + kFolder, O_RDONLY | O_DIRECTORY);
  if (!synced) {
    // The system may have forgotten bytes that the length still counts, and would call a second attempt a success. No row names these files yet.
    for (const std::string& path : unsynced_) ::unlink(path.c_str());
    return Error{Error::Kind::Io, synced.error().message};
  }
  has_new_file_ = false;
  unsynced_.clear();
  return base::ok();
}

void OutputFiles::drop(const Attempt& attempt) {
  drop(attempt, OutputStream::Out);
  drop(attempt, OutputStream::Err);
}

void OutputFiles::drop(const Attempt& attempt, OutputStream stream) { ::unlink((run_directory_ + "/" + name(attempt, stream)).c_str()); }

base::Result<std::vector<OutputFiles::Found>> OutputFiles::found() const {
  std::vector<Found> found;
  std::error_code error;
  const std::filesystem::directory_iterator end;
  for (std::filesystem::directory_iterator at(run_directory_ + "/" + kFolder, error); !error && at != end; at.increment(error)) {
    const auto parsed = parse_name(at->path().filename().string());
    std::error_code gone;
    const auto length = at->file_size(gone);
    if (parsed && !gone) found.push_back({parsed->first, parsed->second, length});
  }
  if (error && error != std::errc::no_such_file_or_directory) return failed("read", run_directory_ + "/" + kFolder, error.value());
  return found;
}

base::Result<io::UniqueFd> OutputFiles::open_for_reading(const std::string& name) const {
  io::UniqueFd fd(::open((run_directory_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return failed("open", run_directory_ + "/" + name, errno);
  return fd;
}

}  // namespace sink
