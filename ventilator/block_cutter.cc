#include "ventilator/block_cutter.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ventilator {

namespace {
constexpr std::size_t kChunk = 256u << 10;
}

std::span<char> BlockCutter::room() {
  if (const std::size_t kept = context(); begin_ > kept) {
    const std::size_t gone = begin_ - kept;
    if (size_ > gone) std::memmove(buffer_.get(), buffer_.get() + gone, size_ - gone);
    size_ -= gone;
    begin_ = kept;
  }
  // A block by size is judged when exactly so much is there.
  const std::size_t here = given_ + rest().size();
  const std::size_t wanted = plan_.records == 0 && here < plan_.bytes ? plan_.bytes - here : kChunk;
  const std::size_t chunk = std::min(wanted, std::max<std::size_t>(kChunk, size_));
  if (capacity_ - size_ < chunk) {
    const std::size_t capacity = std::max(size_ + chunk, plan_.records > 0 ? 2 * capacity_ : std::min<std::size_t>(2 * capacity_, size_ + wanted));
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
      if (newline == std::string_view::npos) break;
    }
  }
  header_ = rest().substr(0, length);
  begin_ += length;
  return has_header_ = true;
}

// Both give the length of what is left of the present block; none: its end is not there yet.
std::optional<std::size_t> BlockCutter::cut_by_count() {
  // Where the match of an expression ends may be for later bytes to say: it is looked for in so many as the plan has, however many there are.
  const bool is_part = ends_.is_regexp() && (rest().size() > plan_.bytes || !is_at_end_);
  if (is_part && rest().size() < plan_.bytes) return std::nullopt;
  const std::string_view bytes = is_part ? rest().substr(0, plan_.bytes) : rest();
  const std::uint64_t wanted = plan_.lines > UINT64_MAX / plan_.records ? UINT64_MAX : plan_.records * plan_.lines;
  while (seen_ < wanted) {
    const std::size_t end = ends_.next(bytes, std::max(last_end_, looked_at_));
    if (end == RecordEnds::kNone) {
      looked_at_ = ends_.resume(bytes.size(), last_end_);
      if (!is_part) return is_at_end_ ? std::optional(bytes.size()) : std::nullopt;
      grow();
      return cut_by_count();
    }
    ++seen_;
    last_end_ = looked_at_ = end;
  }
  return last_end_;
}

// Of the part of the present block that is there, from begin_ on.
std::size_t BlockCutter::last_end() const {
  const std::size_t before = context();
  const std::size_t end = ends_.last({buffer_.get() + begin_ - before, before + std::min<std::size_t>(rest().size(), plan_.bytes - given_)});
  return end == RecordEnds::kNone ? end : end - before;
}

std::optional<std::size_t> BlockCutter::cut_by_size() {
  const std::string_view bytes = rest();
  const bool is_full = given_ + bytes.size() >= plan_.bytes;
  if (!is_full && !is_at_end_) return std::nullopt;
  if (!is_full && plan_.lines == 1) return bytes.size();
  std::size_t cut = RecordEnds::kNone;
  if (plan_.lines == 1) {
    cut = last_end();
  } else {
    const std::string_view part = bytes.substr(0, plan_.bytes);
    std::uint64_t seen = 0;
    for (std::size_t end = ends_.next(part, 0); end != RecordEnds::kNone; end = ends_.next(part, end))
      if (++seen % plan_.lines == 0) cut = end;
  }
  if (cut != RecordEnds::kNone) return cut;
  if (!is_full) return bytes.size();
  grow();
  return cut_by_size();
}

// So much of what is there belongs to the present block, wherever that ends.
std::size_t BlockCutter::sure() {
  if (ends_.is_regexp() || plan_.strips) return 0;  // they look at all of a block
  if (plan_.records > 0) return looked_at_;
  if (plan_.lines > 1) return 0;
  // With no end in it the block is to have more of this record, which comes whole.
  const std::size_t end = last_end();
  return end != RecordEnds::kNone ? end : rest().size() - std::min(rest().size(), ends_.reach());
}

BlockCutter::Piece BlockCutter::give(std::size_t length, bool ends_block) {
  Piece piece{rest().substr(0, length), ends_block};
  begin_ += length;
  given_ = ends_block ? 0 : given_ + length;
  last_end_ = looked_at_ = 0;
  if (ends_block) seen_ = 0;
  if (plan_.strips) piece.bytes = stripped_ = ends_.stripped(piece.bytes);
  return piece;
}

std::optional<BlockCutter::Piece> BlockCutter::next() {
  if (!has_header_ && !take_header()) return std::nullopt;
  if (rest().empty() && given_ == 0) return std::nullopt;
  if (const auto length = plan_.records > 0 ? cut_by_count() : cut_by_size()) return give(*length, true);
  if (rest().size() < plan_.piece) return std::nullopt;
  const std::size_t length = sure();
  return length > 0 ? std::optional(give(length, false)) : std::nullopt;
}

}  // namespace ventilator
