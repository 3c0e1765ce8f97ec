// Attempts of a job that its user has had retried: those of earlier epochs are void.
#include "sink/core.h"
#include "tests/support/sink_under_test.h"

namespace {

using base::Attempt;
using base::Outcome;
using support::retries;
using support::SinkUnderTest;
using namespace std::chrono_literals;

constexpr Attempt kOld{1, 1, 1}, kOlder{1, 1, 2}, kNew{1, 2, 1};

// Job 1 failed in epoch 1 as kOld and was retried; the ventilator's epoch is 2.
struct Retried : SinkUnderTest {
  explicit Retried(std::uint32_t times = 1) : SinkUnderTest(retries(times)) {
    core.recover_ended({kOld, Outcome::Failed, false, false});
    core.recover_retried(1, 2);
    epoch = 2;
    given_ventilator();
  }
};

}  // namespace

TEST_CASE("a result of a void attempt is confirmed and changes nothing, whatever it says", "[sink][retry]") {
  const auto outcome = GENERATE(Outcome::Ok, Outcome::Failed, Outcome::Lost, Outcome::Returned);
  Retried s;
  for (const Attempt& attempt : {kOld, kOlder}) {
    const auto said = s.said_of(1, attempt, outcome);
    CHECK(said.confirmed == std::vector<Attempt>{attempt});
    CHECK(said.finished.empty());
    CHECK(said.attempts.empty());
    CHECK(said.taken_back.empty());
    CHECK(said.requeued.empty());
  }
  const auto said = s.said_of(1, kNew, Outcome::Ok);
  REQUIRE(said.finished.size() == 1);
  CHECK(said.finished[0].ordinal == 2);  // it goes on
}

TEST_CASE("a worker that lists a void attempt has no lease for it, and is not taken for its job's", "[sink][retry]") {
  Retried s;
  s.on(s.state(1, {kOld, kOlder}));
  CHECK(s.core.progress().records().at(1).live.empty());
  s.turn();
  CHECK(s.take<wire::Worker>().leases.empty());
}

TEST_CASE("an ASSIGN of a void attempt is answered, so that the ventilator does not wait for it", "[sink][retry]") {
  Retried s;
  s.hears(s.assign(1, {kOld, kOlder}));
  const auto said = s.said_after();
  REQUIRE(said.requeued.size() == 2);
  CHECK(said.requeued[0].attempt == kOld);
  CHECK(said.requeued[1].attempt == kOlder);
  CHECK(said.requeued[1].outcome == Outcome::Returned);
}

TEST_CASE("outputs of a void attempt count as stored and are not written", "[sink][retry]") {
  Retried s;
  wire::Output output;
  output.worker = support::worker_id(1);
  output.attempt = kOlder;
  output.bytes = "bytes";
  s.on(output);
  s.turn();
  const auto stored = s.take<wire::Stored>();
  CHECK(stored.workers.at(0).items.at(0).length == 5);
  CHECK_FALSE(s.core.recover_output(kOlder, wire::OutputStream::Out, 5));
}

TEST_CASE("the limits of a retried job start again", "[sink][retry]") {
  Retried s(2);
  CHECK(s.said_of(1, kNew, Outcome::Failed).finished.empty());
  const auto said = s.said_of(1, {1, 2, 2}, Outcome::Failed);
  REQUIRE(said.finished.size() == 1);
  CHECK(said.finished[0].ordinal == 3);
}

TEST_CASE("the end waits for the outputs of retried jobs too", "[sink][retry]") {
  sink::CoreRecovery recovered;
  recovered.emitted = 2;  // a seq: those of jobs 1 and 2, of which 1 was retried
  recovered.moved = 1;
  SinkUnderTest s({}, recovered);
  s.core.recover_finished(2, false);
  s.core.recover_ended({kOld, Outcome::Failed, false, false});
  s.core.recover_retried(1, 2);
  s.epoch = 2;
  s.given_ventilator(2);
  s.said_of(1, kNew, Outcome::Ok);
  CHECK_FALSE(s.core.has_ended());
  s.on(sink::OutputsEmitted{3});
  s.turn();
  CHECK(s.core.has_ended());
  s.clear();
}
