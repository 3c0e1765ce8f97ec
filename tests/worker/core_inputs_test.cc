// Jobs whose input comes in parts: PROTOCOL 4.19.
#include "tests/support/worker_under_test.h"
#include "worker/core.h"

namespace {

using base::Attempt;
using base::Outcome;
using support::WorkerUnderTest;
using worker::DropInput;
using worker::KeepInput;
using worker::OpenSession;
using worker::SendResults;
using worker::Start;
using namespace std::chrono_literals;

const Attempt kFirst{1, 1, 1}, kSecond{2, 1, 2};
constexpr std::uint64_t kMost = 1024;

struct Remote : WorkerUnderTest {
  explicit Remote(std::uint32_t slots = 2) : WorkerUnderTest(config_of(slots)) { given_head(); }
  static worker::CoreConfig config_of(std::uint32_t slots) {
    auto config = support::worker_config(slots);
    config.input_window = kMost;
    return config;
  }
  void gets_job(const Attempt& attempt, std::uint64_t input) {
    auto message = job({attempt});
    message.items[0].input = input;
    on(message);
    turn();
    forget_states();
  }
  wire::Input input(const Attempt& attempt, std::uint64_t offset, const std::string& bytes, const std::string& fault = "") {
    wire::Input message{config.id, core.session(), generation, sent, attempt, offset, bytes, fault};
    sent += bytes.size();
    return message;
  }
  // Not whole with it.
  void gets(const Attempt& attempt, std::uint64_t offset, const std::string& bytes) {
    on(input(attempt, offset, bytes));
    turn();
    forget_states();
    CHECK(take<KeepInput>().bytes == bytes);
  }
  wire::Result returned(const Attempt& attempt) {
    CHECK(take<DropInput>().attempt == attempt);
    turn();
    forget_states();
    const auto results = take<SendResults>();
    REQUIRE(results.attempts == std::vector<Attempt>{attempt});
    return core.unconfirmed(attempt);
  }
  std::uint64_t sent = 0;
};

TEST_CASE("a job is started when its whole input is there, and not before", "[worker]") {
  Remote w;
  w.gets_job(kFirst, 6);
  CHECK(w.none());
  CHECK(w.core.holds(kFirst));
  w.gets(kFirst, 0, "abc");
  CHECK(w.none());
  w.on(w.input(kFirst, 3, "def"));
  w.turn();
  w.forget_states();
  CHECK(w.take<KeepInput>().bytes == "def");
  CHECK(w.take<Start>().attempt == kFirst);
}

TEST_CASE("a job that waits for its input holds up no other", "[worker]") {
  Remote w;
  w.gets_job(kFirst, 6);
  w.gets_job(kSecond, 0);
  CHECK(w.take<Start>().attempt == kSecond);
}

TEST_CASE("STATE says how many bytes of inputs are taken, more as they come, and lists the jobs that wait for theirs", "[worker]") {
  Remote w;
  const std::uint64_t first = w.core.input_limit();
  CHECK(first > 0);
  w.gets_job(kFirst, kMost);
  w.on(w.input(kFirst, 0, std::string(first / 4, 'x')));
  w.turn();
  w.take<KeepInput>();
  const auto state = w.take<wire::State>();
  CHECK(state.input_limit == first + first / 4);
  CHECK(state.held == std::vector<wire::Held>{{kFirst, wire::Held::Phase::Queued}});
}

TEST_CASE("a worker that sees the files takes no inputs", "[worker]") {
  WorkerUnderTest w;
  w.given_head();
  w.now += 1s;
  w.turn();
  CHECK(w.take<wire::State>().input_limit == 0);
  auto message = w.job({kFirst});
  message.items[0].input = 6;  // none will be asked for
  w.on(message);
  w.turn();
  w.forget_states();
  CHECK(w.take<Start>().attempt == kFirst);
}

TEST_CASE("with its generation an input that is not whole ends, and its job is returned", "[worker]") {
  Remote w;
  w.gets_job(kFirst, 6);
  w.gets(kFirst, 0, "abc");
  w.generation = {1, 2};
  w.on(w.ctrl());
  const auto result = w.returned(kFirst);
  CHECK(result.outcome == Outcome::Returned);
  CHECK(result.slot == 0);
  w.sent = 3;
  w.on(w.input(kFirst, 3, "def"));  // it says nothing any more
  w.turn();
  w.forget_states();
  CHECK(w.none());
}

TEST_CASE("one that is whole stays through a new generation", "[worker]") {
  Remote w(1);
  w.gets_job(kSecond, 0);
  w.take<Start>();
  w.on(worker::Slots{2});
  w.turn();
  w.forget_states();
  w.gets_job(kFirst, 3);
  w.on(worker::Slots{1});
  w.on(w.input(kFirst, 0, "abc"));
  w.take<KeepInput>();
  w.generation = {1, 2};
  w.on(w.ctrl());
  w.turn();
  w.forget_states();
  CHECK(w.none());
  w.on(w.ended(kSecond));
  w.turn();
  w.forget_states();
  CHECK(w.take<Start>().attempt == kFirst);
  w.take<SendResults>();
}

TEST_CASE("with its session an input that is not whole ends as well", "[worker]") {
  Remote w;
  w.gets_job(kFirst, 6);
  w.gets(kFirst, 0, "abc");
  while (!w.is<OpenSession>() && !w.is<DropInput>()) {
    w.now += 1s;
    w.turn();
    w.forget_states();
  }
  CHECK(w.take<DropInput>().attempt == kFirst);
  CHECK(w.take<OpenSession>().session == 2);
  w.on(worker::SessionOpened{"w2", ""});
  w.turn();
  CHECK(w.take<SendResults>().attempts == std::vector<Attempt>{kFirst});
  w.forget_states();
}

TEST_CASE("a fault is kept with the input, and the job is started to fail of it", "[worker]") {
  Remote w;
  w.gets_job(kFirst, 6);
  w.gets(kFirst, 0, "abc");
  w.sent = 6;
  w.on(w.input(kFirst, 3, "", "its input is gone"));
  w.turn();
  w.forget_states();
  CHECK(w.take<KeepInput>().fault == "its input is gone");
  CHECK(w.take<Start>().attempt == kFirst);
}

TEST_CASE("a gap, and more than was announced, are faults; what comes again is not", "[worker]") {
  Remote w;
  w.gets_job(kFirst, 6);
  w.gets_job(kSecond, 6);
  w.gets(kFirst, 0, "abc");
  const std::uint64_t ignored = w.core.ignored();
  w.on(w.input(kFirst, 0, "abc"));
  CHECK(w.none());
  CHECK(w.core.ignored() == ignored + 1);
  w.on(w.input(kFirst, 4, "e"));
  CHECK_FALSE(w.take<KeepInput>().fault.empty());
  w.on(w.input(kSecond, 0, "abcdefg"));
  CHECK_FALSE(w.take<KeepInput>().fault.empty());
  w.turn();
  w.forget_states();
  CHECK(w.take<Start>().attempt == kFirst);
  CHECK(w.take<Start>().attempt == kSecond);
}

TEST_CASE("what is beyond the limit is ignored, and what is for a job given back counts as received", "[worker]") {
  Remote w;
  w.gets_job(kFirst, 2 * kMost);
  const std::uint64_t limit = w.core.input_limit();
  w.on(w.input(kFirst, 0, std::string(limit + 1, 'x')));
  CHECK(w.none());
  CHECK(w.core.input_limit() == limit);
  w.sent = UINT64_MAX;
  w.on(w.input(kFirst, 0, "xx"));
  CHECK(w.core.input_limit() == limit);
  w.sent = 0;
  w.on(w.input(kSecond, 0, std::string(limit, 'x')));
  CHECK(w.none());
  CHECK(w.core.input_limit() >= 2 * limit);
  w.turn();
  w.forget_states();
}

TEST_CASE("a worker that stops, or whose run stops, returns what waits for its input", "[worker]") {
  const bool is_halt = GENERATE(false, true);
  Remote w;
  w.gets_job(kFirst, 6);
  w.gets(kFirst, 0, "abc");
  auto halting = w.ctrl();
  halting.halt = wire::HaltRule::When::Soon;
  if (is_halt) w.on(halting);
  else w.on(worker::Stop{});
  CHECK(w.returned(kFirst).outcome == Outcome::Returned);
}

TEST_CASE("jobs that wait for their inputs count as held: no more is asked for than there is room for", "[worker]") {
  Remote w(2);
  CHECK(w.core.limit() == 2);
  w.gets_job(kFirst, 6);
  w.gets_job(kSecond, 6);
  CHECK(w.core.limit() == 2);
}

// ---- the window of bytes

TEST_CASE("the window of inputs grows while a window of them arrives quickly, and shrinks when it takes long", "[worker]") {
  worker::InputWindow window(1 << 20);
  base::TimePoint now{1h};
  const auto arrives = [&](base::Duration after) {
    now += after;
    window.note_received(window.limit(), now);
    return window.limit() - window.received();
  };
  const std::uint64_t first = arrives(1ms);
  for (int i = 0; i < 20; ++i) arrives(1ms);
  CHECK(first < 1 << 20);
  CHECK(arrives(1ms) == 1 << 20);
  for (int i = 0; i < 20; ++i) arrives(3s);
  CHECK(arrives(3s) == 1 << 13);
  CHECK(arrives(500ms) == 1 << 13);
}

TEST_CASE("the limit of inputs never falls in a generation, whatever comes", "[worker]") {
  worker::InputWindow window(1000);
  base::TimePoint now{1h};
  std::uint64_t before = window.limit();
  for (const std::uint64_t position : {10u, 5u, 100u, 60u, 200u, 200u}) {
    window.note_received(position, now += 2s);
    CHECK(window.limit() >= before);
    CHECK(window.limit() > window.received());
    before = window.limit();
  }
}

TEST_CASE("a connection that broke in the midst of inputs is followed by a smaller window: it may have broken for what was on its way", "[worker]") {
  worker::InputWindow window(1 << 20);
  const std::uint64_t before = window.limit();
  window.note_received(10, base::TimePoint{1h});
  window.restart(false);
  CHECK(window.received() == 0);
  CHECK(window.limit() == before);
  window.restart(true);
  CHECK(window.limit() == before / 2);
  for (int i = 0; i < 20; ++i) window.restart(true);
  CHECK(window.limit() == 1 << 13);
}

TEST_CASE("one whose input finds no room goes back, and no more is asked for before a wait that grows", "[worker]") {
  Remote w(1);
  const auto finds_no_room = [&](const Attempt& attempt) {
    w.gets_job(attempt, 3);
    w.on(w.input(attempt, 0, "abc"));
    w.turn();
    w.forget_states();
    w.take<KeepInput>();
    REQUIRE(w.take<Start>().attempt == attempt);
    worker::Ended ended = w.ended(attempt, Outcome::Returned);
    ended.lacks_room = true;
    w.on(ended);
    w.turn();
    w.take<SendResults>();
    w.on(w.confirming({attempt}));
    w.forget_states();
  };
  const auto waits = [&] {
    const std::uint64_t limit = w.core.limit();
    const base::TimePoint since = w.now;
    while (w.core.limit() == limit) {
      w.now = std::min(w.core.next_deadline(), w.now + 1ms);
      w.turn();
    }
    w.forget_states();
    return w.now - since;
  };
  finds_no_room(kFirst);
  CHECK(waits() == worker::Core::kRoomPatience);
  finds_no_room(kSecond);
  const base::Duration second = waits();
  CHECK(second > worker::Core::kRoomPatience);
  CHECK(second <= 2 * worker::Core::kRoomPatience);

  const Attempt third{3, 1, 3}, fourth{4, 1, 4};
  w.given_running(third);
  w.on(w.ended(third));
  w.turn();
  w.take<SendResults>();
  w.on(w.confirming({third}));
  w.forget_states();
  finds_no_room(fourth);
  CHECK(waits() == worker::Core::kRoomPatience);
}

}  // namespace
