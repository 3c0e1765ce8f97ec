#include "sink/job_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace sink {

using base::Error;
using base::Status;
using wire::OutputStream;

namespace {

constexpr std::size_t kPiece = 256u << 10;

Error::Kind kind_of(int error) { return error == ENOSPC || error == EDQUOT ? Error::Kind::Full : Error::Kind::Io; }

Error failed(const std::string& path, int error) { return {kind_of(error), "cannot write " + path + ": " + std::strerror(error)}; }

bool is_regular(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

io::UniqueFd open_file(const std::string& path) { return io::UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666)); }

// One that is not there yet: in a directory that others may write to, they may have put something in its place.
io::UniqueFd make_file(const std::string& path) { return io::UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)); }

Status close_file(io::UniqueFd& fd, const std::string& path) {
  // Some file systems say so late that a write found no room.
  if (::close(fd.release()) != 0 && errno != EINTR) return failed(path, errno);
  return base::ok();
}

// A link stays one, also one to a file that is not there yet.
std::string behind_links(const std::string& path) {
  constexpr int kMostLinks = 40;
  std::filesystem::path target = path;
  std::error_code fault;
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(target, fault); ++i) target = target.parent_path() / std::filesystem::read_symlink(target, fault);
  return target.string();
}

// What has been cut short. A device or a pipe stays.
void drop(const std::string& path) {
  const std::string target = behind_links(path);
  struct stat status {};
  if (::lstat(target.c_str(), &status) == 0 && S_ISREG(status.st_mode)) ::unlink(target.c_str());
}

// The same for the same file, so that a part left by a crash is overwritten; and short, as the name of the file may be as long as names can be.
std::string part_of(const std::string& path) {
  const std::size_t name = path.rfind('/') + 1;
  char text[40];
  std::snprintf(text, sizeof text, ".pushmill-%016zx", std::hash<std::string>{}(path.substr(name)));
  return path.substr(0, name) + text;
}

std::string folder_of(const std::string& given) {
  const char* surroundings = std::getenv("TMPDIR");
  return !given.empty() ? given : surroundings != nullptr && *surroundings != '\0' ? surroundings : "/tmp";
}

}  // namespace

JobFiles::JobFiles(const OutputFiles& outputs, const Presentation& how, std::string folder, io::Durability durability, WaitForRoom wait)
    : outputs_(outputs), how_(how), folder_(folder_of(folder)), durability_(durability), wait_(std::move(wait)) {}

// The rest of a file waits for room where it is (write_all); what has failed otherwise for want of room, such as making it, is done again from the start.
base::Result<std::string> JobFiles::write(const Row& row, const base::Label& label) const {
  for (;;) {
    auto written = write_once(row, label);
    if (written || written.error().kind != Error::Kind::Full || !wait_(&written.error())) return written;
  }
}

base::Result<std::string> JobFiles::write_once(const Row& row, const base::Label& label) const {
  if (how_.form == Presentation::Form::Folders) return write_folder(row, label);
  if (how_.form == Presentation::Form::Out) return write_whole(row, label);
  return write_new(row);
}

// A name with a slash at its end is that of a folder; else it is that of the stdout, and the others stand beside it.
base::Result<std::string> JobFiles::write_folder(const Row& row, const base::Label& label) const {
  const std::string& name = label.destination;
  const bool is_folder = name.ends_with('/');
  const std::string out = is_folder ? name + "stdout" : name;
  std::error_code error;
  if (const auto folder = std::filesystem::path(out).parent_path(); !folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) return Error{kind_of(error.value()), "cannot make the directory of " + out + ": " + error.message()};
  if (auto done = write_file(open_file(out), out, row, OutputStream::Out); !done) return done.error();
  const std::string err = is_folder ? name + "stderr" : name + ".err";
  if (auto done = write_file(open_file(err), err, row, OutputStream::Err); !done) return done.error();
  const std::string seq = is_folder ? name + "seq" : name + ".seq";
  io::UniqueFd fd = open_file(seq);
  if (!fd) return failed(seq, errno);
  Status done = write_all(fd.get(), seq, std::to_string(label.number != 0 ? label.number : row.result.attempt.job));
  if (done) done = close_file(fd, seq);
  if (done) return out;
  drop(seq);
  return done.error();
}

