#include "io/lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "io/host.h"
#include "io/run_directory.h"

namespace io {

using base::Error;

namespace {

constexpr int kPatience = 20, kPatienceWithUnnamed = 500;  // times 10 ms

// What is written in a lock file: "PID HOST PROGRAM", and a line that tells this process from others that had or get its number: "STARTED BOOT".
struct Holder {
  pid_t pid = 0;
  std::string host, program, started, boot;

  std::string text() const { return pid == 0 ? "another process" : "process " + std::to_string(pid) + " " + host + " " + program; }
};

Error failure(const std::string& path, const std::string& what, int error) { return {Error::Kind::Io, path + ": " + what + ": " + std::strerror(error)}; }

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

// When the process began, in ticks since the boot; empty when there is none.
std::string start_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string stat((std::istreambuf_iterator<char>(file)), {});
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int n = 3; n <= 22; ++n) fields >> field;
  return field;
}

// Of the open file, as flock(2) has it: forked children hold it too, and the kernel frees it with the last of them. Unlike flock's it can be seen by others.
struct flock whole_file() {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return whole;
}

Holder read_holder(int fd) {
  char text[1024];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  std::istringstream in(std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0));
  Holder holder;
  in >> holder.pid >> holder.host >> std::ws;
  std::getline(in, holder.program);
  in >> holder.started >> holder.boot;
  return holder;
}

void write_holder(int fd, std::string_view program, bool is_seen_elsewhere) {
  const std::string text = std::to_string(::getpid()) + " " + host_name() + " " + std::string(program) + "\n" + start_of(::getpid()) + " " + boot_id() + "\n";
  // A disk too full for this is no reason to refuse: it only tells others who we are.
  if (::ftruncate(fd, 0) == 0 && ::pwrite(fd, text.data(), text.size(), 0) > 0 && is_seen_elsewhere) ::fsync(fd);
}

// Without regard to the kernel's lock.
bool is_presumed_alive(const Holder& holder) {
  if (holder.pid == 0) return false;
  if (holder.host != host_name()) return true;
  return holder.boot == boot_id() && holder.started == start_of(holder.pid);
}

// Why a lock is not to be had: Busy; none if it is.
std::optional<Error> refusal(const std::string& run_directory, const Holder& holder, bool is_locked, TakeOver take_over) {
  std::string words = run_directory + ": is in use by " + holder.text();
  if (is_locked) return Error{Error::Kind::Busy, std::move(words)};
  if (!is_network_filesystem(run_directory) || !is_presumed_alive(holder)) return std::nullopt;
  if (holder.host == host_name()) return Error{Error::Kind::Busy, std::move(words)};
  if (take_over == TakeOver::Yes) return std::nullopt;
  return Error{Error::Kind::Busy, words + "; if that host is dead, go on with --take-over"};
}

// Whose name is in the lock file, and whether somebody has it locked; none when there is no file.
std::optional<std::pair<Holder, bool>> look(const std::string& run_directory, const char* name) {
  const UniqueFd fd(::open((run_directory + "/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return std::nullopt;
  struct flock whole = whole_file();
  const bool is_locked = ::fcntl(fd.get(), F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
  return std::pair(read_holder(fd.get()), is_locked);
}

}  // namespace

base::Result<Lock> Lock::take(const std::string& run_directory, const char* name, std::string_view program, TakeOver take_over) {
  const std::string path = run_directory + "/" + name;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd || ::fchmod(fd.get(), 0600) != 0) return failure(path, "cannot open", errno);
  struct flock whole = whole_file();
  int locked;
  int error = 0;
  for (int tries = 0; (locked = ::fcntl(fd.get(), F_OFD_SETLK, &whole)) != 0; ++tries) {
    error = errno;
    // Held for a moment by a child of a dead holder that has not executed yet. One that has not named itself comes or goes, or only looks, and may wait for the
    // disk to do so.
    const int patience = is_presumed_alive(read_holder(fd.get())) ? kPatience : kPatienceWithUnnamed;
    if (error != EINTR && ((error != EAGAIN && error != EACCES) || tries >= patience)) break;
    ::poll(nullptr, 0, 10);
  }
  if (locked != 0 && error != EAGAIN && error != EACCES) return failure(path, "cannot lock", error);
  const Holder holder = read_holder(fd.get());
  if (auto refused = refusal(run_directory, holder, locked != 0, take_over)) return *refused;
  const bool is_shared = is_network_filesystem(run_directory);
  const bool is_named = program != kLook;
  if (is_named) write_holder(fd.get(), program, is_shared);
  return Lock(std::move(fd), is_named, is_shared && is_presumed_alive(holder) ? holder.text() : "");
}

base::Status Lock::check(const std::string& run_directory, const char* name, TakeOver take_over) {
  const auto seen = look(run_directory, name);
  if (auto refused = seen ? refusal(run_directory, seen->first, seen->second, take_over) : std::nullopt) return *refused;
  return base::ok();
}

std::optional<std::string> Lock::holder(const std::string& run_directory, const char* name) {
  const auto seen = look(run_directory, name);
  if (!seen || !refusal(run_directory, seen->first, seen->second, TakeOver::No)) return std::nullopt;
  return seen->first.text();
}

Lock::~Lock() {
  if (fd_ && is_named_) (void)!::ftruncate(fd_.get(), 0);
}

}  // namespace io
