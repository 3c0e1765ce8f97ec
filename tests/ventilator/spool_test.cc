#include "ventilator/done_jobs.h"
#include "ventilator/spool.h"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/job.h"
#include "io/unique_fd.h"
#include "wire/codec.h"

namespace ventilator {

// What a test may do behind the spool's back.
struct SpoolTestAccess {
  static base::Status execute(Spool& spool, const char* sql) { return spool.database_.execute(sql); }
  static std::size_t memory(const Spool& spool) {
    std::size_t fresh = 0;
    for (const auto& block : spool.fresh_) fresh += block.memory();
    CHECK(fresh == spool.fresh_memory_);
    return fresh + spool.ahead_.memory();
  }
};

}  // namespace ventilator

using base::Error;
using base::JobId;
using io::Durability;
using ventilator::Spool;
using ventilator::SpoolTestAccess;

namespace {

namespace fs = std::filesystem;
using Specs = std::vector<std::string>;

class Directory {
 public:
  Directory() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
  ~Directory() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string database() const { return path_ + "/jobs.db"; }

 private:
  std::string path_ = "/tmp/pushmill-spool-XXXXXX";
};

Spool opened(const Directory& directory, std::size_t cache_bytes = Spool::kCacheBytes) {
  auto spool = Spool::open(directory.path(), Durability::Process, false, cache_bytes);
  if (!spool) FAIL(spool.error().message);
  return std::move(*spool);
}

std::string command(const std::string& line, const std::string& directory = "/", base::Duration limit = {}) {
  base::Command work;
  work.line = line;
  work.directory = directory;
  std::string bytes;
  wire::encode_spec({work, limit}, bytes);
  return bytes;
}

Specs commands(JobId first, std::size_t count) {
  Specs specs;
  for (std::size_t i = 0; i < count; ++i) specs.push_back(command("echo " + std::to_string(first + i)));
  return specs;
}

void check_specs(Spool& spool, JobId first, JobId last) {
  std::size_t wrong = 0;
  for (JobId job = first; job <= last; ++job) {
    const auto spec = spool.spec(job);
    if (!spec) FAIL(spec.error().message);
    wrong += *spec != command("echo " + std::to_string(job));
  }
  CHECK(wrong == 0);
}

template <typename T>
void check_error(const base::Result<T>& result, Error::Kind kind, const std::string& message) {
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == kind);
  CHECK(result.error().message.find(message) != std::string::npos);
  if (result.error().message.find(message) == std::string::npos) CHECK(result.error().message == message);
}

}  // namespace

TEST_CASE("a new spool begins a run of its own", "[spool]") {
  const Directory one, other;
  const Spool spool = opened(one);
  CHECK_FALSE(spool.summary().run.is_zero());
  CHECK(spool.summary().run != opened(other).summary().run);
  CHECK(spool.summary().epoch == 1);
  CHECK(spool.summary().horizon == 0);
  CHECK(spool.summary().accepted == 0);
  CHECK_FALSE(spool.summary().end_of_input);
  CHECK_FALSE(spool.summary().ended);
  CHECK_FALSE(spool.summary().template_text);
}

TEST_CASE("a spool opened again keeps run, jobs and horizon, in a new epoch", "[spool]") {
  const Directory directory;
  base::RunId run;
  {
    Spool spool = opened(directory);
    run = spool.summary().run;
    REQUIRE(spool.describe_run("echo {}", "standard input"));
    REQUIRE(spool.append(commands(1, 700)));
    REQUIRE(spool.append(commands(701, 1)));
    REQUIRE(spool.raise_horizon(512));
  }
  Spool spool = opened(directory);
  CHECK(spool.summary().run == run);
  CHECK(spool.summary().epoch == 2);
  CHECK(spool.summary().accepted == 701);
  CHECK(spool.summary().horizon == 512);
  CHECK(spool.summary().template_text == "echo {}");
  CHECK(spool.summary().input_text == "standard input");
  CHECK_FALSE(spool.summary().end_of_input);
  CHECK_FALSE(spool.summary().ended);
  check_specs(spool, 1, 701);
  REQUIRE(spool.append(commands(702, 300)));
  check_specs(spool, 1, 1001);
}

