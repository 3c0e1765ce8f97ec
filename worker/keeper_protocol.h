// What the worker and its keeper say to each other over a stream socket pair: a 32-bit length, a kind, fields in host byte order. Both ends run on one
// machine and come from one build, so there is no growth to plan for; KeeperHello carries a version all the same, for an installation half replaced.
// Beside the socket both map a table of what runs (keeper_seats.h).
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "base/job.h"
#include "wire/messages.h"

namespace worker {

inline constexpr std::uint32_t kKeeperVersion = 5;
inline constexpr int kKeeperSocket = 3;  // descriptors the keeper is started with
inline constexpr int kKeeperSeats = 4;
inline constexpr int kKeeperLeftSome = 2;  // its exit status when what is left is stuck; its table stays
inline constexpr std::size_t kMaxKeeperFrame = 32u << 20;
inline constexpr std::uint32_t kSeats = 1u << 13;  // attempts that may run at once

// Signals 1 to 64 as bits 0 to 63.
std::uint64_t signal_bits(const sigset_t& set);
sigset_t signal_set(std::uint64_t bits);

// ---- worker -> keeper

struct KeeperHello {  // the first frame
  std::uint32_t version = kKeeperVersion;
  std::int64_t worker_pid = 0;
  std::uint64_t caller_mask = 0;     // signals that commands start with blocked
  std::uint64_t caller_ignored = 0;  // and ignored
  std::uint64_t inline_output = 0;   // bytes of each stream that are kept for the report; a longer one is given part by part
  std::uint64_t output_window = 0;   // bytes of each stream that may be given without a grant; not below inline_output
  std::string oom_counter;           // the file of oom_counter.h; empty: there is none
};

// Ends of pipes by name, /proc/PID/fd/N, for a command whose streams are the worker's own: the worker has to keep them open until KeeperLaunched or
// KeeperEnded. Empty: the keeper gives the command its streams and reads its outputs.
struct StreamPaths {
  std::string in, out, err;
  bool is_given() const { return !in.empty(); }
};

struct KeeperStart {
  std::uint32_t seat = 0;  // below kSeats, unused by any running attempt: the index in SharedSeats
  std::uint32_t slot = 0;
  base::Attempt attempt;
  base::Duration limit{0};
  base::Command command;
  StreamPaths streams;
};

struct KeeperKill {
  base::Attempt attempt;
};

struct KeeperGrant {  // the stream may be read up to `length`
  base::Attempt attempt;
  wire::OutputStream stream = wire::OutputStream::Out;
  std::uint64_t length = 0;
};

struct KeeperRunUntil {  // then everything that runs is ended, at once, and nothing more started before the next of these. kNever: no such time
  base::TimePoint at = base::kNever;  // monotonic
};

using ToKeeper = std::variant<KeeperHello, KeeperStart, KeeperKill, KeeperGrant, KeeperRunUntil>;

// Each appends one frame.
void append_frame(std::string& out, const KeeperHello& hello);
void append_frame(std::string& out, std::uint32_t seat, std::uint32_t slot, const base::Attempt& attempt, base::Duration limit, const base::Command& command,
                  const StreamPaths& streams = {});
void append_frame(std::string& out, const KeeperKill& kill);
void append_frame(std::string& out, const KeeperGrant& grant);
void append_frame(std::string& out, const KeeperRunUntil& until);
// Nothing: malformed.
std::optional<ToKeeper> parse_to_keeper(std::string_view frame);

// ---- keeper -> worker

struct KeeperEnded {
  std::uint32_t seat = 0;
  wire::Result result;
};

struct KeeperOutput {  // the next part of a stream; the report of such an attempt holds nothing of it but its length
  std::uint32_t seat = 0;
  wire::OutputStream stream = wire::OutputStream::Out;
  std::string bytes;
};

struct KeeperLaunched {  // of a start with streams: the command has them, and the worker can close its copies
  std::uint32_t seat = 0;
};

struct KeeperStuck {  // once, of an attempt that is being ended: this process of it does not go (TreeKiller::stuck()). Its report still comes, if ever it does
  std::uint32_t seat = 0;
  std::int64_t process = 0;
};

using FromKeeper = std::variant<KeeperEnded, KeeperOutput, KeeperLaunched, KeeperStuck>;

void append_frame(std::string& out, std::uint32_t seat, const wire::Result& result);
void append_frame(std::string& out, std::uint32_t seat, wire::OutputStream stream, std::string_view bytes);
void append_frame(std::string& out, const KeeperLaunched& launched);
void append_frame(std::string& out, const KeeperStuck& stuck);
std::optional<FromKeeper> parse_from_keeper(std::string_view frame);

// One end of the socket pair, with what is read but not yet parsed and written but not yet taken. Never blocks, so neither end can stop the other.
class FrameChannel {
 public:
  explicit FrameChannel(int fd) : fd_(fd) {}  // owns it
  ~FrameChannel();
  FrameChannel(const FrameChannel&) = delete;
  FrameChannel& operator=(const FrameChannel&) = delete;

  int fd() const { return fd_; }
  std::string& out() { return out_; }  // append frames here, then flush()
  bool has_unsent() const { return sent_ < out_.size(); }
  bool flush();  // false: the peer is gone
  bool fill();   // reads what is there; false: the peer is gone (what came before is still given by next())
  // The next whole frame, without its length; valid until the next fill(). An impossible length counts as the peer gone at the next fill().
  std::optional<std::string_view> next();

 private:
  void make_room(std::size_t bytes);
  void drop_sent();
  int fd_;
  bool broken_ = false;
  std::string out_;
  std::size_t sent_ = 0;
  std::unique_ptr<char[]> in_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace worker
