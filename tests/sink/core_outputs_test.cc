#include "tests/support/sink_under_test.h"

namespace {

using namespace std::chrono_literals;

using base::Attempt;
using base::Outcome;
using sink::Commit;
using sink::DropOutput;
using sink::WriteOutput;
using support::SinkUnderTest;
using support::worker_id;
using wire::OutputStream;

constexpr Attempt kFirst{1, 1, 1}, kSecond{1, 1, 2};

wire::Output part(const Attempt& attempt, std::uint64_t offset, const std::string& bytes, OutputStream stream = OutputStream::Out) {
  return {worker_id(1), attempt, stream, offset, bytes};
}

wire::Results result(const SinkUnderTest& s, const Attempt& attempt, std::uint64_t out_bytes, Outcome outcome = Outcome::Ok) {
  wire::Results message = s.results(1, attempt, outcome);
  message.items[0].out_bytes = out_bytes;
  return message;
}

TEST_CASE("a part is written at the end of its file, committed, and then said to be stored", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {kFirst});
  s.on(part(kFirst, 0, "abc"));
  s.on(part(kFirst, 3, "de"));
  s.turn();
  CHECK(s.take<WriteOutput>().bytes == "abc");
  CHECK(s.take<WriteOutput>().offset == 3);
  s.take<Commit>();
  const auto stored = s.take<wire::Stored>();
  REQUIRE(stored.workers.size() == 1);
  CHECK(stored.workers[0].worker == worker_id(1));
  CHECK(stored.workers[0].items == std::vector<wire::StoredOutput>{{kFirst, OutputStream::Out, 5}});
}

TEST_CASE("a part that is there is not written again, one behind a gap not at all, of one that overlaps the rest", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.on(part(kFirst, 0, "abc"));
  s.turn();
  s.clear();
  s.on(part(kFirst, 0, "abc"));
  s.turn();
  CHECK(s.take<wire::Stored>().workers[0].items[0].length == 3);
  s.on(part(kFirst, 4, "e"));
  CHECK(s.core.ignored() == 1);
  s.turn();
  CHECK(s.none());
  s.on(part(kFirst, 2, "cd"));
  s.turn();
  const auto write = s.take<WriteOutput>();
  CHECK(write.offset == 3);
  CHECK(write.bytes == "d");
  s.clear();
}

TEST_CASE("a result is taken only when the files have all that it says, and is not confirmed before", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {kFirst});
  s.on(part(kFirst, 0, "abc"));
  s.on(result(s, kFirst, 5));
  auto said = s.said_after();
  CHECK(said.finished.empty());
  CHECK(said.confirmed.empty());
  s.on(part(kFirst, 3, "de"));
  s.on(result(s, kFirst, 5));
  said = s.said_after();
  REQUIRE(said.finished.size() == 1);
  CHECK(said.finished[0].result.out_bytes == 5);
  CHECK(said.confirmed == std::vector<Attempt>{kFirst});
}

TEST_CASE("an output of a job that is finished counts as stored and is not kept", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.said_of(1, kFirst, Outcome::Ok);
  s.on(part(kSecond, 7, "abc"));
  s.turn();
  CHECK(s.take<wire::Stored>().workers[0].items[0].length == 10);
  CHECK(s.none());
  s.on(result(s, kSecond, 10));
  const auto said = s.said_after();
  CHECK(said.confirmed == std::vector<Attempt>{kSecond});
  CHECK(said.attempts[0].result.outcome == Outcome::Superseded);
}

TEST_CASE("the files of an attempt that failed and of those that lose go behind the commit; a lost one's stay, it may still win", "[sink]") {
  SinkUnderTest s({.retries = 2});
  s.given_ventilator();
  s.on(part(kFirst, 0, "abc"));
  s.on(result(s, kFirst, 3, Outcome::Failed));
  s.turn();
  s.take<WriteOutput>();
  s.take<sink::LogAttempt>();
  s.take<Commit>();
  CHECK(s.take<DropOutput>().attempt == kFirst);
  s.clear();
  s.given_assigned(1, {kSecond});
  s.on(part(kSecond, 0, "ab"));
  s.pass(11s);  // it is lost
  s.clear();
  s.given_assigned(2, {{1, 1, 3}});
  s.on(part({1, 1, 3}, 0, "xyz"));
  s.on(part(kSecond, 2, "c"));
  s.on(result(s, kSecond, 3));
  s.turn();
  s.take<WriteOutput>();
  const auto late = s.take<WriteOutput>();
  CHECK(late.attempt == kSecond);
  CHECK(late.offset == 2);
  s.take<sink::UncountLoss>();
  CHECK(s.take<sink::LogResult>().result.attempt == kSecond);
  s.take<Commit>();
  for (const auto stream : {OutputStream::Out, OutputStream::Err}) {
    const auto dropped = s.take<DropOutput>();
    CHECK(dropped.attempt == (stream == OutputStream::Out ? kSecond : Attempt{1, 1, 3}));
  }
  s.clear();
}

