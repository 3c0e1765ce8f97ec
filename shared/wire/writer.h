// Values to msgpack, appended to a buffer of the caller, in the shortest form of each number.
#pragma once

#include <msgpack.hpp>
#include <optional>
#include <string>
#include <vector>

#include "wire/fields.h"

namespace wire {

class Writer {
 public:
  explicit Writer(std::string& buffer) : buffer_{buffer}, packer_(buffer_) {}

  void array(std::size_t count) { packer_.pack_array(static_cast<std::uint32_t>(count)); }
  void str(std::string_view text) {
    packer_.pack_str(static_cast<std::uint32_t>(text.size()));
    packer_.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  void bin(std::string_view bytes) {
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer_.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }

  void put(std::uint64_t value) { packer_.pack_uint64(value); }
  void put(std::uint32_t value) { packer_.pack_uint32(value); }
  void put(std::int64_t value) { packer_.pack_int64(value); }
  void put(std::int32_t value) { packer_.pack_int32(value); }
  void put(bool value) { value ? packer_.pack_true() : packer_.pack_false(); }
  void put(base::Duration value) { packer_.pack_int64(value.count()); }
  void put(const std::string& bytes) { bin(bytes); }
  void put(const base::Id128& id) { bin({reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()}); }
  void put(const std::optional<std::uint64_t>& value) { value ? put(*value) : void(packer_.pack_nil()); }
  void put(const base::FailureSet& causes) { put(causes.ranges); }
  template <typename T>
  void put(const std::vector<T>& items) {
    array(items.size());
    for (const T& item : items) put(item);
  }
  template <typename S>
    requires(kFieldCount<S> > 0)
  void put(const S& value) {
    array(kFieldCount<S>);
    put_fields(value);
  }

  // The members without the array around them.
  template <typename S>
  void put_fields(const S& value) {
    std::apply([&](const auto&... field) { (put_field(value, field), ...); }, kFields<S>);
  }

 private:
  template <typename S, typename T>
  void put_field(const S& value, T S::*member) { put(value.*member); }
  template <typename S>
  void put_field(const S& value, Name<S> field) { str(value.*field.member); }
  template <typename S>
  void put_field(const S& value, Bytes<S> field) { bin(value.*field.member); }
  template <typename S>
  void put_field(const S& value, Period<S> field) { put(value.*field.member); }
  template <typename S, typename E>
  void put_field(const S& value, Choice<S, E> field) { put(static_cast<std::uint32_t>(value.*field.member)); }
  template <typename S>
  void put_field(const S& value, OwnOutcome<S> field) { put(static_cast<std::uint32_t>(value.*field.member)); }

  struct Buffer {
    std::string& bytes;
    void write(const char* data, std::size_t size) { bytes.append(data, size); }
  };
  Buffer buffer_;
  msgpack::packer<Buffer> packer_;
};

}  // namespace wire
