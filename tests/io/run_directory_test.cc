#include "io/run_directory.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <thread>

#include "tests/io/support.h"

using base::Error;
using io::Lock;
namespace fs = std::filesystem;

namespace {

void touch(const std::string& path) { std::ofstream(path).flush(); }

// What the file system says: no clock does, as it may date several files alike that were made in different ticks.
std::pair<std::int64_t, std::uint32_t> birth_of(const std::string& path) {
  struct statx status {};
  REQUIRE(::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BTIME, &status) == 0);
  return {status.stx_btime.tv_sec, status.stx_btime.tv_nsec};
}

}  // namespace

TEST_CASE("a new run directory and its parents are private whatever the umask", "[run_directory]") {
  test::TemporaryDirectory directory;
  const test::Umask umask(GENERATE(as<mode_t>(), 0000, 0077, 0777));
  auto run = io::open_run_directory(directory / "a/b/c/");
  REQUIRE(run);
  CHECK(run->path == directory / "a/b/c");
  CHECK(run->is_new);
  for (const char* name : {"a", "a/b", "a/b/c"}) CHECK(test::mode_of(directory / name) == 0700);
  auto again = io::open_run_directory(directory / "a/b/c");
  REQUIRE(again);
  CHECK_FALSE(again->is_new);
  CHECK_FALSE(again->was_narrowed);
}

TEST_CASE("a run directory open to others is narrowed if it is empty or holds a run, else refused", "[run_directory]") {
  test::TemporaryDirectory directory;
  const auto path = directory / "run";
  fs::create_directory(path);
  ::chmod(path.c_str(), 0755);
  const std::string name = GENERATE(values<std::string>({"", "jobs.db", "sink.lock", "thesis.tex"}));
  if (!name.empty()) touch(path + "/" + name);
  auto run = io::open_run_directory(path);
  if (name == "thesis.tex") {
    REQUIRE_FALSE(run);
    CHECK(run.error().kind == Error::Kind::Usage);
    CHECK_THAT(run.error().message, Catch::StartsWith(path + ": "));
    CHECK(test::mode_of(path) == 0755);
  } else {
    REQUIRE(run);
    CHECK(run->was_narrowed);
    CHECK(test::mode_of(path) == 0700);
  }
}

TEST_CASE("a shared directory is never narrowed", "[run_directory]") {
  test::TemporaryDirectory directory;
  ::chmod(directory.path().c_str(), 01777);
  CHECK_FALSE(io::open_run_directory(directory.path()));
  CHECK(test::mode_of(directory.path()) == 01777);
}

TEST_CASE("a run directory of another user and a file are refused", "[run_directory]") {
  test::TemporaryDirectory directory;
  touch(directory / "file");
  auto file = io::open_run_directory(directory / "file");
  REQUIRE_FALSE(file);
  CHECK(file.error().kind == Error::Kind::Usage);
  if (::geteuid() != 0) return;  // only root can make a directory for another
  fs::create_directory(directory / "other");
  REQUIRE(::chown((directory / "other").c_str(), 65534, 65534) == 0);
  auto other = io::open_run_directory(directory / "other");
  REQUIRE_FALSE(other);
  CHECK(other.error().kind == Error::Kind::Usage);
  CHECK_THAT(other.error().message, Catch::Contains("belongs to another user"));
}

TEST_CASE("only a directory with a run in it is found", "[run_directory]") {
  test::TemporaryDirectory directory;
  CHECK(io::find_run_directory(directory / "none").error().kind == Error::Kind::NotFound);
  CHECK_FALSE(fs::exists(directory / "none"));
  CHECK(io::find_run_directory(directory.path()).error().kind == Error::Kind::NotFound);
  touch(directory / "results.db");
  CHECK(io::find_run_directory(directory.path())->path == directory.path());
}