TEST_CASE("what was committed is there after kill -9 in the middle of an append", "[spool]") {
  const Directory directory;
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto spool = Spool::open(directory.path(), Durability::Process, false);
    while (spool && spool->append(commands(spool->summary().accepted + 1, 16))) {
      const JobId accepted = spool->summary().accepted;
      if (::write(fds[1], &accepted, sizeof accepted) != sizeof accepted) break;
    }
    ::_exit(1);
  }
  const io::UniqueFd told(fds[0]), writer(fds[1]);
  JobId accepted = 0;
  for (int i = 0; i < 200; ++i) REQUIRE(::read(told.get(), &accepted, sizeof accepted) == sizeof accepted);
  REQUIRE(::kill(child, SIGKILL) == 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);

  Spool spool = opened(directory);
  CHECK(accepted == 3200);
  CHECK(spool.summary().epoch == 2);
  CHECK(spool.summary().accepted >= accepted);
  CHECK(spool.summary().accepted % 16 == 0);
  check_specs(spool, 1, spool.summary().accepted);
}

TEST_CASE("a copy of the files of a running ventilator recovers all that was committed", "[spool]") {
  const Directory directory, copy;
  Spool spool = opened(directory);
  REQUIRE(spool.append(commands(1, 3000)));
  REQUIRE(spool.raise_horizon(64));
  REQUIRE(spool.commit_end_of_input(false, ""));
  REQUIRE(SpoolTestAccess::execute(spool, "BEGIN; INSERT INTO jobs VALUES(3001, x'00', 0)"));  // never committed
  for (const auto& file : fs::directory_iterator(directory.path()))
    if (file.path().extension() != ".db-shm") fs::copy(file.path(), copy.path());

  Spool recovered = opened(copy);
  CHECK(recovered.summary().run == spool.summary().run);
  CHECK(recovered.summary().epoch == 2);
  CHECK(recovered.summary().accepted == 3000);
  CHECK(recovered.summary().horizon == 64);
  CHECK(recovered.summary().end_of_input);
  check_specs(recovered, 1, 3000);
}

TEST_CASE("the horizon only rises", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.raise_horizon(100));
    REQUIRE(spool.raise_horizon(50));
    CHECK(spool.summary().horizon == 100);
  }
  CHECK(opened(directory).summary().horizon == 100);
}

TEST_CASE("the end of the input and of the run are kept", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.append(commands(1, 3)));
    REQUIRE(spool.commit_end_of_input(false, ""));
    REQUIRE(spool.commit_ended(7));
    CHECK(spool.summary().ended == 7);
  }
  const Spool spool = opened(directory);
  CHECK(spool.summary().end_of_input);
  CHECK_FALSE(spool.summary().cut);
  CHECK(spool.summary().cut_reason.empty());
  CHECK(spool.summary().ended == 7);
}

TEST_CASE("a cut input may go on and end well", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.append(commands(1, 3)));
    REQUIRE(spool.commit_end_of_input(true, "cannot read: Input/output error"));
  }
  {
    Spool spool = opened(directory);
    CHECK(spool.summary().end_of_input);
    CHECK(spool.summary().cut);
    CHECK(spool.summary().cut_reason == "cannot read: Input/output error");
    REQUIRE(spool.append(commands(4, 2)));
    REQUIRE(spool.commit_end_of_input(false, ""));
  }
  const Spool spool = opened(directory);
  CHECK(spool.summary().accepted == 5);
  CHECK(spool.summary().end_of_input);
  CHECK_FALSE(spool.summary().cut);
  CHECK(spool.summary().cut_reason.empty());
}

