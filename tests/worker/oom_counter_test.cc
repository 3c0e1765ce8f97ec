// Which attempts ran out of memory, told by a counter of the kernel's: files of the same form stand for it.
#include "worker/oom_counter.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using namespace std::chrono_literals;
using worker::find_oom_counter;
using worker::OomCounter;

namespace {

class Files {
 public:
  Files() {
    char name[] = "/tmp/pushmill-oom-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Files() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string events(int kills) { return "low 0\nhigh 3\nmax 9\noom " + std::to_string(kills + 1) + "\noom_kill " + std::to_string(kills) + "\noom_group_kill 0\n"; }

constexpr base::TimePoint at(base::Duration time) { return base::TimePoint(time); }

}  // namespace

TEST_CASE("the count of the own group comes first, in a container that of the mount, and at last that of the system") {
  const Files files;
  const std::string system = files.write("vmstat", "nr_free_pages 5\noom_kill 0\n");
  const std::string v2 = files.write("v2", "0::/user.slice/job\n"), v1 = files.write("v1", "9:pids:/x\n4:cpu,memory:/docker/1f\n0::/\n");
  CHECK(find_oom_counter(v2, files / "root", system) == system);
  CHECK(find_oom_counter(v2, files / "root", files / "none").empty());
  const std::string mount = files.write("root/memory.events", events(0));
  CHECK(find_oom_counter(v2, files / "root", system) == mount);
  const std::string own = files.write("root/user.slice/job/memory.events", events(0));
  CHECK(find_oom_counter(v2, files / "root", system) == own);
  const std::string old = files.write("root/memory/docker/1f/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  CHECK(find_oom_counter(v1, files / "root", system) == old);
}

TEST_CASE("a kill is that of one attempt that ran when it was counted") {
  const Files files;
  const std::string path = files.write("memory.events", events(2));
  OomCounter counter(path);
  const auto first = counter.seen(at(1s)), second = counter.seen(at(2s));
  CHECK_FALSE(counter.take(first));
  files.write("memory.events", events(3));
  CHECK(counter.take(first));
  CHECK_FALSE(counter.take(second));  // it was ended by somebody else
  files.write("memory.events", events(5));
  CHECK(counter.take(second));
  CHECK(counter.take(second));
  CHECK_FALSE(counter.take(second));
}

TEST_CASE("an attempt that began after a kill was not ended by it") {
  const Files files;
  const std::string path = files.write("memory.events", events(0));
  OomCounter counter(path);
  CHECK(counter.seen(at(1s)) == 0);
  files.write("memory.events", events(1));
  CHECK(counter.seen(at(1s + 50ms)) == 0);  // it has looked a moment ago
  const auto later = counter.seen(at(2s));
  CHECK(later == 1);
  CHECK_FALSE(counter.take(later));
}

TEST_CASE("without a file nothing ran out of memory") {
  OomCounter counter("");
  CHECK_FALSE(counter.take(counter.seen(at(1s))));
  OomCounter missing("/no/such/file");
  CHECK_FALSE(missing.take(missing.seen(at(1s))));
}
