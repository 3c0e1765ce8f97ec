#include "ventilator/record_ends.h"

#include <algorithm>
#include <utility>

namespace ventilator {

base::Result<RecordEnds> RecordEnds::make(std::string start, std::string end, bool is_regexp) {
  RecordEnds made(std::move(start), std::move(end));
  if (!is_regexp) return made;
  const std::string end_group = "(?:" + made.end_ + ")", start_group = "(?:" + made.start_ + ")";
  const std::string between = end_group + "(?=" + made.start_ + ")";
  for (const auto& [pattern, text] : {std::pair{&made.between_, "(?s)" + between}, std::pair{&made.last_, "(?s)\\A.*" + between},
                                      std::pair{&made.outside_, "(?s)\\A" + start_group + "|" + end_group + "\\z|" + end_group + start_group}}) {
    auto compiled = regex::Regex::compile(text);
    if (!compiled) return compiled.error();
    *pattern = std::move(*compiled);
  }
  return made;
}

std::size_t RecordEnds::next(std::string_view bytes, std::size_t above) const {
  if (between_) {
    for (std::size_t from = above; from <= bytes.size();) {
      const auto found = between_->find(bytes, from);
      if (!found) return kNone;
      if (found->end > above) return found->end;
      from = found->begin + 1;
    }
    return kNone;
  }
  const std::size_t at = bytes.find(separator_, end_.empty() ? above + 1 : above);
  return at == kNone || at > bytes.size() ? kNone : at + end_.size();
}

std::size_t RecordEnds::last(std::string_view bytes) const {
  if (last_) {
    const auto found = last_->find(bytes);
    return found && found->end > 0 ? found->end : kNone;
  }
  const std::size_t at = separator_.size() == 1 ? bytes.rfind(separator_[0]) : bytes.rfind(separator_);
  return at == kNone || at + end_.size() == 0 ? kNone : at + end_.size();
}

std::size_t RecordEnds::resume(std::size_t known, std::size_t above) const {
  if (between_ || known < separator_.size()) return above;
  // Not below where next() would look anyway, which for an end that is only a start is one behind.
  return std::max(above, known - separator_.size());
}

std::string RecordEnds::stripped(std::string_view bytes) const {
  std::string rest;
  rest.reserve(bytes.size());
  if (outside_) {
    std::size_t done = 0;
    for (std::size_t from = 0; from <= bytes.size();) {
      const auto found = outside_->find(bytes, from);
      if (!found) break;
      if (found->begin > done) rest += bytes.substr(done, found->begin - done);
      done = std::max(done, found->end);
      from = std::max(found->end, found->begin + 1);
    }
    if (done < bytes.size()) rest += bytes.substr(done);
    return rest;
  }
  if (separator_.empty()) return std::string(bytes);
  if (!start_.empty() && bytes.starts_with(start_)) bytes.remove_prefix(start_.size());
  const bool has_end = !end_.empty() && bytes.ends_with(end_);
  if (has_end) bytes.remove_suffix(end_.size());
  for (std::size_t at = 0; (at = bytes.find(separator_)) != kNone; bytes.remove_prefix(at + separator_.size())) rest += bytes.substr(0, at);
  rest += bytes;
  return rest;
}

}  // namespace ventilator
