#include "worker/process_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace worker {
namespace {

constexpr std::size_t kMaxEnvironment = 8u << 20;
constexpr std::size_t kKeeperDigits = 8;  // of a mark as text

// Whether any of the words begins with `beginning`.
bool has_word(std::string_view words, std::string_view beginning) {
  for (std::size_t at = words.find(beginning); at != std::string_view::npos; at = words.find(beginning, at + 1))
    if (at == 0 || words[at - 1] == ' ') return true;
  return false;
}

Mark mark_of_limits(const std::string& limits) {
  constexpr std::string_view kName = "Max file locks";
  const std::size_t at = limits.find(kName);
  if (at == std::string::npos) return 0;
  const unsigned long long soft = std::strtoull(limits.c_str() + at + kName.size(), nullptr, 10);  // "unlimited": 0
  return soft >= kLeastMark && soft < 2 * kLeastMark ? soft : 0;
}

std::string words_of_environment(const std::string& environment) {
  const std::string wanted = std::string(kMarkVariable) + "=";
  for (std::size_t at = 0; at < environment.size();) {
    const std::size_t end = std::min(environment.find('\0', at), environment.size());
    if (environment.compare(at, wanted.size(), wanted) == 0) return environment.substr(at + wanted.size(), end - at - wanted.size());
    at = end + 1;
  }
  return {};
}

}  // namespace

std::string text_of(Mark mark) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(mark));
  return digits;
}

bool Marks::hold(Mark mark) const { return limit == mark || has_word(words, text_of(mark)); }

bool Marks::are_of_keeper(std::uint32_t keeper) const {
  const Mark first = make_mark(keeper, 0);
  return limit >> 32 == first >> 32 || has_word(words, text_of(first).substr(0, kKeeperDigits));
}

Marks read_marks(pid_t pid) {
  return {mark_of_limits(read_proc(pid, "limits", 8192)), words_of_environment(read_proc(pid, "environ", kMaxEnvironment))};
}

std::string read_proc(pid_t pid, const char* file, std::size_t most) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/%s", static_cast<int>(pid), file);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  char chunk[16384];
  for (ssize_t n; text.size() < most && ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR));)
    if (n > 0) text.append(chunk, static_cast<std::size_t>(n));
  close(fd);
  return text;
}

}  // namespace worker
