#include "worker/json.h"

#include <cstdint>

#include "base/utf8.h"

namespace worker {
namespace {

constexpr int kMostNesting = 512;
constexpr char kDigits[] = "0123456789abcdef";

void append_utf8(std::uint32_t c, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) text += static_cast<char>(c);
  else if (c < 0x800) text += static_cast<char>(0xc0 | c >> 6), tail(0);
  else if (c < 0x10000) text += static_cast<char>(0xe0 | c >> 12), tail(6), tail(0);
  else text += static_cast<char>(0xf0 | c >> 18), tail(12), tail(6), tail(0);
}

// Each function reads one piece and says whether it was there; the first that was not leaves the fault.
class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  JsonVerdict check() {
    blanks();
    if (value(0)) {
      blanks();
      if (at_ != text_.size()) fail("something stands behind the value");
    }
    if (!verdict_.fault && !base::is_utf8(text_)) verdict_.fault = "it is not UTF-8";
    if (verdict_.fault) verdict_.error.reset();
    return std::move(verdict_);
  }

 private:
  bool fail(const char* what) {
    if (!verdict_.fault) verdict_.fault = std::string(what) + ", at byte " + std::to_string(at_ + 1);
    return false;
  }
  bool has(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) { return has(c) && (++at_, true); }
  bool is_digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r' || text_[at_] == '\n')) ++at_;
  }

  bool value(int depth) {
    if (depth > kMostNesting) return fail("it is nested too deeply");
    if (has('{')) return object(depth);
    if (has('[')) return array(depth);
    if (has('"')) return string(nullptr);
    if (has('-') || is_digit()) return number();
    for (const std::string_view word : {"true", "false", "null"})
      if (text_.substr(at_, word.size()) == word) return at_ += word.size(), true;
    return fail(at_ == text_.size() ? "it ends too early" : "no value begins here");
  }

  bool array(int depth) {
    take('[');
    blanks();
    if (take(']')) return true;
    do {
      blanks();
      if (!value(depth + 1)) return false;
      blanks();
    } while (take(','));
    return take(']') || fail("an array misses its ]");
  }

  bool object(int depth) {
    take('{');
    blanks();
    if (take('}')) return true;
    do {
      blanks();
      std::string key;
      if (!has('"') || !string(depth == 0 ? &key : nullptr)) return fail("an object misses a key");
      blanks();
      if (!take(':')) return fail("a key misses its :");
      blanks();
      const std::size_t begin = at_;
      if (!value(depth + 1)) return false;
      if (depth == 0 && key == "error") note_error(begin);
      blanks();
    } while (take(','));
    return take('}') || fail("an object misses its }");
  }

  // The value that has just been read, as the reason of a failure.
  void note_error(std::size_t begin) {
    const std::size_t end = at_;
    verdict_.error.reset();
    if (text_[begin] == '"') {
      at_ = begin;
      string(&verdict_.error.emplace());
      at_ = end;
    } else if (const std::string_view value = text_.substr(begin, end - begin); value != "null") {
      verdict_.error = value;
    }
  }

  // `content`: where to put what the string means, if anybody asks.
  bool string(std::string* content) {
    take('"');
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (static_cast<unsigned char>(c) < 0x20) return fail("a string has a control character in it");
      ++at_;
      if (c == '"') return true;
      if (c == '\\') {
        if (!escape(content)) return false;
      } else if (content != nullptr) {
        *content += c;
      }
    }
    return fail("a string misses its closing quote");
  }

  bool escape(std::string* content) {
    static constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    if (take('u')) return code_unit(content);
    const std::size_t which = at_ < text_.size() ? kNames.find(text_[at_]) : std::string_view::npos;
    if (which == std::string_view::npos) return fail("an unknown escape");
    ++at_;
    if (content != nullptr) *content += kMeanings[which];
    return true;
  }

  bool code_unit(std::string* content) {
    std::uint32_t c = 0;
    if (!hex(c)) return false;
    if (c >= 0xd800 && c < 0xdc00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      std::uint32_t low = 0;
      if (!hex(low)) return false;
      if (low < 0xdc00 || low >= 0xe000) return fail("half a surrogate pair");
      c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c >= 0xd800 && c < 0xe000) return fail("half a surrogate pair");
    if (content != nullptr) append_utf8(c, *content);
    return true;
  }

  bool hex(std::uint32_t& number) {
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (digit < 0) return fail("\\u wants four hex digits");
      number = number << 4 | static_cast<std::uint32_t>(digit);
    }
    return true;
  }

  bool digits() {
    if (!is_digit()) return fail("a number misses a digit");
    while (is_digit()) ++at_;
    return true;
  }

  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      return digits();
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  JsonVerdict verdict_;
};

}  // namespace

void append_json_string(std::string_view text, std::string& json) {
  json += '"';
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') json += '\\', json += c;
    else if (c == '\n') json += "\\n";
    else if (c == '\r') json += "\\r";
    else if (c == '\t') json += "\\t";
    else if (u < 0x20 || u == 0x7f) json += "\\u00", json += kDigits[u >> 4], json += kDigits[u & 15];
    else json += c;
  }
  json += '"';
}

JsonVerdict check_json(std::string_view text) { return Checker(text).check(); }

}  // namespace worker
