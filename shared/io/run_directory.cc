#include "io/run_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "io/entropy.h"
#include "io/unique_fd.h"

namespace io {

using base::Error;

namespace {

constexpr const char* kDatabases[] = {"jobs.db", "results.db"};
constexpr const char* kDatabaseSuffixes[] = {"", "-wal", "-shm", "-journal"};
constexpr const char* kOutputs = "outputs";
constexpr const char* kOtherFiles[] = {Lock::kVentilator, Lock::kSink, kStatusFile, "status.json.new"};
constexpr std::size_t kMaxRuntimeDirectory = 80;  // leaves room for a name within the 107 bytes of a socket's path

Error failure(const std::string& path, const std::string& what, int error) {
  const auto kind = error == ENOSPC || error == EDQUOT ? Error::Kind::Full : error == ENOENT ? Error::Kind::NotFound : Error::Kind::Io;
  return {kind, path + ": " + what + ": " + std::strerror(error)};
}

Error refusal(const std::string& path, const std::string& why) { return {Error::Kind::Usage, path + ": " + why}; }

std::string absolute(const std::string& path) {
  std::error_code error;
  auto whole = std::filesystem::absolute(path, error).lexically_normal().string();
  if (error) return path;
  while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
  return whole;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// True if this call made it. The chmod is for umasks that would take bits of ours away.
base::Result<bool> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (::chmod(path.c_str(), 0700) != 0) return failure(path, "cannot set its mode", errno);
    return true;
  }
  if (errno == EEXIST) return false;
  if (errno != ENOENT) return failure(path, "cannot create", errno);
  if (path == "/" || path.empty()) return failure(path, "cannot create", ENOENT);
  if (auto made = make_directory(parent_of(path)); !made) return made.error();
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return false;  // another role of the run was faster
    return failure(path, "cannot create", errno);
  }
  if (::chmod(path.c_str(), 0700) != 0) return failure(path, "cannot set its mode", errno);
  return true;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// `flags`: of open(2), as O_NOFOLLOW.
std::vector<std::string> names_in(const std::string& path, int flags = 0) {
  std::vector<std::string> names;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags));
  if (!fd) return names;
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (directory != nullptr) (void)fd.release();
  while (directory != nullptr) {
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

bool is_database_file(const std::string& name) {
  for (const char* database : kDatabases)
    for (const char* suffix : kDatabaseSuffixes)
      if (name == std::string(database) + suffix) return true;
  return false;
}

// JOB.EPOCH.N.out or .err
bool is_output_file(const std::string& name) {
  return (name.ends_with(".out") || name.ends_with(".err")) && name.find_first_not_of("0123456789.") == name.size() - 3;
}

// JOB
bool is_input_file(const std::string& name) { return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos; }

// The folders that a run makes in its directory, and what is ours in them.
constexpr std::pair<const char*, bool (*)(const std::string&)> kFolders[] = {{kOutputs, is_output_file}, {kInputs, is_input_file}};

bool holds_run(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name == Lock::kVentilator || name == Lock::kSink || std::find(std::begin(kDatabases), std::end(kDatabases), name) != std::end(kDatabases);
  });
}

base::Result<RunDirectory> guard(RunDirectory run) {
  const UniqueFd fd(::open(run.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd && errno == ENOTDIR) return refusal(run.path, "is not a directory");
  if (!fd) return failure(run.path, "cannot open", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return failure(run.path, "cannot open", errno);
  if (status.st_uid != ::geteuid()) return refusal(run.path, "belongs to another user; name a directory of your own");
  if ((status.st_mode & 077) == 0) return run;
  const auto names = names_in(run.path);
  const bool is_shared = (status.st_mode & S_ISVTX) != 0;
  if (is_shared || (!names.empty() && !holds_run(names)))
    return refusal(run.path, "is open to other users and holds no run; name a new directory, or run: chmod 700 " + run.path);
  if (::fchmod(fd.get(), 0700) != 0) return failure(run.path, "cannot set its mode", errno);
  run.was_narrowed = true;
  return run;
}

// A private directory of ours that may have been there before; never follows a link, as others can write where it is.
base::Status make_private(const std::string& path) {
  if (auto made = make_directory(path); !made) return made.error();
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) return failure(path, "cannot open", errno);
  if (status.st_uid != ::geteuid()) return refusal(path, "belongs to another user");
  if ((status.st_mode & 07777) != 0700 && ::fchmod(fd.get(), 0700) != 0) return failure(path, "cannot set its mode", errno);
  // Says EROFS to root as well.
  if (::access(path.c_str(), W_OK | X_OK) != 0) return failure(path, "cannot write", errno);
  return base::ok();
}

std::string absolute_environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] == '/' ? value : "";
}

