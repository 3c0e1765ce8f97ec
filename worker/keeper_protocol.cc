#include "worker/keeper_protocol.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <vector>

namespace worker {
namespace {

constexpr std::size_t kReadChunk = 64u << 10;
enum Kind : std::uint8_t { kHello = 1, kStart = 2, kKill = 3, kEnded = 4, kGrant = 5, kOutput = 6, kLaunched = 7, kRunUntil = 8, kStuck = 9 };

// Writes one frame: the length is filled in when it is complete.
class Writer {
 public:
  Writer(std::string& out, Kind kind) : out_(out), start_(out.size()) {
    number(std::uint32_t{0});
    number(static_cast<std::uint8_t>(kind));
  }
  ~Writer() {
    const auto length = static_cast<std::uint32_t>(out_.size() - start_ - sizeof(std::uint32_t));
    std::memcpy(out_.data() + start_, &length, sizeof length);
  }
  template <typename T>
  void number(T value) {
    static_assert(std::is_integral_v<T>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  void texts(const std::vector<std::string>& values) {
    number(static_cast<std::uint32_t>(values.size()));
    for (const std::string& value : values) text(value);
  }
  void numbers(const std::vector<std::uint32_t>& values) {
    number(static_cast<std::uint32_t>(values.size()));
    for (const std::uint32_t value : values) number(value);
  }
  void attempt(const base::Attempt& a) { number(a.job), number(a.epoch), number(a.n); }
  void duration(base::Duration d) { number(static_cast<std::int64_t>(d.count())); }

 private:
  std::string& out_;
  std::size_t start_;
};

// Reads the fields back; after the first that is not there, `whole()` is false and every further one is empty.
class Reader {
 public:
  explicit Reader(std::string_view frame) : rest_(frame) {}
  template <typename T>
  void number(T& value) {
    if (rest_.size() < sizeof value) return fail();
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
  }
  void text(std::string& value) {
    std::uint32_t size = 0;
    number(size);
    if (rest_.size() < size) return fail();
    value.assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
  }
  void texts(std::vector<std::string>& values) {
    std::uint32_t count = 0;
    number(count);
    if (rest_.size() / sizeof(std::uint32_t) < count) return fail();
    values.resize(count);
    for (std::string& value : values) text(value);
  }
  void numbers(std::vector<std::uint32_t>& values) {
    std::uint32_t count = 0;
    number(count);
    if (rest_.size() / sizeof(std::uint32_t) < count) return fail();
    values.resize(count);
    for (std::uint32_t& value : values) number(value);
  }
  void attempt(base::Attempt& a) { number(a.job), number(a.epoch), number(a.n); }
  void duration(base::Duration& d) {
    std::int64_t count = 0;
    number(count);
    d = base::Duration(count);
  }
  bool stream(wire::OutputStream& value) {
    std::uint8_t number_of = 0;
    number(number_of);
    value = static_cast<wire::OutputStream>(number_of);
    return number_of < wire::kOutputStreams;
  }
  bool whole() const { return !failed_ && rest_.empty(); }

 private:
  void fail() { failed_ = true, rest_ = {}; }
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace

std::uint64_t signal_bits(const sigset_t& set) {
  std::uint64_t bits = 0;
  for (int signal = 1; signal <= 64; ++signal)
    if (sigismember(&set, signal) == 1) bits |= std::uint64_t{1} << (signal - 1);
  return bits;
}

sigset_t signal_set(std::uint64_t bits) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal = 1; signal <= 64; ++signal)
    if (bits >> (signal - 1) & 1) sigaddset(&set, signal);
  return set;
}

void append_frame(std::string& out, const KeeperHello& hello) {
  Writer w(out, kHello);
  w.number(hello.version);
  w.number(hello.worker_pid);
  w.number(hello.caller_mask);
  w.number(hello.caller_ignored);
  w.number(hello.inline_output);
  w.number(hello.output_window);
  w.text(hello.oom_counter);
}

void append_frame(std::string& out, std::uint32_t seat, std::uint32_t slot, const base::Attempt& attempt, base::Duration limit,
                  const base::Command& command, const StreamPaths& streams) {
  Writer w(out, kStart);
  w.number(seat);
  w.number(slot);
  w.attempt(attempt);
  w.duration(limit);
  w.text(command.line);
  w.texts(command.argv);
  w.text(command.shell);
  w.text(command.stdin_bytes);
  w.text(command.directory);
  w.texts(command.environment);
  w.numbers(command.term_seq);
  w.number(static_cast<std::uint8_t>(command.kill_leftovers));
  w.number(command.nice);
  w.number(static_cast<std::uint8_t>(command.live));
  w.text(command.input.path);
  w.number(command.input.offset);
  w.number(command.input.length);
  for (const std::string* path : {&streams.in, &streams.out, &streams.err}) w.text(*path);
}

void append_frame(std::string& out, const KeeperKill& kill) {
  Writer w(out, kKill);
  w.attempt(kill.attempt);
}

void append_frame(std::string& out, const KeeperGrant& grant) {
  Writer w(out, kGrant);
  w.attempt(grant.attempt);
  w.number(static_cast<std::uint8_t>(grant.stream));
  w.number(grant.length);
}

void append_frame(std::string& out, const KeeperRunUntil& until) {
  Writer w(out, kRunUntil);
  w.duration(until.at.time_since_epoch());
}

std::optional<ToKeeper> parse_to_keeper(std::string_view frame) {
  if (frame.empty()) return std::nullopt;
  Reader r(frame.substr(1));
  ToKeeper message;
  switch (frame[0]) {
    case kHello: {
      auto& hello = message.emplace<KeeperHello>();
      r.number(hello.version);
      r.number(hello.worker_pid);
      r.number(hello.caller_mask);
      r.number(hello.caller_ignored);
      r.number(hello.inline_output);
      r.number(hello.output_window);
      r.text(hello.oom_counter);
      break;
    }
    case kStart: {
      auto& start = message.emplace<KeeperStart>();
      r.number(start.seat);
      r.number(start.slot);
      r.attempt(start.attempt);
      r.duration(start.limit);
      r.text(start.command.line);
      r.texts(start.command.argv);
      r.text(start.command.shell);
      r.text(start.command.stdin_bytes);
      r.text(start.command.directory);
      r.texts(start.command.environment);
      r.numbers(start.command.term_seq);
      std::uint8_t kills_leftovers = 0, is_live = 0;
      r.number(kills_leftovers);
      start.command.kill_leftovers = kills_leftovers != 0;
      r.number(start.command.nice);
      r.number(is_live);
      start.command.live = is_live != 0;
      r.text(start.command.input.path);
      r.number(start.command.input.offset);
      r.number(start.command.input.length);
      for (std::string* path : {&start.streams.in, &start.streams.out, &start.streams.err}) r.text(*path);
      if (start.seat >= kSeats || !base::is_term_seq(start.command.term_seq)) return std::nullopt;
      break;
    }
    case kKill: r.attempt(message.emplace<KeeperKill>().attempt); break;
    case kGrant: {
      auto& grant = message.emplace<KeeperGrant>();
      r.attempt(grant.attempt);
      if (!r.stream(grant.stream)) return std::nullopt;
      r.number(grant.length);
      break;
    }
    case kRunUntil: {
      base::Duration at{0};
      r.duration(at);
      message.emplace<KeeperRunUntil>().at = base::TimePoint{} + at;
      break;
    }
    default: return std::nullopt;
  }
  if (!r.whole()) return std::nullopt;
  return message;
}

void append_frame(std::string& out, std::uint32_t seat, const wire::Result& result) {
  Writer w(out, kEnded);
  w.number(seat);
  w.attempt(result.attempt);
  w.number(static_cast<std::uint8_t>(result.outcome));
  w.number(result.exit_code);
  w.number(result.signal);
  w.number(result.slot);
  w.number(result.started_at);
  w.number(result.finished_at);
  w.number(result.runtime_us);
  w.number(result.user_us);
  w.number(result.system_us);
  w.number(result.max_rss_kb);
  w.text(result.out);
  w.text(result.err);
  w.number(result.out_bytes);
  w.number(result.err_bytes);
  w.text(result.reason);
}

void append_frame(std::string& out, const KeeperLaunched& launched) {
  Writer w(out, kLaunched);
  w.number(launched.seat);
}

void append_frame(std::string& out, const KeeperStuck& stuck) {
  Writer w(out, kStuck);
  w.number(stuck.seat);
  w.number(stuck.process);
}

void append_frame(std::string& out, std::uint32_t seat, wire::OutputStream stream, std::string_view bytes) {
  Writer w(out, kOutput);
  w.number(seat);
  w.number(static_cast<std::uint8_t>(stream));
  w.text(bytes);
}

std::optional<FromKeeper> parse_from_keeper(std::string_view frame) {
  if (frame.empty()) return std::nullopt;
  Reader r(frame.substr(1));
  if (frame[0] == kLaunched) {
    KeeperLaunched launched;
    r.number(launched.seat);
    if (!r.whole() || launched.seat >= kSeats) return std::nullopt;
    return launched;
  }
  if (frame[0] == kStuck) {
    KeeperStuck stuck;
    r.number(stuck.seat);
    r.number(stuck.process);
    if (!r.whole() || stuck.seat >= kSeats) return std::nullopt;
    return stuck;
  }
  if (frame[0] == kOutput) {
    KeeperOutput output;
    r.number(output.seat);
    if (!r.stream(output.stream)) return std::nullopt;
    r.text(output.bytes);
    if (!r.whole() || output.seat >= kSeats) return std::nullopt;
    return output;
  }
  if (frame[0] != kEnded) return std::nullopt;
  KeeperEnded ended;
  wire::Result& result = ended.result;
  std::uint8_t outcome = 0;
  r.number(ended.seat);
  r.attempt(result.attempt);
  r.number(outcome);
  r.number(result.exit_code);
  r.number(result.signal);
  r.number(result.slot);
  r.number(result.started_at);
  r.number(result.finished_at);
  r.number(result.runtime_us);
  r.number(result.user_us);
  r.number(result.system_us);
  r.number(result.max_rss_kb);
  r.text(result.out);
  r.text(result.err);
  r.number(result.out_bytes);
  r.number(result.err_bytes);
  r.text(result.reason);
  if (!r.whole() || ended.seat >= kSeats || outcome >= base::kOutcomes) return std::nullopt;
  result.outcome = static_cast<base::Outcome>(outcome);
  return ended;
}

FrameChannel::~FrameChannel() { close(fd_); }

// With large outputs there may always be something left to send: what is sent must not pile up in front of it.
void FrameChannel::drop_sent() {
  if (sent_ < kReadChunk || sent_ < out_.size() / 2) return;
  out_.erase(0, sent_);
  sent_ = 0;
}

bool FrameChannel::flush() {
  while (sent_ < out_.size()) {
    const ssize_t n = send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) sent_ += static_cast<std::size_t>(n);
    else if (errno == EAGAIN) return drop_sent(), true;
    else if (errno != EINTR) return false;
  }
  out_.clear();
  sent_ = 0;
  if (out_.capacity() > kMaxKeeperFrame / 8) out_.shrink_to_fit();  // one huge command must not be paid for ever after
  return true;
}

void FrameChannel::make_room(std::size_t bytes) {
  if (capacity_ - end_ >= bytes) return;
  const std::size_t held = end_ - begin_;
  if (capacity_ < held + bytes) {
    const std::size_t capacity = std::max(held + bytes, 2 * held);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (held > 0) std::memcpy(larger.get(), in_.get() + begin_, held);
    in_ = std::move(larger);
    capacity_ = capacity;
  } else if (held > 0) {
    std::memmove(in_.get(), in_.get() + begin_, held);
  }
  begin_ = 0;
  end_ = held;
}

bool FrameChannel::fill() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > kMaxKeeperFrame / 8) in_.reset(), capacity_ = 0;
  }
  while (!broken_) {
    make_room(kReadChunk);
    const std::size_t room = capacity_ - end_;
    const ssize_t n = recv(fd_, in_.get() + end_, room, MSG_DONTWAIT);
    if (n > 0) {
      end_ += static_cast<std::size_t>(n);
      if (static_cast<std::size_t>(n) < room || end_ - begin_ >= kMaxKeeperFrame) return true;
    } else if (n == 0) {
      return false;
    } else if (errno != EINTR) {
      return errno == EAGAIN;
    }
  }
  return false;
}

std::optional<std::string_view> FrameChannel::next() {
  std::uint32_t length = 0;
  if (end_ - begin_ < sizeof length) return std::nullopt;
  std::memcpy(&length, in_.get() + begin_, sizeof length);
  if (length > kMaxKeeperFrame - sizeof length) broken_ = true;
  if (broken_ || end_ - begin_ - sizeof length < length) return std::nullopt;
  const std::string_view frame(in_.get() + begin_ + sizeof length, length);
  begin_ += sizeof length + length;
  return frame;
}

}  // namespace worker
