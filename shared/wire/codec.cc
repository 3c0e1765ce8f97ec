#include "wire/codec.h"

#include "wire/reader.h"
#include "wire/writer.h"

namespace wire {
namespace {

using base::Error;

constexpr std::size_t kHead = 3;  // version, type, run

template <typename Direction>
void encode_any(const base::RunId& run, const Direction& message, Frame& frame) {
  frame.clear();
  Writer writer(frame);
  std::visit(
      [&]<typename M>(const M& m) {
        writer.array(kHead + kFieldCount<M>);
        writer.put(kVersion);
        writer.put(kType<M>.number);
        writer.put(run);
        writer.put_fields(m);
      },
      message);
}

Error protocol_error(std::string text) { return {Error::Kind::Protocol, std::move(text)}; }

Error malformed(const char* name, const Reader& reader) {
  return protocol_error(std::string("malformed ") + name + ": " + reader.fault() + ", at byte " + std::to_string(reader.offset()));
}

// A worker that has not heard of the run yet may say that it is here, and that it leaves.
template <typename M>
constexpr bool kMayComeWithoutRun = std::is_same_v<M, State> || std::is_same_v<M, Bye>;

// Reads `reader` up to its end as an M, if that is what `type` says.
template <typename M, typename Direction>
bool read_as(std::uint64_t type, std::size_t count, Reader& reader, Direction& message, const char*& name) {
  if (type != kType<M>.number) return false;
  name = kType<M>.name;
  if (count < kHead + kLeastFields<M>) {
    reader.fail("too few elements");
    return true;
  }
  reader.close_array(count, kHead + reader.read_fields(message.template emplace<M>(), count - kHead));
  reader.expect_end();
  return true;
}

template <typename Direction>
struct Alternatives;
template <typename... M>
struct Alternatives<std::variant<M...>> {
  static bool read(std::uint64_t type, std::size_t count, Reader& reader, std::variant<M...>& message, const char*& name) {
    return (read_as<M>(type, count, reader, message, name) || ...);
  }
  static bool may_come_without_run(std::uint64_t type) { return ((type == kType<M>.number && kMayComeWithoutRun<M>) || ...); }
};

template <typename... M>
bool holds_attempts([[maybe_unused]] const std::variant<M...>& message) {
  if constexpr ((std::is_same_v<M, State> || ...)) {
    const auto* state = std::get_if<State>(&message);
    return state != nullptr && !state->held.empty();
  }
  return false;
}

template <typename Direction>
base::Result<Decoded<Direction>> decode_any(std::string_view frame, const base::RunId& expected) {
  if (frame.size() > kMaxFrame) return protocol_error("a frame of " + std::to_string(frame.size()) + " bytes, above the limit");
  Reader reader(frame);
  const std::size_t count = reader.open_array(1);
  const std::uint64_t version = reader.read_uint(UINT64_MAX);
  if (reader.ok() && version != kVersion) {
    return protocol_error("protocol version " + std::to_string(version) + ", this program speaks " + std::to_string(kVersion));
  }
  if (reader.ok() && count < kHead) reader.fail("too few elements");
  const std::uint64_t type = reader.read_uint(UINT64_MAX);
  base::Result<Decoded<Direction>> decoded(Decoded<Direction>{});
  reader.read(decoded->run);
  if (!reader.ok()) return malformed("frame", reader);
  const base::RunId& run = decoded->run;
  if (!expected.is_zero() && run != expected && !(run.is_zero() && Alternatives<Direction>::may_come_without_run(type))) {
    return Error{Error::Kind::Conflict, "a message of run " + run.hex() + ", this is run " + expected.hex()};
  }
  const char* name = nullptr;
  if (!Alternatives<Direction>::read(type, count, reader, decoded->message, name)) {
    return protocol_error("no message of number " + std::to_string(type) + " comes here");
  }
  if (!reader.ok()) return malformed(name, reader);
  if (run.is_zero() && holds_attempts(decoded->message)) return protocol_error("a STATE without a run that holds attempts");
  return decoded;
}

}  // namespace

void encode(const base::RunId& run, const ToSink& message, Frame& frame) { encode_any(run, message, frame); }
void encode(const base::RunId& run, const ToVentilator& message, Frame& frame) { encode_any(run, message, frame); }
void encode(const base::RunId& run, const ToWorker& message, Frame& frame) { encode_any(run, message, frame); }

base::Result<Decoded<ToSink>> decode_to_sink(std::string_view frame, const base::RunId& expected) {
  return decode_any<ToSink>(frame, expected);
}
base::Result<Decoded<ToVentilator>> decode_to_ventilator(std::string_view frame, const base::RunId& expected) {
  return decode_any<ToVentilator>(frame, expected);
}
base::Result<Decoded<ToWorker>> decode_to_worker(std::string_view frame, const base::RunId& expected) {
  return decode_any<ToWorker>(frame, expected);
}

}  // namespace wire
