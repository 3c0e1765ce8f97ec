#include "base/term_seq.h"

#include <catch2/catch.hpp>
#include <csignal>

using base::parse_term_seq;
using base::TermSeq;

TEST_CASE("a sequence of names, of names with SIG and of numbers is the same") {
  for (const char* text : {"TERM,200,KILL,25", "SIGTERM,200,SIGKILL,25", "15,200,9,25"}) {
    const auto sequence = parse_term_seq(text);
    REQUIRE(sequence);
    CHECK(*sequence == TermSeq{SIGTERM, 200, SIGKILL, 25});
  }
}

TEST_CASE("the last wait of a sequence may be left out") {
  const auto sequence = parse_term_seq("INT,1000,USR1");
  REQUIRE(sequence);
  CHECK(*sequence == TermSeq{SIGINT, 1000, SIGUSR1, 0});
}

TEST_CASE("the default is that of GNU parallel") {
  const auto sequence = parse_term_seq("TERM,200,TERM,100,TERM,50,KILL,25");
  REQUIRE(sequence);
  CHECK(*sequence == base::kDefaultTermSeq);
}

TEST_CASE("what is no sequence is refused, with the word that is wrong") {
  const auto why = [](const std::string& text) {
    const auto sequence = parse_term_seq(text);
    return sequence ? "accepted" : sequence.error().message;
  };
  CHECK(why("") == "'' is not a signal: write names or numbers, as in TERM,200,KILL");
  CHECK(why("TREM,200").starts_with("'TREM' is not a signal"));
  CHECK(why("0,200").starts_with("'0' is not a signal"));
  CHECK(why("65").starts_with("'65' is not a signal"));
  CHECK(why("TERM,200,").starts_with("'' is not a signal"));
  CHECK(why("TERM,soon") == "'soon' is not a wait in milliseconds, an hour at most");
  CHECK(why("TERM,-1").starts_with("'-1' is not a wait"));
  CHECK(why("TERM,3600001").starts_with("'3600001' is not a wait"));
  std::string long_one = "TERM";
  for (int i = 0; i < 64; ++i) long_one += ",1,TERM";
  CHECK(why(long_one) == "more than 64 signals");
}

TEST_CASE("a list from elsewhere is one only if it is made of signals and waits") {
  CHECK(base::is_term_seq({}));
  CHECK(base::is_term_seq(base::kDefaultTermSeq));
  CHECK_FALSE(base::is_term_seq({15}));
  CHECK_FALSE(base::is_term_seq({0, 1}));
  CHECK_FALSE(base::is_term_seq({65, 1}));
  CHECK_FALSE(base::is_term_seq({15, 3'600'001}));
}