TEST_CASE("two lockers: the second is told who the first is", "[run_directory]") {
  test::TemporaryDirectory directory;
  {
    auto first = Lock::take(directory.path(), Lock::kSink, "sink");
    REQUIRE(first);
    auto second = Lock::take(directory.path(), Lock::kSink, "sink");
    REQUIRE_FALSE(second);
    CHECK(second.error().kind == Error::Kind::Busy);
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    CHECK(second.error().message == directory.path() + ": is in use by process " + std::to_string(::getpid()) + " " + host + " sink");
    CHECK(Lock::take(directory.path(), Lock::kVentilator, "ventilator"));
  }
  CHECK(Lock::take(directory.path(), Lock::kSink, "sink"));
}

TEST_CASE("who has not named itself yet, or no more, is waited for", "[run_directory]") {
  test::TemporaryDirectory directory;
  const int unnamed = ::open((directory / Lock::kSink).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  REQUIRE(::fcntl(unnamed, F_OFD_SETLK, &whole) == 0);
  std::thread leaving([unnamed] {
    ::poll(nullptr, 0, 700);
    ::close(unnamed);
  });
  CHECK(Lock::take(directory.path(), Lock::kSink, "sink"));
  leaving.join();
}

TEST_CASE("who only looks is waited for, and names nobody", "[run_directory]") {
  test::TemporaryDirectory directory;
  auto look = Lock::take(directory.path(), Lock::kSink, Lock::kLook);
  REQUIRE(look);
  CHECK(Lock::holder(directory.path(), Lock::kSink) == "another process");
  std::thread leaving([look = std::move(*look)] { ::poll(nullptr, 0, 700); });
  CHECK(Lock::take(directory.path(), Lock::kSink, "sink"));
  leaving.join();
}

TEST_CASE("a lock dies with its process, and is not passed to what it starts", "[run_directory]") {
  test::TemporaryDirectory directory;
  int input[2];
  REQUIRE(::pipe2(input, O_CLOEXEC) == 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    auto lock = Lock::take(directory.path(), Lock::kSink, "sink");
    // A command that outlives the holder; it ends when the test closes its input.
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    const char* arguments[] = {"cat", nullptr};
    pid_t command;
    const int error = ::posix_spawnp(&command, "cat", &actions, nullptr, const_cast<char**>(arguments), environ);
    ::_exit(lock && error == 0 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(holder, &status, 0);
  CHECK(status == 0);
  // A spawn returns a moment before the new program's close-on-exec is done.
  CHECK(test::eventually([&] { return static_cast<bool>(Lock::take(directory.path(), Lock::kSink, "sink")); }));
  ::close(input[0]);
  ::close(input[1]);
}

TEST_CASE("a look at a run directory changes nothing in it", "[run_directory]") {
  test::TemporaryDirectory directory;
  const auto path = directory / "run";
  fs::create_directory(path);
  ::chmod(path.c_str(), 0755);
  CHECK(io::look_at_run_directory(path).error().kind == Error::Kind::NotFound);
  touch(path + "/sink.lock");
  REQUIRE(io::look_at_run_directory(path));
  CHECK(test::mode_of(path) == 0755);
  CHECK(io::look_at_run_directory(directory / "nowhere").error().kind == Error::Kind::NotFound);
}

TEST_CASE("runs without a name are found, the newest first", "[run_directory]") {
  test::TemporaryDirectory directory;
  const test::Variable state("PUSHMILL_STATE", directory / "state");
  CHECK(io::run_parents().empty());
  CHECK_FALSE(fs::exists(directory / "state"));
  std::vector<std::string> paths;
  for (int i = 0; i < 3; ++i) {
    auto run = io::create_run_directory(directory / "state");
    REQUIRE(run);
    touch(run->path + "/jobs.db");
    paths.insert(paths.begin(), run->path);
    REQUIRE(test::eventually([&, made = birth_of(run->path)] {
      touch(directory / "later");
      const auto later = birth_of(directory / "later");
      fs::remove(directory / "later");
      return later > made;
    }));
  }
  fs::create_directory(directory / "state/other");
  touch(directory / "state/file");
  CHECK(io::runs_without_a_name() == paths);
}

TEST_CASE("a lock can be looked at without being taken", "[run_directory]") {
  test::TemporaryDirectory directory;
  CHECK_FALSE(Lock::holder(directory.path(), Lock::kSink));
  {
    const auto lock = Lock::take(directory.path(), Lock::kSink, "sink");
    REQUIRE(lock);
    CHECK_THAT(Lock::holder(directory.path(), Lock::kSink).value_or(""), Catch::StartsWith("process " + std::to_string(::getpid())) && Catch::EndsWith(" sink"));
    CHECK_FALSE(Lock::check(directory.path(), Lock::kSink, io::TakeOver::Yes));
    CHECK_FALSE(Lock::holder(directory.path(), Lock::kVentilator));
  }
  CHECK_FALSE(Lock::holder(directory.path(), Lock::kSink));
  CHECK(Lock::check(directory.path(), Lock::kSink, io::TakeOver::No));
}

TEST_CASE("on a network file system the holder that is written counts unless it is dead for sure", "[run_directory]") {
  using io::TakeOver;
  test::TemporaryDirectory directory;
  const auto path = directory / Lock::kSink;
  const auto written = [&] {
    std::ifstream file(path);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  REQUIRE(Lock::take(directory.path(), Lock::kSink, "sink"));
  CHECK(written().empty());  // a clean end
  std::string mine;
  {
    const auto lock = Lock::take(directory.path(), Lock::kSink, "sink");
    mine = written();
  }
  const auto take_with = [&](const std::string& text, TakeOver take_over = TakeOver::No) {
    std::ofstream(path) << text;
    return Lock::take(directory.path(), Lock::kSink, "sink", take_over);
  };
  std::istringstream words(mine);
  std::string pid, host, program, started, boot;
  words >> pid >> host >> program >> started >> boot;
  REQUIRE_FALSE(boot.empty());
  const auto text = [&](const std::string& p, const std::string& h, const std::string& s, const std::string& b) { return p + " " + h + " sink\n" + s + " " + b + "\n"; };
  const std::string elsewhere = text("7", "elsewhere", "1", "b");
  CHECK(take_with(mine));  // on a local one the kernel's word is all
  CHECK(take_with(elsewhere));
  const test::Variable network("PUSHMILL_NETWORK_FILESYSTEM", "1");

  CHECK(take_with(""));
  CHECK(take_with(text(pid, host, started + "0", boot)));  // another process has the number now
  CHECK(take_with(text("4194304", host, "1", boot)));      // above any number of a process
  CHECK(take_with(text(pid, host, started, "before")));    // the host was started again
  CHECK(take_with(text(pid, host, started, "before"))->taken_from().empty());
  for (const auto take_over : {TakeOver::No, TakeOver::Yes}) {
    const auto alive = take_with(mine, take_over);
    REQUIRE_FALSE(alive);
    CHECK(alive.error().kind == Error::Kind::Busy);
    CHECK(alive.error().message == directory.path() + ": is in use by process " + pid + " " + host + " sink");
  }
  CHECK(written() == mine);
  const auto refused = take_with(elsewhere);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == directory.path() + ": is in use by process 7 elsewhere sink; if that host is dead, go on with --take-over");
  CHECK(Lock::holder(directory.path(), Lock::kSink) == "process 7 elsewhere sink");
  CHECK(Lock::check(directory.path(), Lock::kSink, TakeOver::Yes));
  const auto taken = take_with(elsewhere, TakeOver::Yes);
  REQUIRE(taken);
  CHECK(taken->taken_from() == "process 7 elsewhere sink");
}

TEST_CASE("lock files are private whatever the umask", "[run_directory]") {
  test::TemporaryDirectory directory;
  const test::Umask umask(GENERATE(as<mode_t>(), 0000, 0777));
  REQUIRE(Lock::take(directory.path(), Lock::kSink, "sink"));
  CHECK(test::mode_of(directory / Lock::kSink) == 0600);
}

TEST_CASE("the default place of runs follows the environment", "[run_directory]") {
  test::TemporaryDirectory directory;
  const auto uid = std::to_string(::geteuid());
  const test::Variable state("PUSHMILL_STATE", nullptr), xdg("XDG_STATE_HOME", nullptr), home("HOME", nullptr), temporary("TMPDIR", nullptr);
  CHECK(*io::default_run_parent() == "/var/tmp/pushmill-" + uid);
  {
    const test::Variable set("TMPDIR", directory.path());
    CHECK(*io::default_run_parent() == directory / "pushmill-" + uid);
    CHECK(test::mode_of(directory / "pushmill-" + uid) == 0700);
    {
      const test::Variable unusable("HOME", "/proc/1/no-home");
      CHECK(*io::default_run_parent() == directory / "pushmill-" + uid);
    }
    const test::Variable usable("HOME", directory / "home");
    CHECK(*io::default_run_parent() == directory / "home/.local/state/pushmill");
    const test::Variable relative("XDG_STATE_HOME", "relative");
    CHECK(*io::default_run_parent() == directory / "home/.local/state/pushmill");
    const test::Variable better("XDG_STATE_HOME", directory / "state");
    CHECK(*io::default_run_parent() == directory / "state/pushmill");
    const test::Variable best("PUSHMILL_STATE", directory / "mine");
    CHECK(*io::default_run_parent() == directory / "mine");
    CHECK(test::mode_of(directory / "mine") == 0700);
  }
}

TEST_CASE("a PUSHMILL_STATE that cannot be used is an error, not passed over", "[run_directory]") {
  test::TemporaryDirectory directory;
  touch(directory / "file");
  const test::Variable state("PUSHMILL_STATE", directory / "file/runs");
  auto parent = io::default_run_parent();
  REQUIRE_FALSE(parent);
  CHECK_THAT(parent.error().message, Catch::StartsWith("PUSHMILL_STATE: "));
}

TEST_CASE("runs without a name get different ones that sort by time", "[run_directory]") {
  test::TemporaryDirectory directory;
  auto first = io::create_run_directory(directory.path()), second = io::create_run_directory(directory.path());
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->path != second->path);
  const auto name = fs::path(first->path).filename().string();
  CHECK(std::regex_match(name, std::regex("run-[0-9]{8}-[0-9]{6}-" + std::to_string(::getpid()) + "-[0-9a-f]{4}")));
  CHECK(test::mode_of(first->path) == 0700);
}

TEST_CASE("removing a run directory deletes what is pushmill's and nothing else", "[run_directory]") {
  test::TemporaryDirectory directory;
  const auto path = directory / "run";
  fs::create_directories(path + "/outputs");
  for (const char* name : {"jobs.db", "jobs.db-wal", "results.db", "results.db-shm", "ventilator.lock", "sink.lock", "status.json", "outputs/1.1.1.out",
                           "outputs/12.3.45.err"})
    touch(path + "/" + name);
  const bool has_more = GENERATE(false, true);
  if (has_more) touch(path + "/thesis.tex");
  auto removed = io::remove_run_directory(path);
  if (has_more) {
    REQUIRE_FALSE(removed);
    CHECK(fs::exists(path + "/thesis.tex"));
    CHECK(std::distance(fs::directory_iterator(path), fs::directory_iterator()) == 1);
  } else {
    REQUIRE(removed);
    CHECK_FALSE(fs::exists(path));
  }
}

TEST_CASE("sockets get a short private directory", "[run_directory]") {
  test::TemporaryDirectory directory;
  {
    const test::Variable runtime("XDG_RUNTIME_DIR", directory.path());
    const test::Umask umask(0);
    CHECK(*io::runtime_directory() == directory / "pushmill");
    CHECK(test::mode_of(directory / "pushmill") == 0700);
  }
  const auto fallback = "/tmp/pushmill-" + std::to_string(::geteuid());
  const test::Variable runtime("XDG_RUNTIME_DIR", GENERATE(as<const char*>(), nullptr, "/proc/nonexistent", "relative"));
  CHECK(*io::runtime_directory() == fallback);
  CHECK(test::mode_of(fallback) == 0700);
  const auto deep = directory / std::string(90, 'x');
  fs::create_directory(deep);
  const test::Variable too_deep("XDG_RUNTIME_DIR", deep);
  CHECK(*io::runtime_directory() == fallback);
}

TEST_CASE("what all processes of a user must find is in one private directory, whatever the environment", "[run_directory]") {
  test::TemporaryDirectory directory;
  const test::Variable tests("PUSHMILL_HOST_DIRECTORY", nullptr);
  const test::Variable runtime("XDG_RUNTIME_DIR", directory.path()), temporary("TMPDIR", directory.path()), home("HOME", directory.path()), state("PUSHMILL_STATE", directory.path());
  const auto place = "/tmp/pushmill-" + std::to_string(::geteuid());
  CHECK(*io::host_directory() == place);
  CHECK(test::mode_of(place) == 0700);
}

TEST_CASE("the directory for the host is refused if it is a link or cannot be made", "[run_directory]") {
  test::TemporaryDirectory directory;
  fs::create_directory(directory / "elsewhere");
  fs::create_directory_symlink(directory / "elsewhere", directory / "link");
  for (const std::string& bad : {directory / "link", std::string("/proc/nonexistent")}) {
    const test::Variable place("PUSHMILL_HOST_DIRECTORY", bad);
    CAPTURE(bad);
    CHECK_FALSE(io::host_directory());
  }
}

TEST_CASE("a link in the place of the directory for sockets is not followed", "[run_directory]") {
  test::TemporaryDirectory directory;
  fs::create_directory(directory / "elsewhere");
  fs::create_directory_symlink(directory / "elsewhere", directory / "pushmill");
  const test::Variable runtime("XDG_RUNTIME_DIR", directory.path());
  CHECK(*io::runtime_directory() == "/tmp/pushmill-" + std::to_string(::geteuid()));
}

TEST_CASE("local file systems are not taken for network ones", "[run_directory]") {
  CHECK_FALSE(io::is_network_filesystem("/proc"));
  CHECK_FALSE(io::is_network_filesystem("/dev/shm/not/there/yet"));
}

TEST_CASE("what is not pushmill's in a run directory is named", "[run_directory]") {
  test::TemporaryDirectory directory;
  for (const char* name : {"jobs.db", "jobs.db-wal", "results.db", "status.json", "ventilator.lock", "sink.lock"}) touch(directory / name);
  fs::create_directory(directory / "outputs");
  CHECK(io::stranger_in(directory.path()).empty());
  touch(directory / "outputs/1.2.3.out");
  touch(directory / "outputs/1.2.3.err");
  CHECK(io::stranger_in(directory.path()).empty());
  SECTION("beside its files") {
    touch(directory / "thesis.tex");
    CHECK(io::stranger_in(directory.path()) == "thesis.tex");
  }
  SECTION("among the outputs") {
    const std::string name = GENERATE("thesis.tex", "notes.out", "1.2.3.outer", "out");
    touch(directory / ("outputs/" + name));
    CHECK(io::stranger_in(directory.path()) == "outputs/" + name);
  }
}

// The files of that directory were all deleted once.
TEST_CASE("a link in the place of the outputs is not pushmill's, and not followed when a run is removed", "[run_directory]") {
  test::TemporaryDirectory directory;
  fs::create_directories(directory / "run");
  fs::create_directories(directory / "elsewhere");
  touch(directory / "run/results.db");
  touch(directory / "elsewhere/thesis.tex");
  touch(directory / "elsewhere/1.1.1.out");
  fs::create_directory_symlink(directory / "elsewhere", directory / "run/outputs");
  CHECK(io::stranger_in(directory / "run") == "outputs");
  CHECK_FALSE(io::remove_run_directory(directory / "run"));
  CHECK(fs::exists(directory / "elsewhere/thesis.tex"));
  CHECK(fs::exists(directory / "elsewhere/1.1.1.out"));
}

TEST_CASE("what a user has put among the outputs stays when a run is removed", "[run_directory]") {
  test::TemporaryDirectory directory;
  fs::create_directories(directory / "run/outputs");
  touch(directory / "run/outputs/1.1.1.out");
  touch(directory / "run/outputs/thesis.tex");
  CHECK_FALSE(io::remove_run_directory(directory / "run"));
  CHECK(fs::exists(directory / "run/outputs/thesis.tex"));
  CHECK_FALSE(fs::exists(directory / "run/outputs/1.1.1.out"));
}
