#include "ventilator/input_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ventilator {

using base::Error;

base::Result<InputReader> InputReader::open(const base::InputFile& input) {
  io::UniqueFd file(::open(input.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return Error{Error::Kind::Io, "its input " + input.path + " cannot be read: " + std::strerror(errno)};
  return InputReader(input, std::move(file));
}

base::Status InputReader::read(std::uint64_t offset, std::size_t length, std::string& bytes) const {
  bytes.resize(length);
  for (std::size_t done = 0; done < length;) {
    const ssize_t n = ::pread(file_.get(), bytes.data() + done, length - done, static_cast<off_t>(input_.offset + offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Error::Kind::Io, "its input " + input_.path + " cannot be read: " + std::strerror(errno)};
    if (n == 0) return Error{Error::Kind::Io, "its input " + input_.path + " has become shorter"};
    done += static_cast<std::size_t>(n);
  }
  return base::ok();
}

}  // namespace ventilator
