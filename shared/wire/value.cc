// The values that calls take and give: packed from bytes, printed as bytes or as one line of JSON (PROTOCOL.md, "Values in print").
#include <charconv>
#include <cmath>

#include "base/utf8.h"
#include "wire/codec.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace wire {
namespace {

template <typename T>
void append_number(T value, std::string& json) {
  char digits[40];
  json.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

template <typename T>
void append_real(T value, std::string& json) {
  if (std::isnan(value)) json += "NaN";
  else if (std::isinf(value)) json += value < 0 ? "-Infinity" : "Infinity";
  else {
    const std::size_t start = json.size();
    append_number(value, json);
    if (json.find_first_of(".e", start) == std::string::npos) json += ".0";  // stays a float for whoever reads it
  }
}

void append_escape(unsigned char c, std::string& json) {
  static constexpr char kDigits[] = "0123456789abcdef";
  json += "\\u00";
  json += kDigits[c >> 4];
  json += kDigits[c & 15];
}

// `is_text`: UTF-8, which stands as it is; otherwise each byte above 0x7e becomes the escape of that code point.
void append_string(std::string_view bytes, bool is_text, std::string& json) {
  json += '"';
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') json += '\\', json += c;
    else if (c == '\n') json += "\\n";
    else if (c == '\r') json += "\\r";
    else if (c == '\t') json += "\\t";
    else if (u < 0x20 || u == 0x7f || (u > 0x7f && !is_text)) append_escape(u, json);
    else json += c;
  }
  json += '"';
}

class Printer {
 public:
  Printer(Reader& reader, std::string& json) : reader_(reader), json_(json) {}

  void print(const Token& token) {
    switch (token.kind) {
      case Token::Kind::None: break;
      case Token::Kind::Nil: json_ += "null"; break;
      case Token::Kind::Bool: json_ += token.number == 1 ? "true" : "false"; break;
      case Token::Kind::Uint: append_number(token.number, json_); break;
      case Token::Kind::Negative: append_number(static_cast<std::int64_t>(token.number), json_); break;
      case Token::Kind::Float32: append_real(static_cast<float>(token.real), json_); break;
      case Token::Kind::Float64: append_real(token.real, json_); break;
      case Token::Kind::Str: append_string(token.bytes, base::is_utf8(token.bytes), json_); break;
      case Token::Kind::Bin: append_string(token.bytes, false, json_); break;
      case Token::Kind::Ext: print_ext(token); break;
      case Token::Kind::Array: print_array(token.number); break;
      case Token::Kind::Map: print_map(token.number); break;
    }
  }

 private:
  void print_ext(const Token& token) {
    json_ += "{\"ext\":";
    append_number(static_cast<int>(token.ext), json_);
    json_ += ",\"data\":";
    append_string(token.bytes, false, json_);
    json_ += '}';
  }

  void print_array(std::uint64_t count) {
    if (!descend()) return;
    json_ += '[';
    for (std::uint64_t i = 0; i < count && reader_.ok(); ++i) {
      if (i > 0) json_ += ',';
      print(reader_.next());
    }
    json_ += ']';
    --depth_;
  }

  void print_map(std::uint64_t count) {
    if (!descend()) return;
    json_ += '{';
    for (std::uint64_t i = 0; i < count && reader_.ok(); ++i) {
      if (i > 0) json_ += ',';
      print_key(reader_.next());
      json_ += ':';
      print(reader_.next());
    }
    json_ += '}';
    --depth_;
  }

  void print_key(const Token& token) {
    using Kind = Token::Kind;
    if (token.kind == Kind::Array || token.kind == Kind::Map || token.kind == Kind::Ext) return reader_.fail("a map key that is not a scalar");
    if (token.kind == Kind::Str || token.kind == Kind::Bin) return print(token);
    json_ += '"';
    print(token);
    json_ += '"';
  }

  bool descend() {
    if (++depth_ > kMaxDepth) reader_.fail("nested deeper than the limit");
    return reader_.ok();
  }

  Reader& reader_;
  std::string& json_;
  std::size_t depth_ = 0;
};

}  // namespace

std::string pack_bytes(std::string_view bytes) {
  std::string packed;
  packed.reserve(bytes.size() + 5);
  Writer writer(packed);
  base::is_utf8(bytes) ? writer.str(bytes) : writer.bin(bytes);
  return packed;
}

bool is_binary(std::string_view msgpack) {
  Reader reader(msgpack);
  return reader.next().kind == Token::Kind::Bin;
}

base::Result<std::string> print_value(std::string_view msgpack) {
  Reader reader(msgpack);
  std::string text;
  const Token token = reader.next();
  if (token.kind == Token::Kind::Str || token.kind == Token::Kind::Bin) text = token.bytes;
  else Printer(reader, text).print(token);
  reader.expect_end();
  if (reader.ok()) return text;
  return base::Error{base::Error::Kind::Protocol,
                     std::string("not one msgpack value: ") + reader.fault() + ", at byte " + std::to_string(reader.offset())};
}

}  // namespace wire
