#include "regex/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

namespace regex {

struct Regex::Program {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  ~Program() {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

Regex::Regex(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

base::Result<Regex> Regex::compile(std::string_view pattern) {
  int fault = 0;
  PCRE2_SIZE at = 0;
  auto program = std::make_unique<Program>();
  program->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), 0, &fault, &at, nullptr);
  if (program->code == nullptr) {
    PCRE2_UCHAR text[256];
    pcre2_get_error_message(fault, text, sizeof text);
    return base::Error{base::Error::Kind::Usage, "'" + std::string(pattern) + "' is not a regular expression: " + reinterpret_cast<const char*>(text) +
                                                     ", at character " + std::to_string(at + 1)};
  }
  pcre2_jit_compile(program->code, PCRE2_JIT_COMPLETE);  // only faster: where there is no JIT it is interpreted
  program->match = pcre2_match_data_create_from_pattern(program->code, nullptr);
  return Regex(std::move(program));
}

std::optional<Span> Regex::find(std::string_view text, std::size_t from) const {
  if (from > text.size()) return std::nullopt;
  const auto* const bytes = reinterpret_cast<PCRE2_SPTR>(text.empty() ? "" : text.data());
  int found = pcre2_match(program_->code, bytes, text.size(), from, 0, program_->match, nullptr);
  // Compiled code has a small stack of its own; the interpreter takes from the heap what it needs.
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = pcre2_match(program_->code, bytes, text.size(), from, PCRE2_NO_JIT, program_->match, nullptr);
  if (found < 0) return std::nullopt;
  const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(program_->match);
  // \K can put the begin behind the end.
  return ends[0] <= ends[1] && ends[0] >= from ? std::optional(Span{ends[0], ends[1]}) : std::nullopt;
}

std::vector<Span> Regex::groups() const {
  std::vector<Span> groups;
  const std::uint32_t count = pcre2_get_ovector_count(program_->match);
  const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(program_->match);
  for (std::uint32_t i = 1; i < count; ++i) groups.push_back(ends[2 * i] == PCRE2_UNSET || ends[2 * i] > ends[2 * i + 1] ? Span{} : Span{ends[2 * i], ends[2 * i + 1]});
  return groups;
}

}  // namespace regex
