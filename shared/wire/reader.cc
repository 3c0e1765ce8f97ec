#include "wire/reader.h"

#include <bit>
#include <cstring>

namespace wire {

template <typename T>
T Reader::take() {
  if (left() < sizeof(T)) {
    fail("truncated");
    return 0;
  }
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 7 << 1) | static_cast<unsigned char>(at_[i]));
  at_ += sizeof(T);
  return value;
}

std::string_view Reader::take_bytes(std::uint64_t size) {
  if (!ok() || size > left()) {
    fail("truncated");
    return {};
  }
  const std::string_view bytes(at_, size);
  at_ += size;
  return bytes;
}

std::uint64_t Reader::take_count(std::uint64_t count, std::uint64_t unit) {
  if (count * unit > left()) fail("truncated");  // count has 32 bits at most
  return count;
}

Token Reader::next() {
  using Kind = Token::Kind;
  if (!ok()) return {};
  if (at_ == end_) {
    fail("truncated");
    return {};
  }
  Token token;
  const char* const start = at_;
  const auto lead = static_cast<unsigned char>(*at_++);
  const auto become = [&](Kind kind, std::uint64_t number) { token.kind = kind, token.number = number; };
  const auto become_signed = [&](std::int64_t value) { become(value < 0 ? Kind::Negative : Kind::Uint, static_cast<std::uint64_t>(value)); };
  const auto become_bytes = [&](Kind kind, std::uint64_t size) { token.kind = kind, token.bytes = take_bytes(size); };
  const auto become_ext = [&](std::uint64_t size) {
    token.ext = static_cast<std::int8_t>(take<std::uint8_t>());
    become_bytes(Kind::Ext, size);
  };
  if (lead < 0x80) become(Kind::Uint, lead);
  else if (lead < 0x90) become(Kind::Map, take_count(lead & 15, 2));
  else if (lead < 0xa0) become(Kind::Array, take_count(lead & 15, 1));
  else if (lead < 0xc0) become_bytes(Kind::Str, lead & 31);
  else if (lead >= 0xe0) become_signed(static_cast<std::int8_t>(lead));
  else switch (lead) {
    case 0xc0: become(Kind::Nil, 0); break;
    case 0xc2: become(Kind::Bool, 0); break;
    case 0xc3: become(Kind::Bool, 1); break;
    case 0xc4: become_bytes(Kind::Bin, take<std::uint8_t>()); break;
    case 0xc5: become_bytes(Kind::Bin, take<std::uint16_t>()); break;
    case 0xc6: become_bytes(Kind::Bin, take<std::uint32_t>()); break;
    case 0xc7: become_ext(take<std::uint8_t>()); break;
    case 0xc8: become_ext(take<std::uint16_t>()); break;
    case 0xc9: become_ext(take<std::uint32_t>()); break;
    case 0xca: become(Kind::Float32, 0), token.real = std::bit_cast<float>(take<std::uint32_t>()); break;
    case 0xcb: become(Kind::Float64, 0), token.real = std::bit_cast<double>(take<std::uint64_t>()); break;
    case 0xcc: become(Kind::Uint, take<std::uint8_t>()); break;
    case 0xcd: become(Kind::Uint, take<std::uint16_t>()); break;
    case 0xce: become(Kind::Uint, take<std::uint32_t>()); break;
    case 0xcf: become(Kind::Uint, take<std::uint64_t>()); break;
    case 0xd0: become_signed(static_cast<std::int8_t>(take<std::uint8_t>())); break;
    case 0xd1: become_signed(static_cast<std::int16_t>(take<std::uint16_t>())); break;
    case 0xd2: become_signed(static_cast<std::int32_t>(take<std::uint32_t>())); break;
    case 0xd3: become_signed(static_cast<std::int64_t>(take<std::uint64_t>())); break;
    case 0xd4: become_ext(1); break;
    case 0xd5: become_ext(2); break;
    case 0xd6: become_ext(4); break;
    case 0xd7: become_ext(8); break;
    case 0xd8: become_ext(16); break;
    case 0xd9: become_bytes(Kind::Str, take<std::uint8_t>()); break;
    case 0xda: become_bytes(Kind::Str, take<std::uint16_t>()); break;
    case 0xdb: become_bytes(Kind::Str, take<std::uint32_t>()); break;
    case 0xdc: become(Kind::Array, take_count(take<std::uint16_t>(), 1)); break;
    case 0xdd: become(Kind::Array, take_count(take<std::uint32_t>(), 1)); break;
    case 0xde: become(Kind::Map, take_count(take<std::uint16_t>(), 2)); break;
    case 0xdf: become(Kind::Map, take_count(take<std::uint32_t>(), 2)); break;
    default: fail("a byte that msgpack never uses");
  }
  if (ok()) return token;
  at_ = start;
  return {};
}