TEST_CASE("what follows a cut takes back that the input and the run have ended", "[spool]") {
  const bool has_more = GENERATE(true, false);
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.append(commands(1, 3)));
    REQUIRE(spool.commit_end_of_input(true, "cannot read"));
    REQUIRE(spool.commit_ended(104));
  }
  {
    Spool spool = opened(directory);
    CHECK(spool.summary().ended == 104);
    if (has_more) REQUIRE(spool.append(commands(4, 1)));
    else REQUIRE(spool.commit_end_of_input(false, ""));
    CHECK_FALSE(spool.summary().ended);
    CHECK_FALSE(spool.summary().cut);
  }
  const Spool spool = opened(directory);
  CHECK_FALSE(spool.summary().ended);
  CHECK_FALSE(spool.summary().cut);
  CHECK(spool.summary().end_of_input == !has_more);
}

TEST_CASE("peek shows a run, live or not, and changes nothing", "[spool]") {
  const Directory directory;
  check_error(Spool::peek(directory.path()), Error::Kind::NotFound, "jobs.db");
  CHECK(fs::is_empty(directory.path()));
  base::RunId run;
  {
    Spool spool = opened(directory);
    run = spool.summary().run;
    REQUIRE(spool.describe_run("echo {}", "arguments"));
    REQUIRE(spool.append(commands(1, 3)));
    const auto live = Spool::peek(directory.path());
    REQUIRE(live);
    CHECK(live->run == run);
    CHECK(live->accepted == 3);
    CHECK_FALSE(live->ended);
    REQUIRE(spool.commit_ended(0));
  }
  const auto ended = Spool::peek(directory.path());
  REQUIRE(ended);
  CHECK(ended->run == run);
  CHECK(ended->epoch == 1);
  CHECK(ended->template_text == "echo {}");
  CHECK(ended->input_text == "arguments");
  CHECK(ended->ended == 0);
}

TEST_CASE("a file whose run id was never committed holds no run, and gets one", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(SpoolTestAccess::execute(spool, "DELETE FROM meta"));
  }
  check_error(Spool::peek(directory.path()), Error::Kind::NotFound, "no run was begun in it");
  const Spool spool = opened(directory);
  CHECK_FALSE(spool.summary().run.is_zero());
  CHECK(spool.summary().epoch == 1);
}

TEST_CASE("a spool of a newer schema is refused", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(SpoolTestAccess::execute(spool, "PRAGMA user_version=2"));
  }
  check_error(Spool::open(directory.path(), Durability::Process, false), Error::Kind::Conflict, "newer");
  check_error(Spool::peek(directory.path()), Error::Kind::Conflict, "newer");
}

TEST_CASE("a file that is no database is corrupt", "[spool]") {
  const Directory directory;
  {
    std::FILE* file = std::fopen(directory.database().c_str(), "w");
    std::fputs("what somebody put here, long enough to be taken for the header of a page of a database, which it is not at all", file);
    std::fclose(file);
  }
  check_error(Spool::open(directory.path(), Durability::Process, false), Error::Kind::Corrupt, "jobs.db");
}

TEST_CASE("specs are stored as they are, with their FNV-1a hash", "[spool]") {
  CHECK(ventilator::content_hash("") == 0xcbf29ce484222325u);
  CHECK(ventilator::content_hash("a") == 0xaf63dc4c8601ec8cu);
  CHECK(ventilator::content_hash("foobar") == 0x85944171f73967e8u);
  const Directory directory;
  const Specs specs{"", std::string("\0\xff\n", 3), std::string(3u << 20, 'x'), command("echo 4")};
  {
    Spool spool = opened(directory);
    REQUIRE(spool.append(specs));
  }
  Spool spool = opened(directory);
  for (JobId job = 1; job <= specs.size(); ++job) {
    const auto spec = spool.spec(job);
    REQUIRE(spec);
    CHECK(*spec == specs[job - 1]);
    CHECK(*spool.hash(job) == ventilator::content_hash(specs[job - 1]));
  }
  CHECK(wire::describe(*spool.decoded(4)) == "echo 4");
}

TEST_CASE("a job that was not accepted is not found", "[spool]") {
  const Directory directory;
  Spool spool = opened(directory);
  REQUIRE(spool.append(commands(1, 3)));
  check_error(spool.spec(0), Error::Kind::NotFound, "no job 0");
  check_error(spool.spec(4), Error::Kind::NotFound, "no job 4");
}

