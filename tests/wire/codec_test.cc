#include <catch2/catch.hpp>
#include <limits>
#include <msgpack.hpp>

#include "examples.h"
#include "wire/limits.h"

using namespace examples;
using namespace wire;
using base::Error;

namespace {

constexpr auto kMaxU64 = std::numeric_limits<std::uint64_t>::max();
constexpr auto kMaxI64 = std::numeric_limits<std::int64_t>::max();
constexpr auto kMinI64 = std::numeric_limits<std::int64_t>::min();

// A frame built by hand, element by element.
struct Packed {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> p{buffer};
  std::string bytes() const { return {buffer.data(), buffer.size()}; }
  void bin(std::string_view b) { p.pack_bin(b.size()), p.pack_bin_body(b.data(), b.size()); }
  void id(std::uint8_t fill) { bin(std::string(16, static_cast<char>(fill))); }
  void run() { bin({reinterpret_cast<const char*>(examples::run().bytes.data()), 16}); }
  void head(std::uint32_t elements, std::uint64_t type) {
    p.pack_array(elements);
    p.pack(kVersion);
    p.pack(type);
    run();
  }
};

// The error that `frame` meets at a sink of examples::run(), or "" when it is taken.
std::string sink_error(std::string_view frame) {
  const auto message = decode_to_sink(frame, run());
  return message ? "" : message.error().message;
}
std::string sink_error(const Packed& packed) { return sink_error(packed.bytes()); }

// BYE with something else in place of the session.
template <typename Pack>
std::string bye_error(Pack session) {
  Packed packed;
  packed.head(5, 3);
  packed.id(1);
  session(packed);
  return sink_error(packed);
}

template <typename M>
void check_round_trip(const M& message) {
  Frame frame;
  encode(run(), ToSink(message), frame);
  const auto read = decode_to_sink(frame, run());
  REQUIRE(read);
  CHECK(std::get<M>(read->message) == message);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("every message comes back as it was sent, with every field set", "[codec]") {
  for (const Example& example : messages()) {
    INFO(example.name);
    const auto message = decoded(encoded(example.message), example.message, run());
    REQUIRE(message);
    CHECK(*message == example.message);
  }
}

TEST_CASE("every message comes back as it was sent, with every field at its default", "[codec]") {
  std::size_t seen = 0;
  for (const Example& example : messages()) {
    INFO(example.name);
    AnyMessage empty = example.message;
    std::visit([](auto& direction) { std::visit([](auto& m) { m = {}; }, direction); }, empty);
    const auto message = decoded(encoded(empty), empty, run());
    REQUIRE(message);
    CHECK(*message == empty);
    ++seen;
  }
  CHECK(seen == 23);
}

TEST_CASE("counters and ids travel over their whole range", "[codec]") {
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{255}, std::uint64_t{256}, std::uint64_t{65535},
                                std::uint64_t{65536}, std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1, std::uint64_t{1} << 63, kMaxU64}) {
    State state;
    state.worker.bytes.fill(0xff);
    state.session = state.state_seq = state.limit = n;
    state.generation = {n, n};
    state.slots = static_cast<std::uint32_t>(n);
    state.held = {{{n, n, n}, Held::Phase::Running}};
    check_round_trip(state);
  }
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{-32}, std::int64_t{-33}, std::int64_t{-128}, std::int64_t{-129},
                               std::int64_t{-32769}, std::int64_t{INT32_MIN}, std::int64_t{INT32_MAX}, std::int64_t{INT32_MIN} - 1, kMinI64, kMaxI64}) {
    Results results;
    results.items.resize(1);
    results.items[0].started_at = results.items[0].finished_at = n;
    results.items[0].exit_code = results.items[0].signal = static_cast<std::int32_t>(n);
    check_round_trip(results);
  }
}

