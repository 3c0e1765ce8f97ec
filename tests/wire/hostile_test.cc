// Frames from somebody who means harm, or from a broken disk: none crashes, none allocates more than a small multiple of its own size.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <random>

#include "allocation_meter.h"
#include "examples.h"
#include "wire/limits.h"

using namespace examples;
using namespace wire;

namespace {

// Reads `frame` in every direction. What is understood must survive the way back and forth.
int decode_everywhere(std::string_view frame) {
  int understood = 0;
  Frame again;
  const auto check = [&](const auto& read, auto decode) {
    if (!read) return;
    ++understood;
    encode(read->run, read->message, again);
    const auto second = decode(again, base::RunId{});
    if (!second || second->message != read->message) FAIL("not the same the second time: " << hex(frame));
  };
  check(decode_to_sink(frame, base::RunId{}), decode_to_sink);
  check(decode_to_ventilator(frame, base::RunId{}), decode_to_ventilator);
  check(decode_to_worker(frame, base::RunId{}), decode_to_worker);
  if (const auto spec = decode_spec(frame)) {
    ++understood;
    encode_spec(*spec, again);
    const auto second = decode_spec(again);
    if (!second || !(*second == *spec)) FAIL("not the same spec the second time: " << hex(frame));
    describe(*spec);
  }
  (void)print_value(frame);
  return understood;
}

std::vector<std::string> golden_frames() {
  std::vector<std::string> frames;
  for (const Example& example : messages()) frames.push_back(encoded(example.message));
  for (const auto& [name, spec] : specs()) encode_spec(spec, frames.emplace_back());
  return frames;
}

// Bytes allocated while `frame` is read, in the direction that takes most.
std::size_t cost(std::string_view frame) {
  std::size_t most = 0;
  const auto measure = [&](auto read) {
    const std::size_t before = allocated_bytes;
    read();
    most = std::max(most, allocated_bytes - before);
  };
  measure([&] { (void)decode_to_sink(frame, base::RunId{}); });
  measure([&] { (void)decode_to_ventilator(frame, base::RunId{}); });
  measure([&] { (void)decode_to_worker(frame, base::RunId{}); });
  return most;
}

std::string bytes_of(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes += static_cast<char>(value);
  return bytes;
}

// Headers that promise more than a frame holds.
std::vector<std::string> greedy_headers() {
  return {
      bytes_of({0xdd, 0xff, 0xff, 0xff, 0xff}), bytes_of({0xdd, 0, 0, 0x20, 0}), bytes_of({0xdc, 0x20, 0}), bytes_of({0xdc, 0xff, 0xff}),
      bytes_of({0xdf, 0xff, 0xff, 0xff, 0xff}), bytes_of({0xde, 0x20, 0}),       bytes_of({0xdb, 0xff, 0xff, 0xff, 0xff}),
      bytes_of({0xc6, 0xff, 0xff, 0xff, 0xff}), bytes_of({0xc6, 0, 0x80, 0, 0}), bytes_of({0xc9, 0xff, 0xff, 0xff, 0xff, 1}),
  };
}

constexpr std::size_t kErrorText = 4096;  // what an Error's text may take

}  // namespace

TEST_CASE("every truncation of every message is refused", "[hostile]") {
  for (const Example& example : messages()) {
    const Frame frame = encoded(example.message);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      INFO(example.name << " cut to " << size);
      CHECK_FALSE(decoded(std::string_view(frame).substr(0, size), example.message, run()));
    }
  }
  for (const auto& [name, spec] : specs()) {
    std::string bytes;
    encode_spec(spec, bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(decode_spec(std::string_view(bytes).substr(0, size)));
  }
}

TEST_CASE("no byte of a message can be changed so that reading it goes wrong", "[hostile]") {
  std::size_t understood = 0;
  for (std::string frame : golden_frames()) {
    for (char& byte : frame) {
      const char original = byte;
      for (int change = 1; change < 256; ++change) {
        byte = static_cast<char>(original ^ change);
        understood += decode_everywhere(frame);
      }
      byte = original;
    }
  }
  CHECK(understood > 0);
}