std::string with_uid(const std::string& directory) { return directory + "/pushmill-" + std::to_string(::geteuid()); }

std::string state_home() {
  if (const auto state = absolute_environment("XDG_STATE_HOME"); !state.empty()) return state + "/pushmill";
  if (const auto home = absolute_environment("HOME"); !home.empty()) return home + "/.local/state/pushmill";
  return "";
}

}  // namespace

base::Result<RunDirectory> open_run_directory(const std::string& path) {
  RunDirectory run{absolute(path)};
  auto made = make_directory(run.path);
  if (!made) return made.error();
  run.is_new = *made;
  return guard(std::move(run));
}

base::Result<RunDirectory> find_run_directory(const std::string& path) {
  RunDirectory run{absolute(path)};
  struct stat status {};
  if (::stat(run.path.c_str(), &status) != 0) return failure(run.path, "no such run", errno);
  const bool is_ours = S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() && ::access(run.path.c_str(), R_OK) == 0;
  if (is_ours && !holds_run(names_in(run.path))) return Error{Error::Kind::NotFound, run.path + ": holds no run"};
  return guard(std::move(run));
}

base::Result<RunDirectory> look_at_run_directory(const std::string& path) {
  RunDirectory run{absolute(path)};
  struct stat status {};
  if (::stat(run.path.c_str(), &status) != 0) return failure(run.path, "no such run", errno);
  if (!S_ISDIR(status.st_mode)) return refusal(run.path, "is not a directory");
  if (::access(run.path.c_str(), R_OK | X_OK) != 0) return failure(run.path, "cannot read", errno);
  if (!holds_run(names_in(run.path))) return Error{Error::Kind::NotFound, run.path + ": holds no run"};
  return run;
}

std::vector<std::string> run_parents() {
  std::vector<std::string> candidates{state_home(), with_uid("/var/tmp")}, found;
  if (const auto temporary = absolute_environment("TMPDIR"); !temporary.empty()) candidates.push_back(with_uid(temporary));
  if (const char* named = std::getenv("PUSHMILL_STATE"); named != nullptr && named[0] != '\0') candidates = {absolute(named)};
  for (const std::string& path : candidates) {
    struct stat status {};
    const bool is_there = !path.empty() && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    if (is_there && std::find(found.begin(), found.end(), path) == found.end()) found.push_back(path);
  }
  return found;
}

std::vector<std::string> runs_without_a_name() {
  struct Run {
    std::string name, path;
    std::int64_t made = 0;
  };
  std::vector<Run> runs;
  for (const std::string& parent : run_parents()) {
    for (const std::string& name : names_in(parent)) {
      Run run{name, parent + "/" + name};
      struct statx status {};
      if (::statx(AT_FDCWD, run.path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_UID | STATX_BTIME, &status) != 0) continue;
      if (!S_ISDIR(status.stx_mode) || status.stx_uid != ::geteuid() || !holds_run(names_in(run.path))) continue;
      if ((status.stx_mask & STATX_BTIME) != 0) run.made = std::int64_t{status.stx_btime.tv_sec} * 1'000'000'000 + status.stx_btime.tv_nsec;
      runs.push_back(std::move(run));
    }
  }
  // Where the file system does not know when: the names tell the second.
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return std::tie(a.made, a.name) > std::tie(b.made, b.name); });
  std::vector<std::string> paths;
  for (Run& run : runs) paths.push_back(std::move(run.path));
  return paths;
}