void Reader::skip() {
  const Token token = next();
  if (token.bytes.size() > kMaxString) fail("a string longer than the limit");
  if (token.kind != Token::Kind::Array && token.kind != Token::Kind::Map) return;
  if (token.number > kMaxItems) fail("an array longer than the limit");
  if (++depth_ > kMaxDepth) fail("nested deeper than the limit");
  for (std::uint64_t left = token.kind == Token::Kind::Map ? 2 * token.number : token.number; left > 0 && ok(); --left) skip();
  --depth_;
}

std::size_t Reader::open_array(std::size_t known) {
  ++depth_;
  if (const std::size_t count = lead() - 0x90u; count < 16 && count >= known && count < left() && depth_ <= kMaxDepth) {
    ++at_;
    return count;
  }
  const Token token = next();
  if (!ok()) return 0;
  if (token.kind != Token::Kind::Array) fail("not an array");
  else if (token.number < known) fail("too few elements");
  else if (token.number > kMaxItems) fail("an array longer than the limit");
  else if (depth_ > kMaxDepth) fail("nested deeper than the limit");
  return ok() ? static_cast<std::size_t>(token.number) : 0;
}

void Reader::close_array(std::size_t count, std::size_t known) {
  for (std::size_t i = known; i < count && ok(); ++i) skip();
  --depth_;
}

std::uint64_t Reader::read_long_uint(std::uint64_t most) {
  if (const unsigned form = lead() - 0xccu; form < 4 && left() > (1u << form)) {
    std::uint64_t value = 0;
    const char* const behind = at_ + 1 + (1u << form);
    for (const char* byte = at_ + 1; byte != behind; ++byte) value = value << 8 | static_cast<unsigned char>(*byte);
    if (value <= most) {
      at_ = behind;
      return value;
    }
  }
  const Token token = next();
  if (!ok()) return 0;
  if (token.kind != Token::Kind::Uint) fail(token.kind == Token::Kind::Negative ? "a negative number" : "not an integer");
  else if (token.number > most) fail("a number out of range");
  return ok() ? token.number : 0;
}

std::int64_t Reader::read_int(std::int64_t least, std::int64_t most) {
  if (const unsigned form = lead(); least <= 0 && most >= 0 && (form < 0x80 || form - 0xccu < 4)) {
    return static_cast<std::int64_t>(read_uint(static_cast<std::uint64_t>(most)));
  }
  const Token token = next();
  if (!ok()) return 0;
  const auto value = static_cast<std::int64_t>(token.number);
  if (token.kind != Token::Kind::Uint && token.kind != Token::Kind::Negative) fail("not an integer");
  else if (token.kind == Token::Kind::Uint && token.number > static_cast<std::uint64_t>(INT64_MAX)) fail("a number out of range");
  else if (value < least || value > most) fail("a number out of range");
  return ok() ? value : 0;
}

std::string_view Reader::read_name() {
  const Token token = next();
  if (!ok()) return {};
  if (token.kind != Token::Kind::Str) fail("not a str");
  else if (token.bytes.size() > kMaxName) fail("a name longer than the limit");
  return ok() ? token.bytes : std::string_view();
}

std::string_view Reader::read_bytes(std::size_t limit) {
  if (lead() == 0xc4 && left() >= 2) {
    const std::size_t size = static_cast<unsigned char>(at_[1]);
    if (size <= limit && size <= left() - 2) {
      at_ += 2 + size;
      return {at_ - size, size};
    }
  }
  const Token token = next();
  if (!ok()) return {};
  if (token.kind != Token::Kind::Bin && token.kind != Token::Kind::Str) fail("not a bin or str");
  else if (token.bytes.size() > limit) fail("a string longer than the limit");
  return ok() ? token.bytes : std::string_view();
}

void Reader::read(bool& value) {
  const Token token = next();
  if (ok() && token.kind != Token::Kind::Bool) fail("not true or false");
  value = ok() && token.number == 1;
}

void Reader::read(base::Id128& id) {
  const std::string_view bytes = read_bytes(id.bytes.size());
  if (ok() && bytes.size() != id.bytes.size()) fail("an id that has not 16 bytes");
  if (ok()) std::memcpy(id.bytes.data(), bytes.data(), id.bytes.size());
}

void Reader::read(std::optional<std::uint64_t>& value) {
  value.reset();
  if (lead() == 0xc0) ++at_;
  else if (const std::uint64_t number = read_uint(UINT64_MAX); ok()) value = number;
}

}  // namespace wire