TEST_CASE("fresh jobs are dispatched without reading the file", "[spool]") {
  const Directory directory;
  Spool spool = opened(directory);
  for (JobId first = 1; first <= 5000; first += 500) REQUIRE(spool.append(commands(first, 500)));
  REQUIRE(SpoolTestAccess::execute(spool, "DELETE FROM jobs"));
  check_specs(spool, 1, 5000);
}

TEST_CASE("memory stays bounded however many jobs are queued and whatever their size", "[spool]") {
  const Directory directory;
  constexpr std::size_t kCache = 64u << 10;
  Spool spool = opened(directory, kCache);
  std::size_t most = 0;
  for (JobId first = 1; first <= 20'000; first += 500) {
    REQUIRE(spool.append(commands(first, 500)));
    most = std::max(most, SpoolTestAccess::memory(spool));
  }
  for (JobId job = 1; job <= 20'000; job += 1) {
    if (*spool.spec(job) != command("echo " + std::to_string(job))) FAIL("job " << job);
    most = std::max(most, SpoolTestAccess::memory(spool));
  }
  CHECK(most < kCache + (128u << 10));

  const Specs large(40, std::string(1u << 20, 'x'));
  REQUIRE(spool.append(large));
  for (JobId job = 20'001; job <= 20'040; ++job) {
    REQUIRE(*spool.spec(job) == large[0]);
    CHECK(SpoolTestAccess::memory(spool) < kCache + (3u << 20));
  }
}

TEST_CASE("old and new jobs may be asked for in any order", "[spool]") {
  const Directory directory;
  Spool spool = opened(directory, 16u << 10);
  REQUIRE(spool.append(commands(1, 3000)));
  REQUIRE(spool.append(commands(3001, 100)));
  for (const JobId job : {JobId(3100), JobId(1), JobId(2999), JobId(256), JobId(257), JobId(3001), JobId(3000), JobId(2)}) check_specs(spool, job, job);
}

TEST_CASE("a full disk keeps nothing of a batch, and the same batch goes in once there is room", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.append(commands(1, 100)));
    REQUIRE(SpoolTestAccess::execute(spool, "PRAGMA max_page_count=12"));
    const Specs batch = commands(101, 5000);
    for (int i = 0; i < 3; ++i) {
      const auto full = spool.append(batch);
      REQUIRE_FALSE(full);
      CHECK(full.error().kind == Error::Kind::Full);
      CHECK(spool.summary().accepted == 100);
      CHECK_FALSE(spool.spec(101));
      CHECK(Spool::peek(directory.path())->accepted == 100);
    }
    check_specs(spool, 1, 100);
    REQUIRE(spool.raise_horizon(50));
    REQUIRE(SpoolTestAccess::execute(spool, "PRAGMA max_page_count=100000"));
    REQUIRE(spool.append(batch));
    check_specs(spool, 1, 5100);
  }
  Spool spool = opened(directory);
  CHECK(spool.summary().accepted == 5100);
  check_specs(spool, 1, 5100);
}

TEST_CASE("a batch that fails in its middle keeps nothing, and does not stand in the way of the next", "[spool]") {
  const Directory directory;
  Spool spool = opened(directory);
  REQUIRE(SpoolTestAccess::execute(spool, "INSERT INTO jobs VALUES(3, x'00', 0)"));  // unlike a full disk, this leaves the transaction open
  const auto failed = spool.append(commands(1, 5));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == Error::Kind::Io);
  CHECK(spool.summary().accepted == 0);
  REQUIRE(SpoolTestAccess::execute(spool, "DELETE FROM jobs WHERE job = 3"));
  REQUIRE(spool.append(commands(1, 5)));
  CHECK(Spool::peek(directory.path())->accepted == 5);
}

