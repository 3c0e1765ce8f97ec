#include "worker/oom_counter.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace worker {
namespace {

constexpr base::Duration kLookEvery{100'000};

bool has_controller(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == name) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::string contents(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  char chunk[4096];
  for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<std::size_t>(n));
  close(fd);
  return text;
}

bool is_readable(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

}  // namespace

std::string find_oom_counter(const std::string& proc_cgroup, const std::string& root, const std::string& system) {
  const std::string groups = contents(proc_cgroup);
  for (std::size_t at = 0; at < groups.size();) {  // "0::/user.slice" (v2), "4:memory:/docker/1f" (v1)
    const std::size_t end = std::min(groups.find('\n', at), groups.size());
    const std::string line = groups.substr(at, end - at);
    at = end + 1;
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !has_controller(controllers, "memory")) continue;
    const std::string mount = controllers.empty() ? root : root + "/memory";
    const std::string name = controllers.empty() ? "/memory.events" : "/memory.oom_control";
    // In a container the path may not exist below the mount, which then is our own group.
    for (const std::string& path : {mount + line.substr(second + 1) + name, mount + name})
      if (is_readable(path)) return path;
  }
  return is_readable(system) ? system : "";
}

OomCounter::OomCounter(const std::string& path) : fd_(path.empty() ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  look();
  taken_ = count_;
}

OomCounter::~OomCounter() {
  if (fd_ >= 0) close(fd_);
}

void OomCounter::look() {
  char text[16384];
  const ssize_t size = fd_ < 0 ? -1 : pread(fd_, text, sizeof text - 1, 0);
  if (size <= 0) return;
  text[size] = '\0';
  constexpr std::string_view kName = "oom_kill ";
  const std::string_view all(text, static_cast<std::size_t>(size));
  for (std::size_t at = all.find(kName); at != std::string_view::npos; at = all.find(kName, at + 1))
    if (at == 0 || all[at - 1] == '\n') count_ = std::max<std::uint64_t>(count_, std::strtoull(text + at + kName.size(), nullptr, 10));
}

std::uint64_t OomCounter::seen(base::TimePoint now) {
  if (now >= next_look_) {
    next_look_ = now + kLookEvery;
    look();
  }
  return count_;
}

bool OomCounter::take(std::uint64_t seen) {
  look();
  if (std::max(seen, taken_) >= count_) return false;
  taken_ = std::max(seen, taken_) + 1;
  return true;
}

}  // namespace worker