// Under another name beside it first, so that the file is there whole or not at all; and only of a job that has succeeded.
base::Result<std::string> JobFiles::write_whole(const Row& row, const base::Label& label) const {
  if (row.result.outcome != base::Outcome::Ok || label.destination.empty()) return label.destination;
  std::error_code fault;
  const std::filesystem::file_status status = std::filesystem::status(label.destination, fault);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {  // a device or a pipe takes the bytes itself
    io::UniqueFd fd(::open(label.destination.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));  // a pipe that nobody reads is an error
    if (fd) ::fcntl(fd.get(), F_SETFL, 0);
    if (auto done = write_file(std::move(fd), label.destination, row, OutputStream::Out); !done) return done.error();
    return label.destination;
  }
  const std::string name = behind_links(label.destination), part = part_of(name);
  io::UniqueFd fd = open_file(part);
  if (!fd) return failed(label.destination, errno);
  Status done = write_stream(fd.get(), part, row, OutputStream::Out);
  if (done && durability_ == io::Durability::Power && ::fsync(fd.get()) != 0) done = failed(part, errno);
  if (done) done = close_file(fd, part);
  if (done && std::rename(part.c_str(), name.c_str()) != 0) done = failed(label.destination, errno);
  if (!done) {
    ::unlink(part.c_str());
    return done.error();
  }
  return label.destination;
}

base::Result<std::string> JobFiles::write_new(const Row& row) const {
  std::string name = folder_ + "/pushmill-XXXXXX.out";
  io::UniqueFd fd(::mkostemps(name.data(), 4, O_CLOEXEC));
  if (!fd) return failed(name, errno);
  Status done = write_file(std::move(fd), name, row, OutputStream::Out);
  if (!done) return done.error();
  if (row.result.err_bytes == 0) return name;
  const std::string err = name.substr(0, name.size() - 4) + ".err";
  done = write_file(make_file(err), err, row, OutputStream::Err);
  if (done) return name;
  ::unlink(name.c_str());  // the next one has another name
  return done.error();
}

Status JobFiles::write_file(io::UniqueFd fd, const std::string& path, const Row& row, OutputStream stream) const {
  if (!fd) return failed(path, errno);
  Status done = write_stream(fd.get(), path, row, stream);
  if (done) done = close_file(fd, path);
  if (!done) drop(path);
  return done;
}

Status JobFiles::write_all(int fd, const std::string& path, std::string_view bytes) const {
  bool has_waited = false;
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      if (std::exchange(has_waited, false)) wait_(nullptr);
      continue;
    }
    Error error = failed(path, n == 0 ? ENOSPC : errno);
    if (!is_regular(fd)) error.kind = Error::Kind::Io;  // /dev/full: no room is ever made there
    if (error.kind != Error::Kind::Full || !wait_(&error)) return error;
    has_waited = true;
  }
  return base::ok();
}

Status JobFiles::write_stream(int fd, const std::string& path, const Row& row, OutputStream stream) const {
  const bool is_out = stream == OutputStream::Out;
  if (is_out && how_.commands && how_.form != Presentation::Form::Out) {
    if (auto done = write_all(fd, path, row.result.command + "\n"); !done) return done;
  }
  const std::string& file = is_out ? row.out_file : row.err_file;
  if (file.empty()) return write_all(fd, path, is_out ? row.result.out : row.result.err);
  const auto from = outputs_.open_for_reading(file);
  if (!from) return from.error();
  std::string piece;
  for (std::uint64_t left = is_out ? row.result.out_bytes : row.result.err_bytes; left > 0;) {
    piece.resize(std::min<std::uint64_t>(kPiece, left));
    const ssize_t n = ::read(from->get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error{Error::Kind::Io, "cannot read " + file + ": " + (n == 0 ? "it is too short" : std::strerror(errno))};
    if (auto done = write_all(fd, path, std::string_view(piece).substr(0, static_cast<std::size_t>(n))); !done) return done;
    left -= static_cast<std::uint64_t>(n);
  }
  return base::ok();
}

}  // namespace sink