TEST_CASE("an integer may come in any msgpack form that holds its value", "[codec]") {
  CHECK(bye_error([](Packed& k) { k.p.pack_fix_uint64(5); }).empty());
  CHECK(bye_error([](Packed& k) { k.p.pack_fix_int8(5); }).empty());
  CHECK(bye_error([](Packed& k) { k.p.pack_fix_int64(5); }).empty());
}

TEST_CASE("raw bytes may come as bin or str, an id too, names as str only", "[codec]") {
  Packed refused;
  refused.head(5, 50);
  refused.p.pack_str(16), refused.p.pack_str_body("0123456789abcdef", 16);
  refused.p.pack_str(2), refused.p.pack_str_body("\xff\x00", 2);
  CHECK(decode_to_worker(refused.bytes(), run()));

  Packed state;
  state.head(13, 1);
  state.id(1);
  state.p.pack(1), state.p.pack(1);
  state.bin("tcp://x:1");
  for (int i = 0; i < 6; ++i) state.p.pack(0);
  CHECK(has(sink_error(state), "not a str"));
}

TEST_CASE("a buffer is used again", "[codec]") {
  Frame frame(10'000, 'x');
  encode(run(), ToSink(Bye{}), frame);
  CHECK(decode_to_sink(frame, run()));
  CHECK(frame.capacity() >= 10'000);
}

TEST_CASE("elements behind the known ones are ignored at the top and in nested arrays", "[codec]") {
  Packed packed;
  packed.head(3 + 3 + 5, 18);
  packed.p.pack_array(5);  // stamp
  for (int i = 1; i <= 4; ++i) packed.p.pack(i);
  packed.p.pack_map(1), packed.p.pack("new"), packed.p.pack_array(2), packed.p.pack(1.5), packed.p.pack_nil();
  packed.id(7);
  packed.p.pack_array(3), packed.p.pack(8), packed.p.pack(9), packed.bin("more");
  for (int i = 0; i < 5; ++i) packed.p.pack_ext(1, 3), packed.p.pack_ext_body("x", 1);
  const auto read = decode_to_sink(packed.bytes(), run());
  REQUIRE(read);
  const Gone& gone = std::get<Gone>(read->message);
  CHECK(gone.stamp == Stamp{1, 2, 3});
  CHECK(gone.generation == Generation{8, 9});
}

TEST_CASE("elements behind the known ones of a job spec are ignored", "[codec]") {
  Packed packed;
  packed.p.pack_array(7);
  packed.p.pack(2), packed.p.pack(0), packed.bin("a label"), packed.p.pack("echo"), packed.p.pack(1), packed.bin("\xc0"), packed.p.pack("new");
  const auto spec = decode_spec(packed.bytes());
  REQUIRE(spec);
  CHECK(std::get<base::Call>(spec->work).handler == "echo");
}

TEST_CASE("another version is refused before anything else is looked at", "[codec]") {
  Packed packed;
  packed.p.pack_array(2);
  packed.p.pack(kVersion + 1);
  packed.p.pack("who knows");
  const auto read = decode_to_sink(packed.bytes(), run());
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == Error::Kind::Protocol);
  CHECK(has(read.error().message, "protocol version 2"));
}

TEST_CASE("a frame of another run is a conflict, whatever else is wrong with it", "[codec]") {
  Packed packed;
  packed.p.pack_array(3);
  packed.p.pack(kVersion), packed.p.pack(999), packed.id(9);
  const auto read = decode_to_sink(packed.bytes(), run());
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == Error::Kind::Conflict);
}

TEST_CASE("a receiver that does not know its run yet takes any and is told which", "[codec]") {
  for (const Example& example : messages()) CHECK(decoded(encoded(example.message), example.message, base::RunId{}));
  Frame frame;
  encode(run(), ToWorker(Ctrl{}), frame);
  CHECK(decode_to_worker(frame, base::RunId{})->run == run());
}

