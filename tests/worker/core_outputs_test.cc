#include "tests/support/worker_under_test.h"
#include "wire/limits.h"

namespace {

using namespace std::chrono_literals;

using base::Attempt;
using base::Outcome;
using support::WorkerUnderTest;
using wire::OutputStream;
using worker::Grant;
using worker::OutputRead;
using worker::SendOutput;
using worker::SendResults;

constexpr Attempt kFirst{1, 1, 1};

wire::Free free_of(WorkerUnderTest& w, OutputStream stream, std::uint64_t length) {
  return {w.config.id, w.core.session(), w.generation, {{kFirst, stream, length}}};
}

TEST_CASE("what is read of a large output goes out at once, and its result behind it says only how long it is", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(OutputRead{kFirst, OutputStream::Out, "abc"});
  w.on(OutputRead{kFirst, OutputStream::Err, "e"});
  w.turn();
  auto sent = w.take<SendOutput>();
  CHECK(sent.offset == 0);
  CHECK(w.core.outputs().bytes(kFirst, OutputStream::Out, 0) == "abc");
  CHECK(w.take<SendOutput>().stream == OutputStream::Err);
  w.on(OutputRead{kFirst, OutputStream::Out, "de"});
  auto ended = w.ended(kFirst);
  ended.result.err = "";
  ended.result.out_bytes = 5;
  w.on(ended);
  w.turn();
  sent = w.take<SendOutput>();
  CHECK(sent.offset == 3);
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kFirst});
  CHECK(w.core.unconfirmed(kFirst).out.empty());
  CHECK(w.core.unconfirmed(kFirst).out_bytes == 5);
  CHECK(w.core.unconfirmed(kFirst).err_bytes == 1);
}

TEST_CASE("small parts of an output that have not gone out yet go out as one", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(OutputRead{kFirst, OutputStream::Out, "ab"});
  w.on(OutputRead{kFirst, OutputStream::Out, "c"});
  w.turn();
  CHECK(w.take<SendOutput>().offset == 0);
  CHECK(w.core.outputs().bytes(kFirst, OutputStream::Out, 0) == "abc");
  w.on(OutputRead{kFirst, OutputStream::Out, "d"});
  w.turn();
  CHECK(w.take<SendOutput>().offset == 3);
  CHECK(w.core.outputs().bytes(kFirst, OutputStream::Out, 3) == "d");
}

TEST_CASE("what is stored is freed and lets the output be read further, once for each news", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(OutputRead{kFirst, OutputStream::Out, std::string(1000, 'x')});
  w.turn();
  w.take<SendOutput>();
  CHECK(w.core.outputs().held_bytes() == 1000);
  w.on(free_of(w, OutputStream::Out, 1000));
  CHECK(w.take<Grant>().length == 1000 + w.config.output_window);
  CHECK(w.core.outputs().held_bytes() == 0);
  w.on(free_of(w, OutputStream::Out, 1000));
  w.on(free_of(w, OutputStream::Out, 400));
  w.on(free_of(w, OutputStream::Err, 400));
  CHECK(w.none());
  w.on(free_of(w, OutputStream::Out, 1u << 30));  // more than there ever was
  CHECK(w.none());
}

TEST_CASE("an output that is not stored when a later STATE is echoed is sent again, and its result too", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(OutputRead{kFirst, OutputStream::Out, "abc"});
  w.turn();
  w.take<SendOutput>();
  w.on(OutputRead{kFirst, OutputStream::Out, "def"});
  auto ended = w.ended(kFirst);
  ended.result.out_bytes = 6;
  w.on(ended);
  w.turn();
  w.take<SendOutput>();
  w.take<SendResults>();
  w.forget_states();
  w.on(free_of(w, OutputStream::Out, 3));  // the second part was lost
  w.on(w.ctrl());  // echoes a STATE of before
  w.turn();
  CHECK(w.none());
  w.pass(1s, false);
  w.forget_states();
  w.on(w.ctrl());
  w.turn();
  CHECK(w.take<SendOutput>().offset == 3);
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kFirst});
}

TEST_CASE("a confirm frees the outputs of its attempt, the end of the run all of them", "[worker]") {
  WorkerUnderTest w(2);
  w.given_head();
  w.given_running(kFirst);
  w.given_running({2, 1, 2});
  for (const base::JobId job : {1, 2}) w.on(OutputRead{{job, 1, job}, OutputStream::Out, "abc"});
  w.on(w.ended(kFirst));
  w.turn();
  w.clear();
  w.on(w.confirming({kFirst}));
  CHECK(w.core.outputs().held_bytes() == 3);
  auto complete = w.ctrl();
  complete.complete = true;
  w.on(complete);
  CHECK(w.core.outputs().held_bytes() == 0);
  CHECK(w.take<worker::Kill>().attempt == Attempt{2, 1, 2});
  const auto ignored = w.core.ignored();
  w.on(OutputRead{{2, 1, 2}, OutputStream::Out, "more"});
  CHECK(w.core.ignored() == ignored + 1);
}

TEST_CASE("nobody wants the outputs of an attempt that is to run again", "[worker]") {
  const Outcome outcome = GENERATE(Outcome::Lost, Outcome::Cancelled, Outcome::Returned);
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  w.on(OutputRead{kFirst, OutputStream::Out, "abc"});
  auto ended = w.ended(kFirst, outcome);
  ended.result.out_bytes = 3;
  w.on(ended);
  CHECK(w.core.outputs().held_bytes() == 0);
  w.turn();
  w.take<SendResults>();
  CHECK(w.core.unconfirmed(kFirst).out_bytes == 0);
}

TEST_CASE("a result with a large output in it, as a call's, is cut into parts", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  auto ended = w.ended(kFirst);
  const std::size_t size = w.config.output_window + 10;
  ended.result.out.assign(size, 'x');
  w.on(ended);
  w.turn();
  for (std::size_t offset = 0; offset < w.config.output_window; offset += wire::kMaxOutput) CHECK(w.take<SendOutput>().offset == offset);
  w.forget_states();
  CHECK(w.none());  // no more than a window goes ahead of what is stored, and the result waits
  w.on(free_of(w, OutputStream::Out, wire::kMaxOutput));
  w.turn();
  CHECK(w.take<SendOutput>().offset == w.config.output_window);
  w.take<SendResults>();
  CHECK(w.core.unconfirmed(kFirst).out.empty());
  CHECK(w.core.unconfirmed(kFirst).out_bytes == size);
}

TEST_CASE("with as much output held as may be nothing more is started or asked for, until it is stored", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.given_running(kFirst);
  const std::size_t bound = wire::kMaxUnconfirmedBytes + 2 * w.config.output_window;
  for (std::size_t held = 0; held < bound; held += wire::kMaxOutput) w.on(OutputRead{kFirst, OutputStream::Out, std::string(wire::kMaxOutput, 'x')});
  w.on(w.ended(kFirst));
  const std::uint64_t limit = w.core.limit();
  w.turn();
  w.clear();
  CHECK(w.core.limit() == limit);
  w.on(free_of(w, OutputStream::Out, wire::kMaxOutput));
  w.turn();
  CHECK(w.core.limit() > limit);
  w.clear();
}

}  // namespace
