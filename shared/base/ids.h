// The names of things: runs, jobs, attempts, workers, lanes. Every role and the protocol use these types.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace base {

// A job's number, from 1 in input order.
using JobId = std::uint64_t;

// 128 random bits. RunId and WorkerId are distinct types on purpose.
struct Id128 {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Id128&) const = default;
  bool is_zero() const { return *this == Id128{}; }
  std::string hex() const;        // 32 lower-case digits
  std::string short_hex() const;  // the first 8 of them: for log lines
};
struct RunId : Id128 {};
struct WorkerId : Id128 {};
std::optional<Id128> parse_id(std::string_view hex);  // what hex() gives

// One dispatch of a job. `epoch` is the start of the ventilator that sent it, `n` counts its dispatches from 1.
// Attempts never repeat within a run, and those of one job strictly increase.
struct Attempt {
  JobId job = 0;
  std::uint64_t epoch = 0;
  std::uint64_t n = 0;
  auto operator<=>(const Attempt&) const = default;
  std::string text() const;  // "17@2.5": job 17, epoch 2, dispatch 5
};

// One life of a lane, ordered over all lanes of a run. {0, 0}: none yet.
struct Generation {
  std::uint64_t epoch = 0;
  std::uint64_t g = 0;
  auto operator<=>(const Generation&) const = default;
};

struct HashId128 {
  std::size_t operator()(const Id128& id) const {
    std::size_t h;  // the bits are random already
    std::memcpy(&h, id.bytes.data(), sizeof h);
    return h;
  }
};
struct HashAttempt {
  std::size_t operator()(const Attempt& a) const {
    std::uint64_t h = a.job * 0x9e3779b97f4a7c15u;
    h ^= (a.epoch << 48) ^ (a.n * 0xc2b2ae3d27d4eb4fu);
    return h ^ (h >> 29);
  }
};

}  // namespace base
