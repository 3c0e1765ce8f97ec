// Regular expressions in Perl's syntax, over bytes. The only user of PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace regex {

struct Span {
  std::size_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

class Regex {
 public:
  // Usage: not an expression; the message says why and where.
  static base::Result<Regex> compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // The first match in `text` that begins at `from` or behind it. What costs more steps or memory than any sane expression counts as no match. Not for several threads at once.
  std::optional<Span> find(std::string_view text, std::size_t from = 0) const;
  // Of the last match found: what each pair of parentheses has matched, empty where it had no part in it.
  std::vector<Span> groups() const;

 private:
  struct Program;
  explicit Regex(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace regex
