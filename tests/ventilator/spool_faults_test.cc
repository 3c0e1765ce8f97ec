// Each call that changes the disk fails in turn under everything that a Spool writes.
#include <catch2/catch.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/io/support.h"
#include "tests/support/fault_sweep.h"
#include "ventilator/spool.h"

using io::Durability;
using ventilator::Spool;

namespace {

constexpr base::JobId kBefore = 10;  // jobs that are there already

std::vector<std::string> specs(base::JobId first, std::size_t count) {
  std::vector<std::string> specs;
  for (std::size_t i = 0; i < count; ++i) specs.push_back("spec " + std::to_string(first + i) + std::string(1000, '.'));
  return specs;
}

std::optional<Spool> opened(const std::string& directory, Durability durability = Durability::Process) {
  auto spool = Spool::open(directory, durability, false);
  if (!spool) FAIL(spool.error().message);
  return std::move(*spool);
}

// What is there to be lost or doubled.
std::string state(Spool& spool) {
  const Spool::Summary& now = spool.summary();
  std::string text = "jobs " + std::to_string(now.accepted) + " horizon " + std::to_string(now.horizon);
  for (base::JobId job = 1; job <= now.accepted; ++job)
    if (const auto spec = spool.spec(job); !spec || *spec != specs(job, 1)[0]) text += " without " + std::to_string(job);
  text += now.end_of_input ? now.cut ? " cut: " + now.cut_reason : " end" : "";
  if (now.ended) text += " ended " + std::to_string(*now.ended);
  return text + " template " + now.template_text.value_or("none") + " input " + now.input_text;
}

std::string state_in(const std::string& directory) {
  auto spool = opened(directory);
  return state(*spool);
}

struct Change {
  const char* name;
  std::function<base::Status(Spool&)> make;
};

}  // namespace

TEST_CASE("whatever fails while a spool is changed, it has the change wholly or not at all, and takes it when it is made again", "[spool]") {
  const std::vector<Change> changes = {
      {"append", [](Spool& spool) { return spool.append(specs(kBefore + 1, 20)); }},
      {"raise_horizon", [](Spool& spool) { return spool.raise_horizon(7); }},
      {"commit_end_of_input", [](Spool& spool) { return spool.commit_end_of_input(true, "no more"); }},
      {"commit_ended", [](Spool& spool) { return spool.commit_ended(3); }},
      {"describe_run", [](Spool& spool) { return spool.describe_run("template", "input", "origin"); }},
  };
  const auto durability = GENERATE(Durability::Process, Durability::Power);
  for (const Change& change : changes) {
    INFO(change.name);
    test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
      test::TemporaryDirectory directory, crashed;
      auto spool = opened(directory.path(), durability);
      REQUIRE(spool->append(specs(1, kBefore)));
      const std::string before = state(*spool);
      disk.arm(fault);
      const auto done = change.make(*spool);
      disk.heal();
      const std::string now = state(*spool);
      CHECK((now == before) == !done);
      test::copy_as_after_a_crash(directory / "jobs.db", crashed / "jobs.db");
      if (!done) {
        test::check_kind(done.error(), fault, disk);
        REQUIRE(change.make(*spool));
      }
      const std::string after = state(*spool);
      CHECK(after != before);
      spool.reset();
      CHECK(state_in(directory.path()) == after);
      // What could not be synced may be there all the same, and then is whole.
      const std::string left = state_in(crashed.path());
      CHECK((left == now || (disk.first() == "sync" && left == after)));
    });
  }
}

TEST_CASE("whatever fails while a spool is opened, the next start finds its jobs and a higher epoch", "[spool]") {
  const bool is_new = GENERATE(true, false);
  test::sweep([&](test::FaultVfs& disk, const test::FaultVfs::Fault& fault) {
    test::TemporaryDirectory directory;
    base::RunId run;
    if (!is_new) {
      auto spool = opened(directory.path());
      REQUIRE(spool->append(specs(1, kBefore)));
      run = spool->summary().run;
    }
    disk.arm(fault);
    std::uint64_t epoch = 0;
    {
      const auto spool = Spool::open(directory.path(), Durability::Power, false);
      if (!spool) test::check_kind(spool.error(), fault, disk);
      else epoch = spool->summary().epoch;
    }
    disk.heal();
    auto spool = opened(directory.path());
    CHECK(spool->summary().epoch > epoch);
    CHECK(spool->summary().accepted == (is_new ? 0 : kBefore));
    if (!is_new) CHECK(spool->summary().run == run);
    REQUIRE(spool->append(specs(spool->summary().accepted + 1, 1)));
    CHECK(state(*spool).find("without") == std::string::npos);
  });
}
