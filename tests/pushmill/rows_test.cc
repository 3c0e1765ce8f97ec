#include "pushmill/rows.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>

using pushmill::Format;
using pushmill::Rows;
using pushmill::Value;

namespace {

class Paper {
 public:
  Paper() : file_(::open_memstream(&text_, &size_)) {}
  ~Paper() {
    std::fclose(file_);
    std::free(text_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

std::string printed(Format format, const std::vector<std::string>& names, const std::vector<std::vector<Value>>& rows) {
  Paper paper;
  Rows printer(paper.file(), format, names);
  for (const auto& row : rows) printer.add(row);
  REQUIRE(printer.end());
  return paper.text();
}

}  // namespace

TEST_CASE("a table has the width of what is in it, numbers to the right", "[rows]") {
  CHECK(printed(Format::Table, {"job", "host", "command"}, {{std::int64_t{1}, "a", "x"}, {std::int64_t{100000}, "\xc3\xa9lan", "long command"}}) ==
        "   JOB  HOST  COMMAND\n"
        "     1  a     x\n"
        "100000  \xc3\xa9lan  long command\n");
  CHECK(printed(Format::Table, {"job"}, {}) == "JOB\n");
}

TEST_CASE("a table longer than what is measured goes on in the widths of its beginning", "[rows]") {
  std::vector<std::vector<Value>> rows(300, {std::int64_t{7}, "text"});
  rows[299] = {std::int64_t{1234567}, "x"};
  const std::string text = printed(Format::Table, {"n", "text"}, rows);
  CHECK(std::count(text.begin(), text.end(), '\n') == 301);
  CHECK_THAT(text, Catch::EndsWith("1234567  x\n"));
}

TEST_CASE("nothing in a table can move the cursor or break its line", "[rows]") {
  CHECK(pushmill::shown("a\nb\tc\x1b[2J\x7f\xff\xc3\xa9\xc2\x9b") == "a\\nb\\tc\\x1b[2J\\x7f\\xff\xc3\xa9\\xc2\\x9b");
}

TEST_CASE("a JSON row keeps kinds and bytes", "[rows]") {
  CHECK(printed(Format::Json, {"a", "b", "c", "d", "e\"", "f"}, {{std::int64_t{-1}, 1.5, "x\n", Value(), std::string("\xff\x00z", 3), 1.0 / 0.0}}) ==
        "{\"a\":-1,\"b\":1.5,\"c\":\"x\\n\",\"d\":null,\"e\\\"\":{\"base64\":\"/wB6\"},\"f\":null}\n");
  CHECK(printed(Format::Json, {"a"}, {}).empty());
}

TEST_CASE("tab-separated values begin with their names and keep to one line each", "[rows]") {
  CHECK(printed(Format::Tsv, {"a", "b"}, {{"x\ty\nz\\", Value()}, {std::int64_t{2}, "\xff"}}) == "a\tb\nx\\ty\\nz\\\\\t\n2\t\xff\n");
  CHECK(printed(Format::Tsv, {"a"}, {}) == "a\n");
}

TEST_CASE("a stream that takes no more is an error", "[rows]") {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> full(std::fopen("/dev/full", "w"), &std::fclose);
  REQUIRE(full);
  Rows rows(full.get(), Format::Json, {"a"});
  rows.add({std::int64_t{1}});
  const auto ended = rows.end();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().kind == base::Error::Kind::Full);
}
