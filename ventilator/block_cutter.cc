#include "ventilator/block_cutter.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ventilator {

namespace {
constexpr std::size_t kChunk = 256u << 10;
}

std::span<char> BlockCutter::room() {
  if (begin_ > 0) {
    if (size_ > begin_) std::memmove(buffer_.get(), buffer_.get() + begin_, size_ - begin_);
    size_ -= begin_;
    begin_ = 0;
  }
  // A block by size is judged when exactly so much is there.
  const std::size_t wanted = plan_.records == 0 && size_ < plan_.bytes ? plan_.bytes - size_ : kChunk;
  const std::size_t chunk = std::min(wanted, std::max<std::size_t>(kChunk, size_));
  if (capacity_ - size_ < chunk) {
    const std::size_t capacity = std::max(size_ + chunk, std::min<std::size_t>(2 * capacity_, size_ + wanted));
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), buffer_.get(), size_);
    buffer_ = std::move(larger);
    capacity_ = capacity;
  }
  return {buffer_.get() + size_, std::min(wanted, capacity_ - size_)};
}

void BlockCutter::grow() { plan_.bytes = (plan_.bytes * 13 + 9) / 10 + 1; }

bool BlockCutter::take_header() {
  if (rest().size() < plan_.bytes && !is_at_end_ && plan_.header) return false;
  std::size_t length = 0;
  if (plan_.header) {
    const auto found = plan_.header->find(rest());
    if (found) length = found->end;
  } else {
    for (std::uint64_t line = 0; line < plan_.header_lines; ++line) {
      const std::size_t newline = rest().find('\n', length);
      if (newline == std::string_view::npos && !is_at_end_) return false;
      length = newline == std::string_view::npos ? rest().size() : newline + 1;
    }
  }
  header_ = rest().substr(0, length);
  begin_ += length;
  return has_header_ = true;
}

// Both give the length of the next block, 0: it is not there yet.
std::size_t BlockCutter::cut_by_count() {
  // Where the match of an expression ends may be for later bytes to say: it is looked for in so many as the plan has, however many there are.
  const bool is_part = ends_.is_regexp() && (rest().size() > plan_.bytes || !is_at_end_);
  if (is_part && rest().size() < plan_.bytes) return 0;
  const std::string_view bytes = is_part ? rest().substr(0, plan_.bytes) : rest();
  const std::uint64_t wanted = plan_.records * plan_.lines;
  while (seen_ < wanted) {
    const std::size_t end = ends_.next(bytes, std::max(last_end_, looked_at_));
    if (end == RecordEnds::kNone) {
      looked_at_ = ends_.resume(bytes.size(), last_end_);
      if (!is_part) return is_at_end_ ? bytes.size() : 0;
      grow();
      return cut_by_count();
    }
    ++seen_;
    last_end_ = looked_at_ = end;
  }
  return last_end_;
}

std::size_t BlockCutter::cut_by_size() {
  const std::string_view bytes = rest();
  const bool is_full = bytes.size() >= plan_.bytes;
  if (!is_full && !is_at_end_) return 0;
  if (!is_full && plan_.lines == 1) return bytes.size();
  const std::string_view part = bytes.substr(0, plan_.bytes);
  std::size_t cut = RecordEnds::kNone;
  if (plan_.lines == 1) {
    cut = ends_.last(part);
  } else {
    std::uint64_t seen = 0;
    for (std::size_t end = ends_.next(part, 0); end != RecordEnds::kNone; end = ends_.next(part, end))
      if (++seen % plan_.lines == 0) cut = end;
  }
  if (cut != RecordEnds::kNone) return cut;
  if (!is_full) return bytes.size();
  grow();
  return bytes.size() >= plan_.bytes || is_at_end_ ? cut_by_size() : 0;
}

std::string_view BlockCutter::give(std::size_t length) {
  const std::string_view block = rest().substr(0, length);
  begin_ += length;
  seen_ = 0;
  last_end_ = looked_at_ = 0;
  if (!plan_.strips) return block;
  stripped_ = ends_.stripped(block);
  return stripped_;
}

std::optional<std::string_view> BlockCutter::next() {
  if (!has_header_ && !take_header()) return std::nullopt;
  if (rest().empty()) return std::nullopt;
  const std::size_t length = plan_.records > 0 ? cut_by_count() : cut_by_size();
  if (length == 0) return std::nullopt;
  return give(length);
}

}  // namespace ventilator