TEST_CASE("frames changed at random are understood or refused", "[hostile]") {
  const char* given = std::getenv("PUSHMILL_SEED");
  const unsigned long seed = given ? std::strtoul(given, nullptr, 10) : std::random_device{}();
  std::cout << "PUSHMILL_SEED=" << seed << " (mutated frames)" << std::endl;
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  const std::vector<std::string> frames = golden_frames();
  const std::vector<std::string> greedy = greedy_headers();
  std::size_t understood = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string frame = frames[below(frames.size())];
    for (std::size_t changes = 1 + below(4); changes > 0 && !frame.empty(); --changes) {
      const std::size_t at = below(frame.size());
      switch (below(6)) {
        case 0: frame[at] = static_cast<char>(random()); break;
        case 1: frame[at] ^= static_cast<char>(1 << below(8)); break;
        case 2: frame.erase(at, 1 + below(4)); break;
        case 3: frame.insert(at, 1, static_cast<char>(random())); break;
        case 4: frame.replace(at, 1, greedy[below(greedy.size())]); break;
        case 5: {
          const std::string& other = frames[below(frames.size())];
          const std::size_t from = below(other.size());
          frame.replace(at, below(20), other, from, below(20));
          break;
        }
      }
    }
    understood += decode_everywhere(frame);
  }
  CHECK(understood > 0);
}

TEST_CASE("a count that the frame cannot hold allocates nothing to speak of", "[hostile]") {
  for (const std::string& frame : golden_frames()) {
    for (std::size_t at = 0; at < frame.size(); ++at) {
      for (const std::string& header : greedy_headers()) {
        std::string hostile = frame;
        hostile.replace(at, 1, header);
        INFO(hex(hostile));
        CHECK(cost(hostile) <= 16 * hostile.size() + kErrorText);
        std::string padded = hostile + std::string(20'000, '\x90');  // room for 8192 items of one byte
        CHECK(cost(padded) <= 16 * padded.size() + kErrorText);
      }
    }
  }
}

TEST_CASE("arrays of arrays that each claim 8192 items allocate nothing to speak of", "[hostile]") {
  std::string nest;
  for (int i = 0; i < 100'000; ++i) nest += bytes_of({0xdc, 0x20, 0});
  for (const Example& example : messages()) {
    Frame frame = encoded(example.message);
    const std::size_t behind_head = 1 + 1 + 1 + 18;  // array, version, type, run
    const std::string hostile = frame.substr(0, behind_head) + nest;
    CHECK(cost(hostile) <= 64 * 1024);
  }
  Frame done;
  encode(run(), ToVentilator(Done{{1, 1, 1}, {}, {}, {}}), done);
  done.pop_back();  // the empty list of confirms
  CHECK(cost(done + nest) <= 1024 * 1024);
}

TEST_CASE("the largest number of the smallest items costs a small multiple of the frame", "[hostile]") {
  Frame frame;
  Results results;
  results.items.resize(kMaxItems);
  encode(run(), ToSink(results), frame);
  CHECK(cost(frame) <= 16 * frame.size());
  Done done;
  done.jobs.resize(kMaxItems);
  done.limits.resize(kMaxItems);
  done.confirms.resize(kMaxItems);
  for (Confirms& confirms : done.confirms) confirms.attempts.resize(10);
  encode(run(), ToVentilator(done), frame);
  CHECK(cost(frame) <= 16 * frame.size());
}

TEST_CASE("a frame of the greatest size, full of small arrays, is read through or refused", "[hostile]") {
  Frame frame;
  encode(run(), ToSink(Bye{}), frame);
  frame[0] = '\x96';  // one element more than known: 8 x 8192 x 200 small ones
  frame += bytes_of({0x98});
  for (int i = 0; i < 8; ++i) {
    frame += bytes_of({0xdc, 0x20, 0});
    for (int k = 0; k < 8192; ++k) frame += bytes_of({0xdc, 0, 200}) + std::string(200, '\x90');
  }
  REQUIRE(frame.size() < kMaxFrame);
  CHECK(decode_to_sink(frame, run()));
  CHECK(cost(frame) <= kErrorText);
  frame.resize(kMaxFrame + 1, '\x90');
  CHECK_FALSE(decode_to_sink(frame, run()));
}
