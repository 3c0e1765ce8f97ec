#include "sink/status_file.h"

#include "output_support.h"

using namespace std::chrono_literals;
using base::Outcome;

namespace {

base::WorkerId worker(unsigned number) {
  base::WorkerId id;
  id.bytes[0] = static_cast<std::uint8_t>(number);
  return id;
}

struct Rig {
  TemporaryFolder folder;
  sink::Core core{{}};
  base::TimePoint now{1h};
  sink::StatusFile file{folder.path(), 3, {{worker(9), {"old", 4, 1, 0, 5'000'000, 1}}}, 5, now};
  sink::Effects effects;

  void hold(unsigned number, const std::vector<base::Attempt>& attempts) {
    wire::State state;
    state.worker = worker(number);
    state.host = "h\xff";
    state.slots = 2;
    for (const auto& attempt : attempts) state.held.push_back({attempt, attempt.n == 1 ? wire::Held::Phase::Running : wire::Held::Phase::Queued});
    file.heard(state, 77);
    core.on(std::move(state), now, effects);
  }
  void pass(base::Duration time) {
    now += time;
    core.on(sink::Turn{true}, now, effects);
    file.tend(core, {}, now);
  }
  bool is_there() const { return std::filesystem::exists(folder / "status.json"); }
  json::Value read() const {
    auto value = json::parse(content(folder / "status.json"));
    REQUIRE(value);
    return *value;
  }
};

}  // namespace

TEST_CASE("nothing is written before a heartbeat is over, and nothing when nothing has changed", "[status]") {
  Rig rig;
  rig.pass(900ms);
  CHECK_FALSE(rig.is_there());
  rig.pass(100ms);
  REQUIRE(rig.is_there());
  REQUIRE(std::filesystem::remove(rig.folder / "status.json"));
  rig.pass(1s);
  CHECK_FALSE(rig.is_there());
  rig.hold(1, {});
  rig.pass(1s);
  CHECK(rig.is_there());
  CHECK_FALSE(std::filesystem::exists(rig.folder / "status.json.new"));
}

TEST_CASE("status.json says who has what, and what each has done", "[status]") {
  Rig rig;
  rig.hold(1, {{7, 1, 1}, {8, 1, 2}});
  rig.file.ended(worker(1), "h", Outcome::Ok, 2'000'000);
  rig.file.ended(worker(1), "h", Outcome::Failed, 1'000'000);
  rig.file.ended(worker(1), "h", Outcome::Lost, 9);
  rig.file.ended(worker(1), "h", Outcome::Returned, 9);
  rig.pass(1s);
  const auto status = rig.read();
  CHECK(status["version"] == 1);
  CHECK(status["sink_epoch"] == 3);
  CHECK(status["total"].is_null());
  CHECK(status["out"] == 2);
  REQUIRE(status["jobs"].size() == 2);
  CHECK(status["jobs"][0]["job"] == 7);
  CHECK(status["jobs"][0]["is_running"] == true);
  CHECK(status["jobs"][1]["is_running"] == false);
  CHECK(status["jobs"][0]["worker"] == worker(1).hex());
  REQUIRE(status["workers"].size() == 2);  // the one heard last first
  const auto& now = status["workers"][0];
  CHECK(now["host"]["base64"] == "aP8=");
  CHECK((now["done"] == 1 && now["failed"] == 1 && now["lost"] == 1 && now["runtime_us"] == 3'000'000 && now["heard_at"] == 77 && now["has_left"] == false));
  CHECK((status["workers"][1]["done"] == 4 && status["workers"][1]["has_left"] == true));
}

TEST_CASE("a worker that said goodbye, or nothing for ten leases, has left", "[status]") {
  Rig rig;
  const auto has_left = [&rig] {
    rig.pass(1s);
    const auto status = rig.read();
    return status["workers"][0]["has_left"].get<bool>();
  };
  rig.core.on(wire::Open{{1, 0, 1}, "feedback", true, {}, false, {}}, rig.now, rig.effects);
  rig.hold(1, {});
  CHECK_FALSE(has_left());
  for (int second = 0; second < 102; ++second) rig.pass(1s);
  CHECK(has_left());
  rig.hold(1, {});
  CHECK_FALSE(has_left());
  rig.core.on(wire::Bye{worker(1), 0}, rig.now, rig.effects);
  CHECK(has_left());
}

TEST_CASE("of very many jobs out the oldest are listed, and the others counted", "[status]") {
  Rig rig;
  rig.hold(1, {{5000, 1, 1}});
  rig.pass(100ms);
  std::vector<base::Attempt> attempts{{5000, 1, 1}};
  for (base::JobId job = 1; job <= 1000; ++job) attempts.push_back({job, 1, job + 1});
  rig.hold(1, attempts);
  rig.pass(1s);
  const auto status = rig.read();
  CHECK(status["out"] == 1001);
  CHECK(status["jobs"].size() == sink::StatusFile::kListedJobs);
  CHECK(status["jobs"][0]["job"] == 5000);
}

TEST_CASE("a status that cannot be written hurts nobody", "[status]") {
  Rig rig;
  std::filesystem::create_directory(rig.folder / "status.json.new");
  rig.pass(1s);
  CHECK_FALSE(rig.is_there());
  std::filesystem::remove(rig.folder / "status.json.new");
  rig.pass(1s);
  CHECK(rig.is_there());
}
