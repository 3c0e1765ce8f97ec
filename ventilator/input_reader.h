// Reads the input of a job in parts, for a worker that does not see the file. Used by the shell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/job.h"
#include "base/result.h"
#include "io/unique_fd.h"

namespace ventilator {

// Errors are one line that says what is wrong with the input.
class InputReader {
 public:
  static base::Result<InputReader> open(const base::InputFile& input);
  // `bytes` become the `length` bytes at `offset` of the input.
  base::Status read(std::uint64_t offset, std::size_t length, std::string& bytes) const;

 private:
  InputReader(base::InputFile input, io::UniqueFd file) : input_(std::move(input)), file_(std::move(file)) {}
  base::InputFile input_;
  io::UniqueFd file_;
};

}  // namespace ventilator