TEST_CASE("after a restart a file goes on at its end, unless it is of no use", "[sink]") {
  SinkUnderTest s;
  s.core.recover_finished(2, false);
  s.core.recover_ended({{3, 1, 1}, Outcome::Failed, true, false});
  s.core.recover_ended({{4, 1, 1}, Outcome::Lost, true, false});
  CHECK(s.core.recover_output(kFirst, OutputStream::Err, 2));
  CHECK_FALSE(s.core.recover_output({2, 1, 9}, OutputStream::Out, 2));
  CHECK_FALSE(s.core.recover_output({3, 1, 1}, OutputStream::Out, 2));
  CHECK(s.core.recover_output({4, 1, 1}, OutputStream::Out, 2));
  s.given_ventilator();
  s.on(part(kFirst, 0, "abc", OutputStream::Err));
  s.turn();
  CHECK(s.take<WriteOutput>().offset == 2);
  s.clear();
}

TEST_CASE("parts with absurd numbers change nothing", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator(3);
  s.on(part({0, 1, 1}, 0, "abc"));
  s.on(part({4, 1, 1}, 0, "abc"));
  s.on(part({1, 9, 1}, 0, "abc"));
  s.on(part(kFirst, ~0ull - 1, "abc"));
  CHECK(s.core.ignored() == 4);
  s.turn();
  CHECK(s.none());
}

TEST_CASE("a result that says ok of an attempt whose outputs were dropped when it had ended is confirmed and not taken", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {kFirst});
  s.said_of(1, kFirst, Outcome::Returned);
  s.on(part(kFirst, 0, "abcde"));
  s.on(result(s, kFirst, 5));
  const auto said = s.said_after();
  CHECK(said.finished.empty());
  CHECK(said.attempts.empty());
  CHECK(said.confirmed == std::vector<Attempt>{kFirst});
}

TEST_CASE("lengths of an attempt that is to run again do not count", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {kFirst});
  s.on(result(s, kFirst, 5, Outcome::Cancelled));
  const auto said = s.said_after();
  REQUIRE(said.attempts.size() == 1);
  CHECK(said.attempts[0].result.out_bytes == 0);
  CHECK(said.confirmed == std::vector<Attempt>{kFirst});
  CHECK(said.requeued.size() == 1);
}

TEST_CASE("a result whose output does not come again within a lease is returned: our disk has lost what its worker has freed", "[sink]") {
  SinkUnderTest s;
  s.given_ventilator();
  s.given_assigned(1, {kFirst});
  for (int i = 0; i < 11; ++i) {
    s.on(s.state(1, {kFirst}));
    s.on(part(kFirst, 3, "de"));
    s.on(result(s, kFirst, 5));
    CHECK(s.said_after(1s).confirmed.empty());
  }
  s.on(result(s, kFirst, 5));
  const auto said = s.said_after();
  REQUIRE(said.attempts.size() == 1);
  CHECK(said.attempts[0].result.outcome == Outcome::Returned);
  CHECK(said.attempts[0].result.reason == "part of its output is gone");
  CHECK_FALSE(said.attempts[0].counted);
  CHECK(said.requeued.size() == 1);
  CHECK(said.confirmed == std::vector<Attempt>{kFirst});
}

TEST_CASE("of a job that is lost for good no file stays", "[sink]") {
  SinkUnderTest s({.crash_limit = 1});
  s.given_ventilator();
  s.given_assigned(1, {kFirst}, true);
  s.on(part(kFirst, 0, "abc"));
  s.turn();
  s.clear();
  s.pass(12s);
  s.forget_beats();
  s.forget<sink::LogResult>();
  std::size_t dropped = 0;
  for (const auto& effect : s.effects) dropped += std::holds_alternative<DropOutput>(effect);
  CHECK(dropped == 2);
  s.clear();
}

}  // namespace
