#include "ventilator/blocks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "ventilator/columns.h"

namespace ventilator {

using base::Error;

namespace {
constexpr int kPipe = 1 << 20;
}

Blocks::Blocks(BlockCutter cutter, Config config, int fd) : source_(Stream{std::move(cutter), fd}), config_(std::move(config)) {
  struct stat status {};
  std::get<Stream>(source_).is_always_ready = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  ::fcntl(fd, F_SETPIPE_SZ, kPipe);  // fewer, larger reads; what is no pipe, and a user at the limit, keeps what there is
}

int Blocks::fd() const {
  const auto* stream = std::get_if<Stream>(&source_);
  return stream == nullptr || has_more_ || error_ || stream->is_at_end || stream->is_always_ready ? -1 : stream->fd;
}

std::string Blocks::text() const {
  if (!std::holds_alternative<Stream>(source_)) return "files, in parts";
  return config_.is_shared ? "standard input, for each job" : config_.deals_to > 0 ? "standard input, dealt to " + std::to_string(config_.deals_to) + " jobs" : "standard input, in blocks";
}

Blocks::State Blocks::read(std::size_t max_jobs, std::size_t max_bytes) {
  blocks_.clear();
  jobs_.clear();
  stored_ = 0;
  bytes_ = 0;
  if (error_) return State::Error;
  auto* stream = std::get_if<Stream>(&source_);
  const State state = stream != nullptr ? read_stream(*stream, max_jobs, max_bytes) : read_parts(std::get<FileParts>(source_), max_jobs);
  // In a deque they stay where they are.
  for (const Block& block : blocks_) {
    Arguments& job = jobs_.emplace_back();
    job.number = number_ - blocks_.size() + jobs_.size();
    job.values = {config_.is_named ? std::string_view(block.input.path) : std::string_view()};
    job.stdin_bytes = block.bytes;
    job.input = block.input.path.empty() ? nullptr : &block.input;
  }
  return state;
}

Blocks::Block& Blocks::add() {
  ++number_;
  return blocks_.emplace_back();
}

void Blocks::add(SpooledFile file) {
  Block& block = add();
  block.input = file.input();
  block.file = std::move(file);
}

bool Blocks::fill(Stream& stream) {
  const auto room = stream.cutter.room();
  const ssize_t count = ::read(stream.fd, room.data(), room.size());
  if (count > 0) {
    stream.cutter.add(static_cast<std::size_t>(count));
  } else if (count == 0) {
    stream.is_at_end = true;
    stream.cutter.end();
  } else if (errno != EINTR && errno != EAGAIN) {  // EAGAIN: whoever gave us the descriptor had set O_NONBLOCK
    error_ = Error{Error::Kind::Io, "cannot read the input (" + text() + ") behind block " + std::to_string(number_) + ": " + std::strerror(errno)};
    return false;
  }
  return true;
}

Blocks::State Blocks::read_stream(Stream& stream, std::size_t max_jobs, std::size_t max_bytes) {
  if (!has_more_ && !stream.is_at_end && !fill(stream)) return State::Error;
  has_more_ = true;
  while (blocks_.size() < max_jobs && bytes_ < max_bytes) {
    const auto piece = stream.cutter.next();
    if (!piece) {
      has_more_ = false;
      break;
    }
    bytes_ += piece->bytes.size();
    if (config_.skips_blank && !growing_ && piece->ends_block && is_blank(piece->bytes)) continue;
    if (config_.deals_to > 0) deal(stream.cutter.header(), *piece);
    else take(stream.cutter.header(), *piece);
    if (stream.cutter.reuses_block()) break;  // it is valid until next()
  }
  if (stream.is_at_end && !has_more_) end_dealing();
  return stream.is_at_end && !has_more_ && blocks_.empty() ? State::End : State::More;
}

// A large block is on its way to its file before its end is known.
void Blocks::take(const std::string& header, const BlockCutter::Piece& piece) {
  if (!growing_ && piece.ends_block && !config_.is_named && header.size() + piece.bytes.size() <= kInline) {
    Block& block = add();
    if (!header.empty()) block.bytes_with_header = header + std::string(piece.bytes);
    block.bytes = header.empty() ? piece.bytes : std::string_view(block.bytes_with_header);
    return;
  }
  if (!growing_) {
    growing_.emplace(config_.place, number_ + 1);
    growing_->add(header);
  }
  growing_->add(piece.bytes);
  if (!piece.ends_block) return;
  add(std::move(*growing_));
  growing_.reset();
}

void Blocks::deal(const std::string& header, const BlockCutter::Piece& piece) {
  if (turn_ == dealt_.size()) {
    dealt_.emplace_back(config_.place, config_.is_shared ? SpooledFile::kAll : turn_ + 1);
    dealt_.back().add(header);
  }
  dealt_[turn_].add(piece.bytes);
  if (piece.ends_block) turn_ = (turn_ + 1) % config_.deals_to;
}

void Blocks::end_dealing() {
  if (config_.is_shared) {
    if (dealt_.empty()) dealt_.emplace_back(config_.place, SpooledFile::kAll);
    shared_ = dealt_[0].input();
    return;
  }
  for (SpooledFile& file : dealt_) add(std::move(file));
  dealt_.clear();
}

Blocks::State Blocks::read_parts(FileParts& parts, std::size_t max_jobs) {
  while (blocks_.size() < max_jobs) {
    auto part = parts.next();
    if (!part) {
      error_ = part.error();
      return blocks_.empty() ? State::Error : State::More;
    }
    if (!*part) break;
    Block& block = add();
    block.header = parts.header();
    if (config_.is_named) {
      SpooledFile& file = block.file.emplace(config_.place, number_);
      file.add(block.header);
      file.add(std::move(**part));
      block.input = file.input();
    } else {
      block.bytes = block.header;
      block.input = std::move(**part);
    }
  }
  return blocks_.empty() ? State::End : State::More;
}

base::Status Blocks::store(base::JobId accepted) {
  const auto* stream = std::get_if<Stream>(&source_);
  const bool is_whole = stream != nullptr && stream->is_at_end && !has_more_;
  if (growing_)
    if (auto stored = growing_->store(accepted, false); !stored) return stored;
  for (SpooledFile& file : dealt_)
    if (auto stored = file.store(accepted, is_whole); !stored) return stored;
  for (; stored_ < blocks_.size(); ++stored_)
    if (auto& file = blocks_[stored_].file)
      if (auto stored = file->store(accepted, true); !stored) return stored;
  return base::ok();
}

}  // namespace ventilator