TEST_CASE("a damaged job is found before it is dispatched", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.append(commands(1, 10)));
    REQUIRE(SpoolTestAccess::execute(spool, "UPDATE jobs SET spec = x'00' WHERE job = 4; DELETE FROM jobs WHERE job = 7"));
  }
  Spool spool = opened(directory);
  check_specs(spool, 1, 3);
  check_error(spool.spec(4), Error::Kind::Corrupt, "job 4 is missing or not as it was accepted");
  check_specs(spool, 5, 6);
  check_error(spool.spec(7), Error::Kind::Corrupt, "job 7 is missing or not as it was accepted");
  check_specs(spool, 8, 10);
}

TEST_CASE("a run is described once, and refuses another template", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.describe_run("echo {}", "file /a"));
    REQUIRE(spool.describe_run("echo {}", "file /a"));
  }
  Spool spool = opened(directory);
  check_error(spool.describe_run("rm {}", "file /a"), Error::Kind::Conflict, "the template of this run is now `rm {}`, was `echo {}`");
  CHECK(spool.summary().template_text == "echo {}");
  REQUIRE(spool.describe_run("echo {}", "file /b"));  // its records decide
  CHECK(Spool::peek(directory.path())->input_text == "file /b");
}

TEST_CASE("an input that is offered again must have the records that were accepted", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.append(Specs{command("foo"), command("bar"), command("long " + std::string(500, 'x') + " old")}));
  }
  Spool spool = opened(directory);
  CHECK(spool.matches(1, command("foo")));
  CHECK(spool.matches(2, command("bar")));
  CHECK(spool.matches(4, command("new")));
  check_error(spool.matches(2, command("foo\nbaz")), Error::Kind::Conflict, "record 2 is now `foo\\nbaz`, was `bar`");
  check_error(spool.matches(1, command("foo", "/tmp")), Error::Kind::Conflict, "record 1 runs now in directory `/tmp`, ran in `/`");
  check_error(spool.matches(1, command("foo", "/", base::Duration(5))), Error::Kind::Conflict, "record 1 has now the time limit 5 us, had none");

  const auto far = spool.matches(3, command("long " + std::string(500, 'x') + " new"));
  check_error(far, Error::Kind::Conflict, "xx new`, was `...xx");  // shown where they differ
  CHECK(far.error().message.size() < 200);

  CHECK(spool.matches_end(3));
  CHECK(spool.matches_end(4));
  check_error(spool.matches_end(2), Error::Kind::Conflict, "the input ends now behind record 2, this run has accepted 3");

  REQUIRE(spool.commit_end_of_input(true, "cut"));
  CHECK(spool.matches(4, command("new")));
  REQUIRE(spool.commit_end_of_input(false, ""));
  check_error(spool.matches(4, command("new")), Error::Kind::Conflict, "record 4 is new: the input of this run ended behind record 3");
}

TEST_CASE("a run that keeps its dispatches has the newest of each job when it is opened again", "[spool]") {
  const Directory directory;
  const base::WorkerId first{{1}}, second{{2}};
  {
    Spool spool = opened(directory);
    REQUIRE(spool.keep_dispatches(true));
    REQUIRE(spool.append(commands(1, 5)));
    REQUIRE(spool.raise_horizon(5));
    REQUIRE(spool.commit_dispatches(std::vector<ventilator::Dispatch>{{{1, 1, 1}, first}, {{2, 1, 2}, second}}));
    REQUIRE(spool.commit_dispatches(std::vector<ventilator::Dispatch>{{{1, 1, 3}, second}}));
  }
  Spool spool = opened(directory);
  REQUIRE(spool.keep_dispatches(true));
  const auto found = spool.dispatches(std::vector<JobId>{1, 2, 3});
  REQUIRE(found);
  REQUIRE(found->size() == 2);
  CHECK((*found)[0].attempt == base::Attempt{1, 1, 3});
  CHECK((*found)[0].worker == second);
  CHECK((*found)[1].attempt == base::Attempt{2, 1, 2});
}

