#include "ventilator/blocks.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "io/run_directory.h"

namespace ventilator {

using base::Error;

namespace {

constexpr int kPipe = 1 << 20;

Error failure(const std::string& what, const std::string& path) {
  return {errno == ENOSPC || errno == EDQUOT ? Error::Kind::Full : Error::Kind::Io, what + " " + path + ": " + std::strerror(errno)};
}

std::uint64_t word(const char* bytes) {
  std::uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

std::uint64_t block_mark(std::string_view bytes, std::uint64_t seed) {
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15u;
  std::uint64_t lanes[4] = {seed + kFactor, seed ^ kFactor, ~seed, seed + bytes.size()};
  // Four chains that do not wait for one another.
  for (; bytes.size() >= 32; bytes.remove_prefix(32))
    for (int i = 0; i < 4; ++i) lanes[i] = std::rotl((lanes[i] ^ word(bytes.data() + 8 * i)) * kFactor, 29);
  std::uint64_t mark = 0;
  for (const std::uint64_t lane : lanes) mark = std::rotl((mark ^ lane) * kFactor, 31);
  for (const unsigned char byte : bytes) mark = (mark ^ byte) * 0x100000001b3u;
  mark ^= mark >> 32;
  return mark * kFactor;
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

std::string Blocks::text() const { return std::holds_alternative<Stream>(source_) ? "standard input, in blocks" : "files, in parts"; }

std::string Blocks::path_of(base::JobId job) const { return config_.run_directory + "/" + io::kInputs + "/" + std::to_string(job); }

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
    job.values = {config_.is_named ? std::string_view(block.path) : std::string_view()};
    job.stdin_bytes = block.input.path.empty() ? block.bytes : block.is_part ? std::string_view(block.header) : std::string_view();
    job.input = block.input.path.empty() ? nullptr : &block.input;
  }
  return state;
}

Blocks::Block& Blocks::add() {
  ++number_;
  return blocks_.emplace_back();
}

// Where it will be, once its header and bytes are known.
void Blocks::finish(Block& block) {
  const std::uint64_t length = block.header.size() + block.bytes.size();
  bytes_ += length;
  if (length > kInline || config_.is_named) {
    block.path = path_of(number_);
    block.input = {block.path, 0, length, block_mark(block.bytes, block_mark(block.header))};
  } else if (!block.header.empty()) {
    block.copy = block.header + std::string(block.bytes);
    block.bytes = block.copy;
    block.header.clear();
  }
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
    const auto bytes = stream.cutter.next();
    if (!bytes) {
      has_more_ = false;
      break;
    }
    Block& block = add();
    block.header = stream.cutter.header();
    block.bytes = *bytes;
    finish(block);
    if (stream.cutter.reuses_block()) break;  // it is valid until next()
  }
  return stream.is_at_end && blocks_.empty() ? State::End : State::More;
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
    block.is_part = !config_.is_named;
    if (block.is_part) {
      block.input = std::move(**part);
    } else {
      block.path = path_of(number_);
      block.copied = std::move(**part);
      block.input = {block.path, 0, block.header.size() + block.copied.length, block_mark(block.header, block.copied.mark ^ block.copied.offset)};
      bytes_ += block.input.length;
    }
  }
  return blocks_.empty() ? State::End : State::More;
}

base::Status Blocks::store(base::JobId accepted) {
  for (; stored_ < blocks_.size(); ++stored_) {
    const Block& block = blocks_[stored_];
    if (block.path.empty() || jobs_[stored_].number <= accepted) continue;
    if (!has_folder_) {
      const std::string folder = config_.run_directory + "/" + io::kInputs;
      if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failure("cannot make", folder);
      has_folder_ = true;
    }
    if (auto written = write_file(block); !written) return written;
  }
  return base::ok();
}

base::Status Blocks::write_file(const Block& block) const {
  const io::UniqueFd file(::open(block.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return failure("cannot make", block.path);
  for (const std::string_view part : {std::string_view(block.header), block.bytes}) {
    for (std::size_t done = 0; done < part.size();) {
      const ssize_t n = ::write(file.get(), part.data() + done, part.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failure("cannot write", block.path);
      done += static_cast<std::size_t>(n);
    }
  }
  if (block.copied.length > 0)
    if (auto copied = copy_part(block, file.get()); !copied) return copied;
  if (!config_.is_synced) return base::ok();
  const io::UniqueFd folder(::open((config_.run_directory + "/" + io::kInputs).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(file.get()) != 0 || ::fsync(folder.get()) != 0) return failure("cannot write", block.path);
  return base::ok();
}

base::Status Blocks::copy_part(const Block& block, int file) const {
  const io::UniqueFd from(::open(block.copied.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!from) return failure("cannot read the input", block.copied.path);
  auto at = static_cast<off64_t>(block.copied.offset);
  for (std::uint64_t left = block.copied.length; left > 0;) {
    const ssize_t n = ::sendfile64(file, from.get(), &at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure("cannot write", block.path);
    if (n == 0) return Error{Error::Kind::Io, "the input " + block.copied.path + " has become shorter"};
    left -= static_cast<std::uint64_t>(n);
  }
  return base::ok();
}

void Blocks::drop_leftovers(const std::string& run_directory, base::JobId accepted) {
  std::error_code error;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(run_directory + "/" + io::kInputs, error)) {
    const std::string name = entry.path().filename().string();
    base::JobId job = 0;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), job);
    if (fault == std::errc{} && end == name.data() + name.size() && job > accepted) leftovers.push_back(entry.path());
  }
  for (const auto& path : leftovers) std::filesystem::remove(path, error);
}

}  // namespace ventilator