TEST_CASE("only a worker's STATE and BYE may come without a run", "[codec]") {
  for (const Example& example : messages()) {
    INFO(example.name);
    Frame frame;
    std::visit([&](const auto& direction) { encode(base::RunId{}, direction, frame); }, example.message);
    const auto read = decoded(frame, example.message, run());
    const auto* to_sink = std::get_if<ToSink>(&example.message);
    const auto* state = to_sink != nullptr ? std::get_if<State>(to_sink) : nullptr;
    CHECK(bool(read) == (example.name == "BYE" || (state != nullptr && state->held.empty())));
    if (!read) CHECK(read.error().kind == (state != nullptr ? Error::Kind::Protocol : Error::Kind::Conflict));
  }
}

TEST_CASE("a message of an unknown number, or of another direction, is refused", "[codec]") {
  for (const Example& example : messages()) {
    INFO(example.name);
    const Frame frame = encoded(example.message);
    CHECK(bool(decode_to_sink(frame, run())) == (example.message.index() == 0));
    CHECK(bool(decode_to_ventilator(frame, run())) == (example.message.index() == 1));
    CHECK(bool(decode_to_worker(frame, run())) == (example.message.index() == 2));
  }
  Packed unknown;
  unknown.head(4, 5);
  unknown.p.pack(0);
  CHECK(sink_error(unknown) == "no message of number 5 comes here");
}

TEST_CASE("a wrong type is refused", "[codec]") {
  CHECK(has(bye_error([](Packed& k) { k.p.pack_nil(); }), "not an integer"));
  CHECK(has(bye_error([](Packed& k) { k.p.pack(1.5); }), "not an integer"));
  CHECK(has(bye_error([](Packed& k) { k.p.pack_true(); }), "not an integer"));
  CHECK(has(bye_error([](Packed& k) { k.p.pack("1"); }), "not an integer"));
  CHECK(has(bye_error([](Packed& k) { k.p.pack_array(0); }), "not an integer"));
  CHECK(has(sink_error(std::string_view("\x80", 1)), "not an array"));
  CHECK(has(sink_error(std::string_view("\x93\xc1\x01\x01", 4)), "never uses"));
  Packed id;
  id.head(5, 3);
  id.bin("fifteen bytes..");
  id.p.pack(1);
  CHECK(has(sink_error(id), "not 16 bytes"));
}

TEST_CASE("an integer out of the range of its field is refused", "[codec]") {
  CHECK(has(bye_error([](Packed& k) { k.p.pack(-1); }), "negative"));
  CHECK(has(bye_error([](Packed& k) { k.p.pack(kMinI64); }), "negative"));
  Frame frame;
  const auto slots = [&](std::uint64_t n) {  // 0xce and four bytes become 0xcf and eight
    State state;
    state.slots = 0xdeadbeef;
    encode(run(), ToSink(state), frame);
    Packed number;
    number.p.pack_fix_uint64(n);
    frame.replace(frame.find("\xce\xde\xad\xbe\xef"), 5, number.bytes());
    return sink_error(frame);
  };
  CHECK(slots(UINT32_MAX).empty());
  CHECK(has(slots(std::uint64_t{1} << 40), "out of range"));
  CHECK(has(slots(std::uint64_t{UINT32_MAX} + 1), "out of range"));
  const auto exit_code = [&](std::int64_t n) {
    Results results;
    results.items.resize(1);
    results.items[0].exit_code = -0x70000000;
    encode(run(), ToSink(results), frame);
    Packed number;
    number.p.pack_fix_int64(n);
    frame.replace(frame.find(std::string_view("\xd2\x90\x00\x00\x00", 5)), 5, number.bytes());
    return sink_error(frame);
  };
  CHECK(exit_code(INT32_MIN).empty());
  CHECK(has(exit_code(std::int64_t{INT32_MIN} - 1), "out of range"));
  CHECK(has(exit_code(std::int64_t{INT32_MAX} + 1), "out of range"));
}

