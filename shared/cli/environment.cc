#include "cli/environment.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

namespace cli {

namespace {

unsigned cpus_by_affinity() {
  // The kernel refuses a set smaller than its own: grow until it fits.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(cpus));
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    const bool fits = ::sched_getaffinity(0, size, set) == 0;
    const int count = fits ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (fits) return static_cast<unsigned>(std::max(count, 1));
  }
  return 1;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

unsigned rounded_up(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<unsigned>(std::min<long long>((quota - 1) / period + 1, 1 << 20));
}

unsigned quota_v2(const std::string& directory) {
  std::istringstream line(first_line(directory + "/cpu.max"));  // "200000 100000", or "max 100000"
  long long quota = 0, period = 0;
  return line >> quota >> period ? rounded_up(quota, period) : 0;
}

unsigned quota_v1(const std::string& directory) {
  const long long quota = std::atoll(first_line(directory + "/cpu.cfs_quota_us").c_str());  // -1: none
  const long long period = std::atoll(first_line(directory + "/cpu.cfs_period_us").c_str());
  return rounded_up(quota, period);
}

// The least quota on the way from `path` up to the mount. In a container the path may not exist below the mount, which then is our own group.
unsigned least_quota(const std::string& mount, std::string path, unsigned (*quota)(const std::string&)) {
  unsigned least = 0;
  for (;;) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    if (const unsigned here = quota(mount + path); here != 0) least = least == 0 ? here : std::min(least, here);
    if (path.empty()) return least;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

bool has_word(std::string_view list, std::string_view word) {
  for (;;) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

bool is_shell(std::string_view name) {
  static constexpr std::array<std::string_view, 17> kShells = {"sh",   "bash", "dash", "zsh",   "ksh",  "ksh93", "mksh", "pdksh",    "posh",
                                                              "yash", "ash",  "fish", "csh", "tcsh", "rc",    "rbash", "static-sh"};
  return std::find(kShells.begin(), kShells.end(), name) != kShells.end();
}

bool is_executable_file(const std::string& path) {
  std::error_code error;
  return path.starts_with('/') && std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::string find_in_path(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::istringstream directories(variable != nullptr ? variable : "/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');)
    if (const auto path = directory + "/" + name; is_executable_file(path)) return path;
  return "";
}

std::string shell_of_parent() {
  const std::string process = "/proc/" + std::to_string(::getppid());
  std::error_code error;
  const auto executable = std::filesystem::read_symlink(process + "/exe", error);
  if (!error && is_shell(executable.filename().string()) && is_executable_file(executable)) return executable;
  // busybox has one executable for all, and that of another user cannot be read: its name is still known.
  std::string name = first_line(process + "/comm");
  if (name.starts_with('-')) name.erase(0, 1);  // a login shell
  return is_shell(name) ? find_in_path(name) : "";
}

// An absolute path for what a user wrote as a shell; empty if it is none that can run.
std::string shell_of_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : find_shell(value);
}

}  // namespace

unsigned cgroup_cpus(const std::string& proc_cgroup, const std::string& root) {
  unsigned least = 0;
  std::ifstream file(proc_cgroup);
  for (std::string line; std::getline(file, line);) {  // "0::/user.slice" (v2), "4:cpu,cpuacct:/docker/1f" (v1)
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    unsigned here = 0;
    if (controllers.empty()) here = least_quota(root, path, quota_v2);
    else if (has_word(controllers, "cpu")) here = least_quota(root + "/cpu", path, quota_v1);
    if (here != 0) least = least == 0 ? here : std::min(least, here);
  }
  return least;
}

std::string find_shell(const std::string& shell) {
  if (shell.empty()) return "";
  if (shell.find('/') == std::string::npos) return find_in_path(shell);
  return is_executable_file(shell) ? shell : "";
}

unsigned default_slots() {
  unsigned slots = cpus_by_affinity();
  if (const unsigned quota = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup"); quota != 0) slots = std::min(slots, quota);
  if (const char* slurm = std::getenv("SLURM_CPUS_PER_TASK"))
    if (const long cpus = std::atol(slurm); cpus > 0) slots = static_cast<unsigned>(std::min<long>(slots, cpus));
  return std::max(slots, 1u);
}

base::Result<std::string> calling_shell() {
  if (auto shell = shell_of_variable("PARALLEL_SHELL"); !shell.empty()) return shell;
  if (const char* wanted = std::getenv("PARALLEL_SHELL"); wanted != nullptr && *wanted != '\0') {
    return base::Error{base::Error::Kind::Usage, "$PARALLEL_SHELL: " + std::string(wanted) + " is no program that can be run: name a shell by its path or as PATH finds it"};
  }
  if (auto shell = shell_of_parent(); !shell.empty()) return shell;
  if (auto shell = shell_of_variable("SHELL"); !shell.empty()) return shell;
  return std::string("/bin/sh");
}

}  // namespace cli
