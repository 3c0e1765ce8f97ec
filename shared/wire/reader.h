// A cursor over msgpack from a peer that nobody trusts. The first fault sticks: every later read gives zero or nothing, so callers read a whole message
// and ask once. Nothing is allocated for a count or length that the bytes left cannot hold.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/fields.h"

namespace wire {

// One msgpack header, and the bytes of a str, bin or ext.
struct Token {
  enum class Kind { None, Nil, Bool, Uint, Negative, Float32, Float64, Str, Bin, Ext, Array, Map };
  Kind kind = Kind::None;
  std::uint64_t number = 0;  // Bool, Uint: the value; Negative: its two's complement; Array, Map: the count
  double real = 0;           // Float32, Float64
  std::int8_t ext = 0;       // Ext: its type
  std::string_view bytes;    // Str, Bin, Ext
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  bool ok() const { return fault_ == nullptr; }
  const char* fault() const { return fault_; }
  std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }  // after a fault: where it was found
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  void fail(const char* what) {
    if (fault_ == nullptr) fault_ = what;
  }
  void expect_end() {
    if (ok() && at_ != end_) fail("bytes behind the end");
  }
  // Nothing (kind None) after a fault.
  Token next();
  void skip();  // one value of any kind

  // An array of at least `known` elements. Close it when these are read: elements behind them are skipped.
  std::size_t open_array(std::size_t known);
  void close_array(std::size_t count, std::size_t known);

  std::uint64_t read_uint(std::uint64_t most) {
    const unsigned value = lead();
    if (value > 0x7f || value > most) return read_long_uint(most);
    ++at_;
    return value;
  }
  std::int64_t read_int(std::int64_t least, std::int64_t most);
  std::string_view read_name();
  std::string_view read_bytes(std::size_t limit);

  void read(std::uint64_t& value) { value = read_uint(UINT64_MAX); }
  void read(std::uint32_t& value) { value = static_cast<std::uint32_t>(read_uint(UINT32_MAX)); }
  void read(std::int64_t& value) { value = read_int(INT64_MIN, INT64_MAX); }
  void read(std::int32_t& value) { value = static_cast<std::int32_t>(read_int(INT32_MIN, INT32_MAX)); }
  void read(bool& value);
  void read(base::Duration& value) { value = base::Duration(read_int(0, kMaxDuration.count())); }
  void read(std::string& bytes) { bytes = read_bytes(kMaxString); }
  void read(base::Id128& id);
  void read(std::optional<std::uint64_t>& value);
  void read(base::FailureSet& causes) { read(causes.ranges); }
  template <typename T>
  void read(std::vector<T>& items);
  template <typename S>
    requires(kFieldCount<S> > 0)
  void read(S& value) {
    const std::size_t count = open_array(kLeastFields<S>);
    close_array(count, read_fields(value, count));
  }

  // The members without the array around them, of which `count` elements are there. Returns how many of these it took. REQUIRES: at least kLeastFields<S>.
  template <typename S>
  std::size_t read_fields(S& value, std::size_t count) {
    std::size_t left = std::max(count, kLeastFields<S>);
    const auto read_one = [&](const auto& field) {
      if (kAdded<S> == 0 || (left > 0 && left-- > 0)) read_field(value, field);
    };
    std::apply([&](const auto&... field) { (read_one(field), ...); }, kFields<S>);
    return std::min(count, kFieldCount<S>);
  }

 private:
  template <typename S, typename T>
  void read_field(S& value, T S::*member) { read(value.*member); }
  template <typename S>
  void read_field(S& value, Name<S> field) { value.*field.member = read_name(); }
  template <typename S>
  void read_field(S& value, Bytes<S> field) { value.*field.member = read_bytes(field.limit); }
  template <typename S>
  void read_field(S& value, Period<S> field) { value.*field.member = base::Duration(read_int(1, kMaxDuration.count())); }
  template <typename S, typename E>
  void read_field(S& value, Choice<S, E> field) { value.*field.member = static_cast<E>(read_uint(static_cast<std::uint64_t>(field.most))); }
  template <typename S>
  void read_field(S& value, OwnOutcome<S> field) {
    value.*field.member = static_cast<Outcome>(read_uint(base::kOutcomes - 1));
    if (value.*field.member == Outcome::Superseded) fail("a number out of range");
  }

  // The next byte, which names the form of the next value; 0x100: none, or a fault. The readers below take the usual forms themselves, and leave the
  // others and every refusal to next().
  unsigned lead() const { return ok() && at_ != end_ ? static_cast<unsigned char>(*at_) : 0x100u; }
  std::uint64_t read_long_uint(std::uint64_t most);
  template <typename T>
  T take();
  std::string_view take_bytes(std::uint64_t size);
  // A count of `unit` elements each, refused when the bytes left cannot hold one byte an element.
  std::uint64_t take_count(std::uint64_t count, std::uint64_t unit);

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* fault_ = nullptr;
  std::size_t depth_ = 0;
};

// The fewest bytes that a T takes on the wire: a count claiming more items than the bytes left can hold is refused before anything is reserved.
template <typename T>
constexpr std::size_t least_bytes() {
  if constexpr (std::is_base_of_v<base::Id128, T>) return 2 + sizeof(base::Id128::bytes);
  const auto of = []<typename F>(const F& field) {
    if constexpr (std::is_member_object_pointer_v<F>) {
      return []<typename S, typename M>(M S::*) { return least_bytes<M>(); }(field);
    } else {
      return std::size_t{1};
    }
  };
  const std::size_t header = kFieldCount<T> < 16 ? 1 : 3;
  return header - kAdded<T> + std::apply([&](const auto&... field) { return (of(field) + ... + 0); }, kFields<T>);
}

template <typename T>
void Reader::read(std::vector<T>& items) {
  items.clear();
  const std::size_t count = open_array(0);
  if (count > kMaxItems) fail("an array longer than the limit");
  else if (count > left() / least_bytes<T>()) fail("truncated");
  if (!ok()) return;
  items.reserve(count);
  for (std::size_t i = 0; i < count && ok(); ++i) read(items.emplace_back());
  close_array(count, count);
}

}  // namespace wire
