// Cuts a stream into blocks of whole records. Pure: its owner reads into room() and says how much came. What the blocks are depends on the bytes of the
// stream alone, never on how they came, so that a stream that is offered again gives the same ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ventilator/record_ends.h"

namespace ventilator {

struct BlockPlan {
  std::uint64_t bytes = 1u << 20;  // of a block, at most; a longer record makes the present block and all behind it larger
  std::uint64_t records = 0;       // in a block, whatever their size; 0: as many as fit
  std::uint64_t lines = 1;         // so many records, as their ends have them, are one
  bool strips = false;             // records come without the texts that start and end them
  std::uint64_t piece = 4u << 20;  // blocks of more bytes come in pieces as they are found, where records can be told without looking at all of a block
  std::uint64_t header_lines = 0;  // stand before each block; or
  std::optional<regex::Regex> header;   // what this matches where the stream begins
};

class BlockCutter {
 public:
  struct Piece {
    std::string_view bytes;
    bool ends_block = true;  // if not, the next piece is of the same block
  };

  BlockCutter(RecordEnds ends, BlockPlan plan) : ends_(std::move(ends)), plan_(std::move(plan)), has_header_(plan_.header_lines == 0 && !plan_.header) {}

  // Where to put what is read next, never empty. Ends the validity of blocks. REQUIRES: next() gave none, and the stream has not ended.
  std::span<char> room();
  void add(std::size_t bytes) { size_ += bytes; }  // of those in room()
  void end() { is_at_end_ = true; }                // of the stream

  // The next block without its header, or a piece of it, valid until room(); none: more has to be read, or the stream has ended and was given completely.
  std::optional<Piece> next();
  const std::string& header() const { return header_; }  // valid once next() has given a block
  bool reuses_block() const { return plan_.strips; }  // then a block is valid until the next next() only

 private:
  std::string_view rest() const { return {buffer_.get() + begin_, size_ - begin_}; }
  std::size_t context() const { return std::min(given_, ends_.reach()); }  // bytes before begin_ that are still needed
  bool take_header();
  std::optional<std::size_t> cut_by_count();
  std::optional<std::size_t> cut_by_size();
  std::size_t last_end() const;
  std::size_t sure();
  Piece give(std::size_t length, bool ends_block);
  void grow();

  RecordEnds ends_;
  BlockPlan plan_;
  bool has_header_;
  std::string header_, stripped_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0, begin_ = 0, size_ = 0;  // [begin_, size_) is to be cut
  bool is_at_end_ = false;
  std::size_t given_ = 0;  // bytes of the present block, as pieces
  // When it is cut by count, from begin_: the ends that were seen, the last of them, and where the next one may be.
  std::uint64_t seen_ = 0;
  std::size_t last_end_ = 0, looked_at_ = 0;
};

}  // namespace ventilator
