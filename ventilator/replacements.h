// The replacement strings of a run: what the template options make of them, and the names of the input's columns. Pure. A Phrase looks them up.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ventilator/changes.h"
#include "ventilator/edit.h"

namespace ventilator {

// What several values in one job make of a word with {}.
enum class Many : std::uint8_t {
  Join,    // all of them in its place: with -m and -n, and for the columns of one record
  Repeat,  // the word again for each: with -X, -N, -L
};

// The options of the template.
struct ReplacementOptions {
  std::string value = "{}", stem = "{.}", name = "{/}", folder = "{//}", name_stem = "{/.}", number = "{#}", slot = "{%}";  // -I, --er, --bnr, --dnr, --bner, --seqreplace, --slotreplace
  bool plus = false;
  std::vector<std::string> own = {};  // --rpl, each 'STRING EXPRESSION'
  bool quote = false;                 // -q
  bool argv = false;                  // no shell
  bool is_filter = false;             // what the command is for comes on its stdin: no value is put behind a command that names none
  Many many = Many::Join;
  std::optional<std::uint64_t> total = 0;   // of the jobs: {##} and {0#}; Template::set_total() tells it. None: it is never known
  std::uint32_t slots = 1;                  // {0%}
  std::vector<std::string> names = {};      // of the columns: {NAME}
  bool operator==(const ReplacementOptions&) const = default;

  // All that changes the lines that a template gives; empty when nothing was said.
  std::string text() const;
};

// What stands in the place of a replacement string.
struct Replacement {
  enum class Kind : std::uint8_t { Literal, Value, JobNumber, Slot } kind = Kind::Literal;
  Change change = {};
  // Of Value: 0 all values; n the n-th; -n the n-th from the end.
  static constexpr std::int32_t kNowhere = INT32_MIN;  // ... or none
  std::int32_t index = 0;
  std::uint8_t digits = 0;   // of JobNumber: as many at least, with zeros before
  bool has_total = false;    // it needs ReplacementOptions::total
  std::string literal = {};  // not quoted

  static Replacement text(std::string_view literal) { return {Kind::Literal, {}, 0, 0, false, std::string(literal)}; }
};

class Replacements {
 public:
  // Usage: an option asks for what there is not; the message names it.
  static base::Result<Replacements> make(const ReplacementOptions& options);

  struct Found {
    std::size_t length;
    Replacement replacement;
  };
  // The replacement string that `text` begins with; the longest if there are several.
  std::optional<Found> at(std::string_view text) const;
  // Cheap: none begins with this byte.
  bool may_begin(char byte) const { return begins_[static_cast<unsigned char>(byte)]; }

  const Edit& edit(std::size_t number) const { return (*edits_)[number]; }
  // What `{=...=}` or a --plus string that is not supported would be at this place: why it is refused. Empty: there is none.
  std::string unsupported_at(std::string_view text) const;

 private:
  struct Tag {
    std::string text;
    Replacement replacement;
  };
  void add(std::string text, Replacement replacement);
  std::optional<Found> positional(std::string_view text) const;
  std::optional<Found> dynamic(std::string_view text) const;

  std::vector<Tag> tags_;  // longest first
  std::array<bool, 256> begins_ = {};
  bool plus_ = false, has_total_ = false;
  std::shared_ptr<std::vector<Edit>> edits_;
};

}  // namespace ventilator
