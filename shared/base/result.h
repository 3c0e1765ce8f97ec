// What an edge returns when it can fail: a value or an Error of one of few kinds. Exceptions of libraries stop in their wrappers.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace base {

struct Error {
  enum class Kind { NotFound, Corrupt, Io, Full, Protocol, Busy, Usage, Conflict };
  Kind kind;
  std::string message;  // one line for the user: what, where, what to do
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Error error) : value_(std::move(error)) {}
  explicit operator bool() const { return value_.index() == 0; }
  T& operator*() { return std::get<0>(value_); }
  const T& operator*() const { return std::get<0>(value_); }
  T* operator->() { return &std::get<0>(value_); }
  const T* operator->() const { return &std::get<0>(value_); }
  const Error& error() const { return std::get<1>(value_); }

 private:
  std::variant<T, Error> value_;
};

struct Done {};
using Status = Result<Done>;
inline Status ok() { return Done{}; }

}  // namespace base