base::Result<std::string> default_run_parent() {
  if (const char* named = std::getenv("PUSHMILL_STATE"); named != nullptr && named[0] != '\0') {
    const auto path = absolute(named);
    if (auto made = make_directory(path); !made) return Error{made.error().kind, "PUSHMILL_STATE: " + made.error().message};
    if (::access(path.c_str(), W_OK | X_OK) != 0) return failure("PUSHMILL_STATE: " + path, "cannot write", errno);
    return path;
  }
  std::vector<std::string> candidates{state_home()};
  if (const auto temporary = absolute_environment("TMPDIR"); !temporary.empty()) candidates.push_back(with_uid(temporary));
  for (const std::string& path : candidates)
    if (!path.empty() && !is_network_filesystem(path) && make_private(path)) return path;
  const std::string last = with_uid("/var/tmp");
  if (auto made = make_private(last); !made) return Error{made.error().kind, made.error().message + "; set PUSHMILL_STATE to a directory of your own"};
  return last;
}

base::Result<RunDirectory> create_run_directory(const std::string& parent) {
  const std::time_t time = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&time, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  for (;;) {
    RunDirectory run{absolute(parent) + "/run-" + stamp + "-" + std::to_string(::getpid()) + "-" + random_hex(2)};
    auto made = make_directory(run.path);
    if (!made) return made.error();
    run.is_new = true;
    if (*made) return run;
  }
}

base::Status remove_run_directory(const std::string& path) {
  for (const char* database : kDatabases)
    for (const char* suffix : kDatabaseSuffixes) ::unlink((path + "/" + database + suffix).c_str());
  for (const auto& [folder, is_ours] : kFolders) {
    const std::string inside = path + "/" + folder;
    // A user may have put something there too, or a link to a directory of their own in its place.
    for (const std::string& name : names_in(inside, O_NOFOLLOW))
      if (is_ours(name)) ::unlink((inside + "/" + name).c_str());
    ::rmdir(inside.c_str());
  }
  for (const char* name : kOtherFiles) ::unlink((path + "/" + name).c_str());
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return failure(path, "cannot remove", errno);
  return base::ok();
}

std::string stranger_in(const std::string& path) {
  for (const std::string& name : names_in(path)) {
    const bool is_other = std::find(std::begin(kOtherFiles), std::end(kOtherFiles), name) != std::end(kOtherFiles);
    if (!is_other && name != kOutputs && name != kInputs && !is_database_file(name)) return name;
  }
  for (const auto& [folder, is_ours] : kFolders) {
    const std::string inside = path + "/" + folder;
    struct stat status {};
    if (::lstat(inside.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) return folder;
    for (const std::string& name : names_in(inside, O_NOFOLLOW))
      if (!is_ours(name)) return std::string(folder) + "/" + name;
  }
  return {};
}

base::Result<std::string> runtime_directory() {
  if (const auto runtime = absolute_environment("XDG_RUNTIME_DIR"); !runtime.empty()) {
    const auto path = runtime + "/pushmill";
    if (path.size() <= kMaxRuntimeDirectory && ::access(runtime.c_str(), W_OK | X_OK) == 0 && make_private(path)) return path;
  }
  auto path = host_directory();
  if (!path) return Error{path.error().kind, path.error().message + "; set XDG_RUNTIME_DIR to a directory of your own"};
  return path;
}

base::Result<std::string> host_directory() {
  const auto forced = absolute_environment("PUSHMILL_HOST_DIRECTORY");
  const auto path = forced.empty() ? with_uid("/tmp") : forced;
  if (auto made = make_private(path); !made) return made.error();
  return path;
}

bool is_network_filesystem(const std::string& path) {
  if (const char* forced = std::getenv("PUSHMILL_NETWORK_FILESYSTEM"); forced != nullptr && std::string_view(forced) == "1") return true;
  struct statfs status {};
  std::string at = absolute(path);
  while (::statfs(at.c_str(), &status) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return false;
    if (at == "/" || at.empty()) return false;
    at = parent_of(at);
  }
  // Those without a name in linux/magic.h: CIFS, SMB2, Lustre, GPFS, BeeGFS, PanFS.
  constexpr unsigned kKinds[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, 0xFF534D42, 0xFE534D42, 0x0BD00BD0, 0x47504653, 0x19830326, 0xAAD7AAEA,
                                 FUSE_SUPER_MAGIC, AFS_SUPER_MAGIC, AFS_FS_MAGIC, CEPH_SUPER_MAGIC, CODA_SUPER_MAGIC, V9FS_MAGIC};
  return std::find(std::begin(kKinds), std::end(kKinds), static_cast<unsigned>(status.f_type)) != std::end(kKinds);
}

}  // namespace io
