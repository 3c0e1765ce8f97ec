#include "worker/framing.h"

#include <cstdint>

#include "base/utf8.h"
#include "json/json.h"

namespace worker {

using base::Framing;

namespace {
constexpr std::size_t kLengthBytes = 4;
constexpr std::string_view kBlanks = " \t\r\n\v\f";
}  // namespace

std::optional<std::string> write_record(Framing framing, base::JobId job, std::string_view input, std::string& bytes) {
  switch (framing) {
    case Framing::Line:
      if (input.find('\n') != std::string_view::npos) return "the record has a newline in it, which --framing line cannot carry: use length or json";
      bytes.append(input) += '\n';
      break;
    case Framing::Length: {
      const auto length = static_cast<std::uint32_t>(input.size());
      for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(length >> shift & 0xff);
      bytes.append(input);
      break;
    }
    case Framing::Json:
      if (!base::is_utf8(input)) return "the record is not UTF-8, which --framing json cannot carry: use length";
      bytes.append("{\"job\":").append(std::to_string(job)).append(",\"input\":");
      json::append_string(input, bytes);
      bytes.append("}\n");
      break;
  }
  return std::nullopt;
}

FoundAnswer find_answer(Framing framing, std::string_view bytes, std::size_t searched, std::size_t most) {
  FoundAnswer found;
  if (framing == Framing::Length) {
    if (bytes.size() < kLengthBytes) return found;
    std::size_t length = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i) length = length << 8 | static_cast<unsigned char>(bytes[i]);
    if (length > most) found.state = FoundAnswer::State::TooLong;
    else if (bytes.size() - kLengthBytes >= length) found = {FoundAnswer::State::Whole, kLengthBytes, length, kLengthBytes + length};
    return found;
  }
  const std::size_t newline = bytes.find('\n', searched);
  if (newline == std::string_view::npos ? bytes.size() >= most : newline + 1 > most) found.state = FoundAnswer::State::TooLong;
  else if (newline != std::string_view::npos) found = {FoundAnswer::State::Whole, 0, newline + 1, newline + 1};
  return found;
}

std::optional<AnswerFault> fault_of_answer(Framing framing, base::JobId job, std::string_view answer) {
  const bool is_blank = framing == Framing::Length ? answer.empty() : answer.find_first_not_of(kBlanks) == std::string_view::npos;
  if (is_blank) return AnswerFault{"the coprocess gave a blank answer to job " + std::to_string(job)};
  if (framing != Framing::Json) return std::nullopt;
  const auto value = json::parse(answer);
  if (!value) return AnswerFault{"the coprocess's answer to job " + std::to_string(job) + " is not JSON: " + value.error().message};
  const auto error = value->find("error");
  if (!value->is_object() || error == value->end() || error->is_null()) return std::nullopt;
  return AnswerFault{error->is_string() ? error->get<std::string>() : json::print(*error), true};
}

}  // namespace worker
