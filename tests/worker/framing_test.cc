// How records are written for coprocesses and what becomes of their answers.
#include "worker/framing.h"

#include <catch2/catch.hpp>

using base::Framing;
using namespace worker;
using State = FoundAnswer::State;

namespace {

std::string written(Framing framing, std::string_view input) {
  std::string bytes = "before ";
  REQUIRE_FALSE(write_record(framing, 7, input, bytes));
  return bytes.substr(7);
}

std::string refused(Framing framing, std::string_view input) {
  std::string bytes;
  const auto why_not = write_record(framing, 7, input, bytes);
  REQUIRE(why_not);
  CHECK(bytes.empty());
  return *why_not;
}

TEST_CASE("a record is written as its framing says", "[framing]") {
  CHECK(written(Framing::Line, "a\0b\xff") == std::string("a") + "\n");
  CHECK(written(Framing::Line, std::string_view("a\0b\xff", 4)) == std::string("a\0b\xff\n", 5));
  CHECK(written(Framing::Length, "a\nb") == std::string("\0\0\0\3a\nb", 7));
  CHECK(written(Framing::Length, std::string(0x010203, 'x')).substr(0, 5) == std::string("\0\1\2\3x", 5));
  CHECK(written(Framing::Json, "a\"\\\n\r\t\x01\x7f\xc3\xbc") == "{\"job\":7,\"input\":\"a\\\"\\\\\\n\\r\\t\\u0001\x7f\xc3\xbc\"}\n");
}

TEST_CASE("a record that its framing cannot carry is refused with the reason", "[framing]") {
  CHECK(refused(Framing::Line, "a\nb").find("newline") != std::string::npos);
  CHECK(refused(Framing::Json, "a\xff").find("UTF-8") != std::string::npos);
}

TEST_CASE("an answer of a line is found with its newline, however it comes in pieces", "[framing]") {
  CHECK(find_answer(Framing::Line, "", 0, 10).state == State::NotWhole);
  CHECK(find_answer(Framing::Line, "abc", 0, 10).state == State::NotWhole);
  const auto found = find_answer(Framing::Line, "abc\nd", 3, 10);
  CHECK(found.state == State::Whole);
  CHECK(found.begin == 0);
  CHECK(found.size == 4);
  CHECK(found.end == 4);
  CHECK(find_answer(Framing::Line, "123456789\n", 0, 10).state == State::Whole);
  CHECK(find_answer(Framing::Line, "1234567890\n", 0, 10).state == State::TooLong);
  CHECK(find_answer(Framing::Line, "1234567890", 0, 10).state == State::TooLong);
}

TEST_CASE("an answer with a length is found when all of it is there", "[framing]") {
  const std::string bytes("\0\0\0\3a\nb", 7);
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(find_answer(Framing::Length, std::string_view(bytes).substr(0, size), 0, 10).state == State::NotWhole);
  const auto found = find_answer(Framing::Length, bytes + "rest", 0, 10);
  CHECK(found.state == State::Whole);
  CHECK(found.begin == 4);
  CHECK(found.size == 3);
  CHECK(found.end == 7);
  CHECK(find_answer(Framing::Length, std::string("\0\0\0\xb", 4), 0, 10).state == State::TooLong);
  CHECK(find_answer(Framing::Length, "text", 0, 1u << 30).state == State::TooLong);
}

TEST_CASE("blank answers are faults that name the job", "[framing]") {
  for (const char* blank : {"\n", "\r\n", " \t\n"}) {
    const auto fault = fault_of_answer(Framing::Line, 7, blank);
    REQUIRE(fault);
    CHECK(fault->reason == "the coprocess gave a blank answer to job 7");
    CHECK_FALSE(fault->is_answer);
    CHECK(fault_of_answer(Framing::Json, 7, blank));
  }
  CHECK(fault_of_answer(Framing::Length, 7, ""));
  CHECK_FALSE(fault_of_answer(Framing::Length, 7, "\n"));
  CHECK_FALSE(fault_of_answer(Framing::Line, 7, "a\n"));
}

TEST_CASE("in json an answer with an error is a fault with its text, and one that is not JSON too", "[framing]") {
  CHECK_FALSE(fault_of_answer(Framing::Json, 7, "{\"a\":{\"error\":1},\"error\":null}\n"));
  CHECK_FALSE(fault_of_answer(Framing::Json, 7, "[{\"error\":1}]\n"));
  CHECK_FALSE(fault_of_answer(Framing::Json, 7, "\"error\"\n"));
  const auto fault = fault_of_answer(Framing::Json, 7, "{\"error\" : \"no \\u00fc, \\ud83d\\ude00\\n\"}\n");
  REQUIRE(fault);
  CHECK(fault->is_answer);
  CHECK(fault->reason == "no \xc3\xbc, \xf0\x9f\x98\x80\n");
  CHECK(fault_of_answer(Framing::Json, 7, "{\"error\":{\"code\":3}}\n")->reason == "{\"code\":3}");
  const auto no_json = fault_of_answer(Framing::Json, 7, "{\"a\":1,}\n");
  REQUIRE(no_json);
  CHECK_FALSE(no_json->is_answer);
  CHECK(no_json->reason.starts_with("the coprocess's answer to job 7 is not JSON: "));
}

}  // namespace
