#include "worker/input_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace worker {

using base::Error;

InputStore::InputStore(std::string folder) : folder_(std::move(folder)) {
  const char* surroundings = std::getenv("TMPDIR");
  if (folder_.empty()) folder_ = surroundings != nullptr && *surroundings == '/' ? surroundings : "/tmp";
}

void InputStore::keep(const base::Attempt& attempt, std::string_view bytes, std::string_view fault) {
  Input& input = inputs_[attempt];
  if (!input.state) return;
  if (!fault.empty()) input.state = Error{Error::Kind::Io, std::string(fault)};
  else if (!write(input, bytes)) input.state = Error{Error::Kind::Full, "inputs cannot be kept in " + folder_ + ": " + std::strerror(errno) + "; TMPDIR names another place"};
  if (!input.state) input.file.reset();
}

bool InputStore::write(Input& input, std::string_view bytes) const {
  input.length += bytes.size();
  if (!input.file && input.length <= kInMemory) {
    input.bytes += bytes;
    return true;
  }
  if (!input.file) {
    std::string name = folder_ + "/pushmill-XXXXXX";
    input.file.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (!input.file) return false;
    ::unlink(name.c_str());
    input.bytes += bytes;
    const std::string all = std::exchange(input.bytes, {});
    input.length -= all.size();
    return write(input, all);
  }
  while (!bytes.empty()) {
    const ssize_t n = ::write(input.file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

base::Status InputStore::give(const base::Attempt& attempt, base::Command& command) {
  const auto kept = inputs_.find(attempt);
  if (kept == inputs_.end()) return base::ok();
  Input& input = kept->second;
  if (!input.state) return input.state;
  if (input.length != command.input.length) return Error{Error::Kind::Io, "its input is not whole"};  // the ventilator said another length
  command.input = {};
  if (!input.file) command.stdin_bytes += input.bytes;
  else command.input = {"/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(input.file.get()), 0, input.length};  // the keeper opens it
  return base::ok();
}

}  // namespace worker