TEST_CASE("a run whose dispatches were not kept is not continued at most once, nor the other way round", "[spool]") {
  for (const bool keeps : {true, false}) {
    const Directory directory;
    {
      Spool spool = opened(directory);
      REQUIRE(spool.keep_dispatches(!keeps));
      REQUIRE(spool.keep_dispatches(keeps));  // nothing has gone out yet
      REQUIRE(spool.append(commands(1, 1)));
      REQUIRE(spool.raise_horizon(1));
    }
    Spool spool = opened(directory);
    CHECK(spool.keep_dispatches(keeps));
    check_error(spool.keep_dispatches(!keeps), Error::Kind::Conflict, keeps ? "this run was begun with --at-most-once" : "this run was begun without --at-most-once");
  }
}

TEST_CASE("a run goes on with another call behind what it has", "[spool]") {
  const Directory directory;
  {
    Spool spool = opened(directory);
    REQUIRE(spool.describe_run("old {}", "arguments", "old origin"));
    REQUIRE(spool.append(commands(1, 2)));
    REQUIRE(spool.commit_end_of_input(false, ""));
    REQUIRE(spool.commit_ended(1));
  }
  REQUIRE(Spool::go_on(directory.path(), "new {}", "new origin"));
  Spool spool = opened(directory);
  CHECK(!spool.summary().ended);
  CHECK(!spool.summary().end_of_input);
  CHECK(spool.summary().origin == "new origin");
  CHECK(spool.describe_run("new {}", "standard input", "unused"));
  REQUIRE(spool.append(commands(3, 1)));
  CHECK(spool.summary().accepted == 3);
}

TEST_CASE("a job is done whatever its number and label, and however it is limited or ended", "[spool]") {
  const Directory directory;
  base::Command command{"echo a"};
  command.directory = "/";
  const auto encoded = [](const base::JobSpec& spec) {
    std::string bytes;
    wire::encode_spec(spec, bytes);
    return bytes;
  };
  REQUIRE(opened(directory).append(Specs{encoded({base::Command{"false"}}), encoded({command})}));
  base::JobSet failed;
  failed.insert(1);
  auto done = ventilator::DoneJobs::read(directory.path(), failed, true);
  REQUIRE(done);
  CHECK(done->accepted() == 2);
  CHECK_FALSE(done->take({base::Command{"false"}}));

  base::JobSpec same{command, base::Duration(7), "label"};
  auto& as_well = std::get<base::Command>(same.work);
  as_well.nice = 3;
  as_well.live = as_well.kill_leftovers = true;
  as_well.environment = {"A=1"};
  CHECK(done->take(same));

  const auto differs = [&](auto change) {
    base::Command other = command;
    change(other);
    return !done->take({other});
  };
  CHECK(differs([](base::Command& other) { other.line += ' '; }));
  CHECK(differs([](base::Command& other) { other.directory = "/tmp"; }));
  CHECK(differs([](base::Command& other) { other.shell = "/bin/bash"; }));
  CHECK(differs([](base::Command& other) { other.stdin_bytes = "a"; }));
  CHECK(differs([](base::Command& other) { other.input.mark = 1; }));
  CHECK(differs([](base::Command& other) { other.slot_marks = {1}; }));
  CHECK(ventilator::DoneJobs::read(directory.path() + "/none", {}, true)->accepted() == 0);
}

TEST_CASE("what a call has accepted before it was interrupted answers for as many jobs of its input", "[spool]") {
  const Directory directory;
  const base::JobSpec before{base::Command{"before"}}, own{base::Command{"own"}};
  const auto encoded = [](const base::JobSpec& spec) {
    std::string bytes;
    wire::encode_spec(spec, bytes);
    return bytes;
  };
  REQUIRE(opened(directory).append(Specs{encoded(before)}));
  REQUIRE(Spool::go_on(directory.path(), "", ""));
  REQUIRE(opened(directory).append(Specs{encoded(own), encoded(own)}));
  auto done = ventilator::DoneJobs::read(directory.path(), {}, false);
  REQUIRE(done);
  for (int i = 0; i < 3; ++i) CHECK(done->take(before));
  CHECK(done->take(own));
  CHECK(done->take(own));
  CHECK_FALSE(done->take(own));
}
