// A core in a unit test: given by builders, one action, then its effects are taken in order. What is left over fails the test, in its destructor.
#pragma once

#include <catch2/catch.hpp>

#include <deque>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/ids.h"
#include "base/time.h"

namespace support {

using namespace std::chrono_literals;

inline base::WorkerId worker_id(unsigned n) {
  base::WorkerId id;
  id.bytes[0] = static_cast<std::uint8_t>(n);
  return id;
}

template <typename T, typename Variant>
struct is_one_of : std::false_type {};
template <typename T, typename... Ts>
struct is_one_of<T, std::variant<Ts...>> : std::disjunction<std::is_same<T, Ts>...> {};

// Effects in which Carrier{message} carries one of the messages Message; both are taken by the type of what is wanted.
template <typename Effect, typename Carrier>
class Taken {
 public:
  using Message = decltype(Carrier::message);
  explicit Taken(const char* role) : role_(role) {}
  Taken(const Taken&) = delete;
  ~Taken() {
    if (std::uncaught_exceptions() > 0) return;
    INFO(role_ << ": effects left over, the first is number " << (effects.empty() ? -1 : static_cast<int>(effects.front().index())) << message_index());
    CHECK(effects.empty());
  }

  // The next effect must be a T, or carry one.
  template <typename T>
  T take() {
    INFO(role_ << ": effects waiting: " << effects.size() << (effects.empty() ? "" : ", the next is number " + std::to_string(effects.front().index())) << message_index());
    REQUIRE(is<T>());
    Effect effect = std::move(effects.front());
    effects.erase(effects.begin());
    if constexpr (is_one_of<T, Effect>::value) return std::get<T>(std::move(effect));
    else if constexpr (std::is_same_v<T, Message>) return std::get<Carrier>(std::move(effect)).message;
    else return std::get<T>(std::get<Carrier>(std::move(effect)).message);
  }
  template <typename T>
  bool is(std::size_t at = 0) const {
    if (at >= effects.size()) return false;
    if constexpr (is_one_of<T, Effect>::value) return std::holds_alternative<T>(effects[at]);
    else {
      const Carrier* carrier = std::get_if<Carrier>(&effects[at]);
      if constexpr (std::is_same_v<T, Message>) return carrier != nullptr;
      else return carrier != nullptr && std::holds_alternative<T>(carrier->message);
    }
  }
  // Removes all of a kind that the test is not about.
  template <typename T, typename Unless = bool (*)(const T&)>
  void forget(Unless unless = [](const T&) { return false; }) {
    for (std::size_t i = 0; i < effects.size();) {
      bool drop = is<T>(i);
      if (drop) {
        if constexpr (is_one_of<T, Effect>::value) drop = !unless(std::get<T>(effects[i]));
        else if constexpr (std::is_same_v<T, Message>) drop = !unless(std::get<Carrier>(effects[i]).message);
        else drop = !unless(std::get<T>(std::get<Carrier>(effects[i]).message));
      }
      if (drop) effects.erase(effects.begin() + static_cast<std::ptrdiff_t>(i));
      else ++i;
    }
  }
  template <typename T>
  std::size_t count() const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < effects.size(); ++i) n += is<T>(i);
    return n;
  }
  bool none() const { return effects.empty(); }
  void clear() { effects.clear(); }

  std::vector<Effect> effects;

 private:
  std::string message_index() const {
    if (effects.empty()) return "";
    const Carrier* carrier = std::get_if<Carrier>(&effects.front());
    if (carrier == nullptr) return "";
    if constexpr (requires { carrier->message.index(); }) return ", message " + std::to_string(carrier->message.index());
    else return "";
  }
  const char* role_;
};

}  // namespace support
