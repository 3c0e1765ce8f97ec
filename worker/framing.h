// How a record is written for a coprocess and its answer found and judged. Pure: bytes in, bytes and verdicts out.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/job.h"

namespace worker {

// Appends what the child is given for `input`. An error is why it cannot be carried in this framing; nothing is appended then.
std::optional<std::string> write_record(base::Framing framing, base::JobId job, std::string_view input, std::string& bytes);

// The first answer in what a child has written.
struct FoundAnswer {
  enum class State { NotWhole, Whole, TooLong } state = State::NotWhole;
  std::size_t begin = 0, size = 0;  // of what becomes the job's output
  std::size_t end = 0;              // bytes that belong to it
};
// `searched`: so many bytes of it were looked at in vain before. `most`: bytes that an output may have.
FoundAnswer find_answer(base::Framing framing, std::string_view bytes, std::size_t searched, std::size_t most);

// Why an answer, as found, makes its job a failed one.
struct AnswerFault {
  std::string reason;
  bool is_answer = false;  // a proper one, that tells of an error
};
std::optional<AnswerFault> fault_of_answer(base::Framing framing, base::JobId job, std::string_view answer);

}  // namespace worker
