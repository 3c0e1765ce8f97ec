#include "cli/environment.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

namespace fs = std::filesystem;

namespace {

// A make-believe /proc/self/cgroup and /sys/fs/cgroup.
class Cgroups {
 public:
  explicit Cgroups(const std::string& proc_cgroup) {
    std::string pattern = (fs::temp_directory_path() / "pushmill-test-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    write("proc", proc_cgroup);
  }
  ~Cgroups() { fs::remove_all(root_); }
  Cgroups& write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << text;
    return *this;
  }
  unsigned cpus() const { return cli::cgroup_cpus(root_ + "/proc", root_); }

 private:
  std::string root_;
};

// The exit status of `body` in a process of its own, whose environment and affinity it may change.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a cgroup without quota gives none", "[environment]") {
  CHECK(Cgroups("").cpus() == 0);
  CHECK(Cgroups("0::/a\n").cpus() == 0);
  CHECK(Cgroups("0::/a\n").write("a/cpu.max", "max 100000\n").cpus() == 0);
  CHECK(Cgroups("4:cpu:/a\n").write("cpu/a/cpu.cfs_quota_us", "-1\n").write("cpu/a/cpu.cfs_period_us", "100000\n").cpus() == 0);
  CHECK(Cgroups("junk\n0:\n").write("cpu.max", "0 0\n").cpus() == 0);
}

TEST_CASE("a quota is rounded up", "[environment]") {
  CHECK(Cgroups("0::/a\n").write("a/cpu.max", "200000 100000\n").cpus() == 2);
  CHECK(Cgroups("0::/a\n").write("a/cpu.max", "210000 100000\n").cpus() == 3);
  CHECK(Cgroups("0::/a\n").write("a/cpu.max", "1000 100000\n").cpus() == 1);
}

TEST_CASE("the least quota on the way up counts", "[environment]") {
  CHECK(Cgroups("0::/a/b/c\n").write("a/b/c/cpu.max", "400000 100000\n").write("a/cpu.max", "300000 100000\n").cpus() == 3);
}

TEST_CASE("in a container the mount is the process's own group", "[environment]") {
  CHECK(Cgroups("0::/\n").write("cpu.max", "150000 100000\n").cpus() == 2);
  CHECK(Cgroups("9:cpu,cpuacct:/docker/1f\n").write("cpu/cpu.cfs_quota_us", "150000\n").write("cpu/cpu.cfs_period_us", "100000\n").cpus() == 2);
}

TEST_CASE("the first version of cgroups is found by its cpu controller", "[environment]") {
  CHECK(Cgroups("11:cpuset:/x\n5:cpuacct,cpu:/a\n0::/\n")
            .write("cpu/a/cpu.cfs_quota_us", "250000\n")
            .write("cpu/a/cpu.cfs_period_us", "100000\n")
            .cpus() == 3);
}

TEST_CASE("slots never exceed the CPUs one may run on, nor what SLURM gives", "[environment]") {
  CHECK(in_child([] {
          cpu_set_t all, one;
          ::sched_getaffinity(0, sizeof all, &all);
          CPU_ZERO(&one);
          for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &all) && CPU_COUNT(&one) == 0) CPU_SET(cpu, &one);
          ::sched_setaffinity(0, sizeof one, &one);
          return static_cast<int>(cli::default_slots());
        }) == 1);
  CHECK(in_child([] {
          ::setenv("SLURM_CPUS_PER_TASK", "1", 1);
          return static_cast<int>(cli::default_slots());
        }) == 1);
  const int plain = in_child([] {
    ::unsetenv("SLURM_CPUS_PER_TASK");
    return static_cast<int>(cli::default_slots());
  });
  CHECK(plain >= 1);
  for (const char* useless : {"", "0", "-3", "many", "99999"}) {
    CHECK(in_child([&] {
            ::setenv("SLURM_CPUS_PER_TASK", useless, 1);
            return static_cast<int>(cli::default_slots());
          }) == plain);
  }
}

TEST_CASE("a PARALLEL_SHELL that cannot be run is refused, not passed over", "[environment]") {
  for (const char* wrong : {"/nonexistent/shell", "no-such-shell", "/etc/passwd", "/tmp"}) {
    CHECK(in_child([&] {
            ::setenv("PARALLEL_SHELL", wrong, 1);
            const auto shell = cli::calling_shell();
            return !shell && shell.error().kind == base::Error::Kind::Usage && shell.error().message.find(wrong) != std::string::npos ? 0 : 1;
          }) == 0);
  }
}

TEST_CASE("PARALLEL_SHELL is the shell, by path or by name", "[environment]") {
  for (const char* value : {"/bin/sh", "sh"}) {
    CHECK(in_child([&] {
            ::setenv("PARALLEL_SHELL", value, 1);
            return cli::calling_shell()->ends_with("/sh") ? 0 : 1;
          }) == 0);
  }
}

TEST_CASE("without a calling shell SHELL is used, then /bin/sh", "[environment]") {
  // The parent of the child is this test program, no shell.
  CHECK(in_child([] {
          ::unsetenv("PARALLEL_SHELL");
          ::setenv("SHELL", "/usr/bin/env", 1);
          return *cli::calling_shell() == "/usr/bin/env" ? 0 : 1;
        }) == 0);
  for (const char* useless : {"", "/nonexistent/shell", "/etc/passwd"}) {
    CHECK(in_child([&] {
            ::setenv("PARALLEL_SHELL", "", 1);
            ::setenv("SHELL", useless, 1);
            return *cli::calling_shell() == "/bin/sh" ? 0 : 1;
          }) == 0);
  }
}

TEST_CASE("the shell that called is the shell", "[environment]") {
  // A program that prints what it sees, called by a shell that does not replace itself by it.
  const std::string self = fs::read_symlink("/proc/self/exe");
  for (const char* shell : {"/bin/dash", "/bin/bash"}) {
    if (!fs::exists(shell)) continue;
    const std::string name = fs::path(shell).filename();
    const std::string command = "env -u PARALLEL_SHELL EXPECTED_SHELL=" + name + " " + shell + " -c '\"" + self +
                                "\" \"[calling_shell]\" >/dev/null; exit $?'";
    CHECK(std::system(command.c_str()) == 0);
  }
}

TEST_CASE("called by the shell in EXPECTED_SHELL", "[.][calling_shell]") {
  const char* expected = std::getenv("EXPECTED_SHELL");
  REQUIRE(expected != nullptr);
  CHECK(cli::calling_shell()->ends_with(std::string("/") + expected));
}
