// What tells whose a process is, however it has hidden: a number that names one start of one keeper. All processes of the attempt inherit it twice: as their soft
// limit of file locks (RLIMIT_LOCKS), which Linux has not enforced since 2.4.25 and which no fork, exec, session or cleared environment takes away, and in
// a variable of their environment, for a host where that limit is not ours to set, and for the attempts of keepers above this one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace worker {

inline constexpr std::string_view kMarkVariable = "PUSHMILL_KEEPER";  // holds marks as words, the outermost keeper's first

using Mark = std::uint64_t;  // 0: none
inline constexpr Mark kLeastMark = Mark{1} << 62;  // far beyond any limit that somebody means
// Of the 32 bits of a keeper 30 are used; it never gives a serial number twice.
constexpr Mark make_mark(std::uint32_t keeper, std::uint32_t serial) { return kLeastMark | (Mark{keeper} & 0x3fff'ffff) << 32 | serial; }
std::string text_of(Mark mark);  // 16 hexadecimal digits

// What a process carries.
struct Marks {
  Mark limit = 0;
  std::string words;
  bool hold(Mark mark) const;
  bool are_of_keeper(std::uint32_t keeper) const;  // any mark of it
};
Marks read_marks(pid_t pid);  // empty where /proc does not tell

// Up to `most` bytes of a file of /proc/PID; empty if it cannot be read.
std::string read_proc(pid_t pid, const char* file, std::size_t most);

}  // namespace worker
