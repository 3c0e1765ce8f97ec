// A text with replacement strings in it, taken apart once and put together for each job: a command, the tag of its output, the name of a file. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ventilator/arguments.h"
#include "ventilator/replacements.h"

namespace ventilator {

class Phrase {
 public:
  enum class Quoting : bool { None, Values };  // values stand as they are, or each is quoted for the shell

  // With `appended`, where there is no replacement string in the words, a further word: the replacement string of the whole value.
  static Phrase parse(const std::vector<std::string>& words, Replacements replacements, Many many, const std::string* appended);
  // A replacement string in the words that is not supported: why. Empty: none.
  static std::string check(const std::vector<std::string>& words, const Replacements& replacements);

  // Overwrites `line` with the words, joined with single spaces, and `marks`, if given, with the places in it where the number of the slot belongs. False: the
  // line is longer than `limit` and not complete; that costs no more than a few times the limit, whatever the values.
  bool line(const Arguments& arguments, Quoting quoting, std::size_t limit, std::string& line, std::vector<std::uint32_t>* marks) const;
  // Overwrites `words` with the words apart: several values in one place make several words. False: one of them is longer than `limit`.
  struct Word {
    std::string text;
    std::vector<std::uint32_t> marks = {};
  };
  bool words(const Arguments& arguments, std::size_t limit, std::vector<Word>& words) const;
  // The bytes of the line.
  std::size_t length(const Arguments& arguments, Quoting quoting) const;

  bool begins_with_value() const { return begins_with_value_; }  // a replacement string stands in the first word of the shell's, and no `=` before it
  bool has_replacements() const { return has_replacements_; }    // of its own, not the appended one
  bool has_slot() const { return has_slot_; }
  bool has_total() const { return has_total_; }
  bool has_variable() const { return has_variable_; }  // a text that the shell replaces

 private:
  using Part = Replacement;
  // A run of parts, which stands there once or again for each value.
  struct Run {
    std::vector<Part> parts;
    bool repeats = false;
    bool after_tab = false;  // which goes before each copy
    bool begins = false;     // a word of the template, not the first
  };
  template <typename Target>
  void put(const Arguments& arguments, Target& target) const;
  template <typename Target>
  void put_value(const Part& part, std::string_view value, Target& target, std::string& room) const;
  void split_for_repeats();

  std::vector<Run> runs_;
  Replacements replacements_;
  bool begins_with_value_ = false, has_replacements_ = false, has_slot_ = false, has_total_ = false, has_variable_ = false;
};

}  // namespace ventilator