TEST_CASE("a duration below zero or beyond thirty years, and a heartbeat or lease of zero, are refused", "[codec]") {
  const auto policy_error = [](std::int64_t heartbeat, std::int64_t lease) {
    Frame frame;
    Open open;
    open.policy.heartbeat = base::Duration(heartbeat);
    open.policy.lease = base::Duration(lease);
    encode(run(), ToSink(open), frame);
    return sink_error(frame);
  };
  CHECK(policy_error(1, 1).empty());
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, kMinI64, kMaxI64}) {
    CHECK(has(policy_error(bad, 1), "out of range"));
    CHECK(has(policy_error(1, bad), "out of range"));
  }
  std::string bytes;
  for (const std::int64_t bad : {std::int64_t{-1}, kMinI64, kMaxI64}) {
    encode_spec({base::Call{"echo", 1, ""}, base::Duration(bad)}, bytes);
    CHECK_FALSE(decode_spec(bytes));
  }
}

TEST_CASE("an enum out of its range is refused, and a worker may not say superseded", "[codec]") {
  const auto outcome_error = [](int outcome) {
    Results results;
    results.items.resize(1);
    results.items[0].outcome = static_cast<Outcome>(outcome);
    Frame frame;
    encode(run(), ToSink(results), frame);
    return sink_error(frame);
  };
  for (const int outcome : {0, 1, 2, 3, 4, 5, 7}) CHECK(outcome_error(outcome).empty());
  for (const int outcome : {6, 8, 255}) CHECK(has(outcome_error(outcome), "out of range"));
  const auto phase_error = [](int phase) {
    State state;
    state.held = {{{1, 1, 1}, static_cast<Held::Phase>(phase)}};
    Frame frame;
    encode(run(), ToSink(state), frame);
    return sink_error(frame);
  };
  CHECK(phase_error(2).empty());
  CHECK(has(phase_error(3), "out of range"));
  Frame frame;
  encode(run(), ToVentilator(Requeue{{}, {{{1, 1, 1}, static_cast<Outcome>(8), false}}}), frame);
  CHECK_FALSE(decode_to_ventilator(frame, run()));
}

TEST_CASE("bytes behind the end of a frame are refused", "[codec]") {
  for (const Example& example : messages()) {
    const auto read = decoded(encoded(example.message) + '\x00', example.message, run());
    REQUIRE_FALSE(read);
    CHECK(has(read.error().message, "behind the end"));
  }
  for (const auto& [name, spec] : specs()) {
    std::string bytes;
    encode_spec(spec, bytes);
    CHECK_FALSE(decode_spec(bytes + '\xc0'));
  }
}

TEST_CASE("too few elements are refused at the top and in nested arrays", "[codec]") {
  Packed top;
  top.head(4, 3);
  top.id(1);
  CHECK(has(sink_error(top), "too few elements"));
  Packed nested;
  nested.head(4, 19);
  nested.p.pack_array(2), nested.p.pack(1), nested.p.pack(1);
  CHECK(has(sink_error(nested), "too few elements"));
  Packed headless;
  headless.p.pack_array(2), headless.p.pack(kVersion), headless.p.pack(3);
  CHECK(has(sink_error(headless), "too few elements"));
}

TEST_CASE("what an older sender leaves out at the end has its default", "[codec]") {
  Frame frame;
  State state;
  state.held = {{{1, 2, 3}, Held::Phase::Running}};
  encode(run(), ToSink(state), frame);
  REQUIRE(frame.front() == '\x9e');
  frame.front() = '\x9d';
  frame.pop_back();
  const auto read = decode_to_sink(frame, run());
  REQUIRE(read);
  CHECK(std::get<State>(read->message) == state);
  Job job;
  job.items = {{{1, 2, 3}, "spec"}};
  encode(run(), ToWorker(job), frame);
  frame.pop_back();
  const auto item = frame.find("\x93\x93\x01\x02\x03");
  REQUIRE(item != Frame::npos);
  frame[item] = '\x92';
  const auto read_job = decode_to_worker(frame, run());
  REQUIRE(read_job);
  CHECK(std::get<Job>(read_job->message) == job);
  frame.pop_back();
  CHECK_FALSE(decode_to_worker(frame, run()));
}

