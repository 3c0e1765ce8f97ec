// Where records end in a stream: between the text that ends one and the text that starts the next. Pure. The block cutter asks it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "regex/regex.h"

namespace ventilator {

class RecordEnds {
 public:
  static constexpr std::size_t kNone = std::string_view::npos;

  // A record ends behind each `end` that `start` follows; one of them may be empty, and with both empty each byte is a record. Usage: no regular expressions.
  static base::Result<RecordEnds> make(std::string start, std::string end, bool is_regexp);

  // In `bytes`, which begin with a record: the first end above `above`, and the last one above 0; kNone.
  std::size_t next(std::string_view bytes, std::size_t above) const;
  std::size_t last(std::string_view bytes) const;
  // The first `known` bytes hold no end above `above`: from where on one may be that has come since.
  std::size_t resume(std::size_t known, std::size_t above) const;
  // The records without the texts that start, part and end them.
  std::string stripped(std::string_view bytes) const;
  // So many bytes about an end decide that it is one; not for regular expressions.
  std::size_t reach() const { return separator_.size(); }
  bool is_regexp() const { return between_.has_value(); }

 private:
  RecordEnds(std::string start, std::string end) : start_(std::move(start)), end_(std::move(end)), separator_(end_ + start_) {}
  std::string start_, end_, separator_;
  std::optional<regex::Regex> between_, last_, outside_;  // regular expressions: an end, all up to the last end, and what stripped() takes away
};

}  // namespace ventilator
