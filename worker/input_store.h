// The inputs that came from the ventilator, until their attempts have ended: small ones in memory, larger ones in files without a name, of which a crash leaves
// nothing. Used by the shell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/ids.h"
#include "base/job.h"
#include "base/result.h"
#include "io/unique_fd.h"

namespace worker {

class InputStore {
 public:
  static constexpr std::size_t kInMemory = 64u << 10;

  // `folder`: where the files are; empty: $TMPDIR or /tmp.
  explicit InputStore(std::string folder = "");

  // Goes on from what is there. A `fault` of where it comes from, and bytes that find no room here, spoil the input.
  void keep(const base::Attempt& attempt, std::string_view bytes, std::string_view fault);
  void drop(const base::Attempt& attempt) { inputs_.erase(attempt); }
  // Makes what is kept of the attempt, if anything is, the command's input. Full: it could not be kept here. Io: it did not come whole.
  // REQUIRES: drop() only behind its end.
  base::Status give(const base::Attempt& attempt, base::Command& command);

 private:
  struct Input {
    std::string bytes;
    base::Status state = base::ok();
    io::UniqueFd file;
    std::uint64_t length = 0;
  };
  bool write(Input& input, std::string_view bytes) const;  // false: errno says why not

  std::string folder_;
  std::unordered_map<base::Attempt, Input, base::HashAttempt> inputs_;
};

}  // namespace worker
