#include <catch2/catch.hpp>

#include "base/failures.h"

using namespace base;

namespace {
FailureSet set(const char* list) {
  const auto parsed = FailureSet::parse(list);
  INFO(list);
  REQUIRE(parsed);
  return *parsed;
}
}  // namespace

TEST_CASE("a list of failures names exit codes, ranges of them, signals, timeout and oom", "[failures]") {
  const FailureSet some = set("1,3-5,SIGSEGV,timeout");
  CHECK(some.ranges == std::vector<CauseRange>{{1, 1}, {3, 5}, {kSignalCause + 11, kSignalCause + 11}, {kTimeoutCause, kTimeoutCause}});
  CHECK(some.contains(4));
  CHECK_FALSE(some.contains(2));
  CHECK_FALSE(some.contains(kOomCause));
  CHECK(set("signal").ranges == std::vector<CauseRange>{{kSignalCause + 1, kSignalCause + 64}});
  CHECK(set("oom,1-255").ranges == std::vector<CauseRange>{{1, 255}, {kOomCause, kOomCause}});
}

TEST_CASE("ranges that overlap or touch are one", "[failures]") { CHECK(set("3-7,1,2,5-9").ranges == std::vector<CauseRange>{{1, 9}}); }

TEST_CASE("a list that is wrong names the word", "[failures]") {
  const std::pair<const char*, const char*> wrong[] = {{"", "''"}, {"1,", "''"}, {"1,x,2", "'x'"}, {"0", "'0'"}, {"256", "'256'"}, {"5-3", "'5-3'"}, {"1-", "'1-'"},
                                                       {"-1", "'-1'"}, {"SIGNOPE", "'SIGNOPE'"}, {"SEGV", "'SEGV'"}, {"1, 2", "' 2'"}, {"SIG", "'SIG'"}};
  for (const auto& [list, word] : wrong) {
    const auto parsed = FailureSet::parse(list);
    INFO(list);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().kind == Error::Kind::Usage);
    CHECK(parsed.error().message.starts_with(word));
  }
}

TEST_CASE("what is taken from a set of failures is gone, and the rest stays", "[failures]") {
  const FailureSet rest = FailureSet::all().without(set("3-5,timeout"));
  CHECK(rest.ranges == std::vector<CauseRange>{{0, 2}, {6, 511}, {kOomCause, kOomCause}});
  CHECK(FailureSet::all().without(FailureSet::all()).ranges.empty());
}

TEST_CASE("a set of failures as text reads back the same", "[failures]") {
  for (const FailureSet& some : {FailureSet::all(), FailureSet{}, set("1,3-5,SIGSEGV,timeout")}) {
    const auto read = FailureSet::from_text(some.text());
    REQUIRE(read);
    CHECK(*read == some);
  }
  CHECK_FALSE(FailureSet::from_text("1;2"));
  CHECK_FALSE(FailureSet::from_text("514"));
}

TEST_CASE("every failure has a cause, whatever numbers a worker says", "[failures]") {
  CHECK(cause_of(Outcome::Failed, 3, 0) == 3);
  CHECK(cause_of(Outcome::Failed, -1, 11) == kSignalCause + 11);
  CHECK(cause_of(Outcome::Timeout, -1, 9) == kTimeoutCause);
  CHECK(cause_of(Outcome::Failed, -7, 0) == 255);
  CHECK(cause_of(Outcome::Failed, 70'000, 0) == 255);
  CHECK(cause_of(Outcome::Failed, 0, 70'000) == kSignalCause + 64);
  CHECK(cause_of(Outcome::Failed, 0, -5) == 0);
}