TEST_CASE("a worker that knows no run has nothing of it", "[codec]") {
  Frame frame;
  State state;
  encode(base::RunId(), ToSink(state), frame);
  CHECK(decode_to_sink(frame, run()));
  CHECK(decode_to_sink(frame, base::RunId()));
  state.held = {{{1, 2, 3}, Held::Phase::Running}};
  encode(base::RunId(), ToSink(state), frame);
  CHECK_FALSE(decode_to_sink(frame, run()));
  CHECK(has(sink_error(frame), "a STATE without a run that holds attempts"));
  encode(run(), ToSink(state), frame);
  CHECK(decode_to_sink(frame, run()));
}

TEST_CASE("lengths and counts at the limit are taken, above it refused", "[codec]") {
  const auto error_of = [](const ToSink& message) {
    Frame frame;
    encode(run(), message, frame);
    return sink_error(frame);
  };
  State state;
  state.host.assign(kMaxName, 'h');
  state.held.resize(kMaxHeld);
  CHECK(error_of(state).empty());
  state.held.resize(kMaxHeld + 1);
  CHECK(has(error_of(state), "array longer than the limit"));
  state.held.clear();
  state.host += 'h';
  CHECK(has(error_of(state), "name longer than the limit"));

  Results results;
  results.items.resize(1);
  results.items[0].out.assign(kInlineOutput, 'o');
  results.items[0].command.assign(kMaxString, 'c');
  CHECK(error_of(results).empty());
  results.items[0].out += 'o';
  CHECK(has(error_of(results), "string longer than the limit"));
  results.items[0].out.clear();
  results.items[0].command += 'c';
  CHECK(has(error_of(results), "string longer than the limit"));

  Frame frame;
  Job job;
  job.items.push_back({{1, 1, 1}, std::string(kMaxJob, 's')});
  encode(run(), ToWorker(job), frame);
  CHECK(decode_to_worker(frame, run()));
  job.items[0].spec += 's';
  encode(run(), ToWorker(job), frame);
  CHECK_FALSE(decode_to_worker(frame, run()));
  job.items = {{{1, 1, 1}, std::string(kMaxJob, 's')}, {{2, 1, 1}, std::string(kMaxJob, 's')}};
  encode(run(), ToWorker(job), frame);
  CHECK(has(decode_to_worker(frame, run()).error().message, "above the limit"));

  Snapshot snapshot;
  snapshot.finished.assign(kSnapshotBytes, '\xff');
  encode(run(), ToVentilator(snapshot), frame);
  CHECK(decode_to_ventilator(frame, run()));
  snapshot.finished += '\x01';
  encode(run(), ToVentilator(snapshot), frame);
  CHECK_FALSE(decode_to_ventilator(frame, run()));
}

TEST_CASE("unknown elements are held to the limits too", "[codec]") {
  const auto error_with = [](const std::string& extra) {
    Packed packed;
    packed.head(6, 3);
    packed.id(1);
    packed.p.pack(1);
    return sink_error(packed.bytes() + extra);
  };
  CHECK(error_with(std::string(kMaxDepth - 1, '\x91') + '\xc0').empty());  // the frame itself is the first level
  CHECK(has(error_with(std::string(kMaxDepth, '\x91') + '\xc0'), "nested deeper"));
  CHECK(has(error_with(std::string(2'000'000, '\x91') + '\xc0'), "nested deeper"));
  CHECK(error_with("\xdc\x20" + std::string(1 + kMaxItems, '\0')).empty());
  CHECK(has(error_with("\xdc\x20\x01" + std::string(kMaxItems + 1, '\0')), "array longer"));
  CHECK(has(error_with("\xde\x20\x01" + std::string(2 * kMaxItems + 2, '\0')), "array longer"));
  CHECK(has(error_with(std::string("\xc6\x00\x80\x00\x01", 5) + std::string(kMaxString + 1, 'x')), "string longer"));
}
