// Finding and ending the processes of one tree, from a process that is a subreaper.
#include "worker/process_tree.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>

using namespace std::chrono_literals;

namespace {

base::TimePoint now() { return std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()); }

// A shell line started as the leader of its own group, with `mark` in its environment. It has run up to its first write to descriptor 3.
struct Started {
  explicit Started(const std::string& line, const std::string& mark = "none") {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int ready[2];
    REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
    const std::string variable = "PUSHMILL_KEEPER=" + mark, path = "PATH=/usr/bin:/bin";
    leader = fork();
    if (leader == 0) {
      setpgid(0, 0);
      dup2(ready[1], 3);
      fcntl(3, F_SETFD, 0);
      char* const argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>(line.c_str()), nullptr};
      char* const environment[] = {const_cast<char*>(variable.c_str()), const_cast<char*>(path.c_str()), nullptr};
      execve("/bin/sh", argv, environment);
      _exit(127);
    }
    close(ready[1]);
    char byte;
    REQUIRE(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
  }
  pid_t leader;
};

std::size_t living(const worker::ProcessTable& table) {
  const auto& all = table.descendants();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const worker::Process& p) { return !p.is_dead; }));
}

void reap_all() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
}

// Steps until the tree is gone; false after 10 seconds.
bool end(worker::TreeKiller& killer, bool is_group_pinned = false) {
  for (const auto deadline = now() + 10s; now() < deadline;) {
    if (killer.step(worker::ProcessTable(getpid()), now(), is_group_pinned)) return true;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(killer.next_step() - now()).count();
    poll(nullptr, 0, static_cast<int>(std::max<std::int64_t>(wait, 0)));
  }
  return false;
}

}  // namespace

TEST_CASE("the table holds the descendants of a process and no others") {
  const Started started("sleep 100 & echo >&3; exec sleep 100");
  const worker::ProcessTable table(getpid());
  CHECK(table.root() == getpid());
  CHECK(living(table) == 2);
  const worker::ProcessTable below(started.leader);
  CHECK(below.descendants().size() == 1);
  CHECK(below.descendants()[0].parent == started.leader);
  CHECK(below.descendants()[0].group == started.leader);
  worker::TreeKiller killer({started.leader, "", "", 0}, 1s, now());
  CHECK(end(killer));
  CHECK_FALSE(killer.has_killed());
  reap_all();
}

TEST_CASE("TERM comes first, KILL after the grace and only to what is left") {
  const Started started("trap '' TERM; echo >&3; while :; do sleep 100; done");
  worker::TreeKiller killer({started.leader, "", "", 0}, 50ms, now());
  const auto begin = now();
  CHECK(end(killer));
  CHECK(killer.has_killed());
  CHECK(now() - begin >= 50ms);
  int status = 0;
  CHECK(waitpid(started.leader, &status, 0) == started.leader);
  CHECK(WTERMSIG(status) == SIGKILL);
  reap_all();
}

TEST_CASE("an orphan in a session of its own is found by its mark, word by word") {
  const Started other("(setsid sh -c 'echo >&3; exec sleep 100' &)", "key/1@1.1");
  waitpid(other.leader, nullptr, 0);
  const Started started("(setsid sh -c 'echo >&3; exec sleep 100' &)", "outer/5@1.1 key/1@1.11");
  waitpid(started.leader, nullptr, 0);
  CHECK(living(worker::ProcessTable(getpid())) == 2);
  worker::TreeKiller killer({0, "key/1@1.11", "", 0}, 1s, now());
  CHECK(end(killer));
  CHECK(living(worker::ProcessTable(getpid())) == 1);
  worker::TreeKiller other_killer({0, "key/1@1.1", "", 0}, 1s, now());
  CHECK(end(other_killer));
  CHECK(living(worker::ProcessTable(getpid())) == 0);
  reap_all();
}

TEST_CASE("a process that cleared its environment is found by the session it shares with one that did not") {
  const Started started("setsid sh -c 'sleep 100 & (env -i sleep 100 &) ; echo >&3; wait' & wait", "key/2@1.1");
  worker::TreeKiller killer({started.leader, "key/2@1.1", "", 0}, 1s, now());
  CHECK(end(killer));
  CHECK(living(worker::ProcessTable(getpid())) == 0);
  reap_all();
}

TEST_CASE("strays are those without a mark of the token that started late enough") {
  const Started marked("(setsid sh -c 'echo >&3; exec sleep 100' &)", "key/3@1.1");
  const Started stray("(setsid env -i sh -c 'echo >&3; exec sleep 100' &)", "key/4@1.1");
  waitpid(marked.leader, nullptr, 0);
  waitpid(stray.leader, nullptr, 0);
  worker::TreeKiller too_late({0, "", "key", ~std::uint64_t{0}}, 1s, now());
  CHECK(end(too_late));
  CHECK(living(worker::ProcessTable(getpid())) == 2);
  worker::TreeKiller killer({0, "", "key", 1}, 1s, now());
  CHECK(end(killer));
  CHECK(living(worker::ProcessTable(getpid())) == 1);
  worker::TreeKiller rest({0, "key/3@1.1", "", 0}, 1s, now());
  CHECK(end(rest));
  reap_all();
}

TEST_CASE("processes that fork without end are ended") {
  const Started started("trap '' TERM; sleep 100 & echo >&3; while :; do sleep 100 & done", "key/5@1.1");
  worker::TreeKiller killer({started.leader, "key/5@1.1", "", 0}, 10ms, now());
  CHECK(end(killer, true));
  CHECK(living(worker::ProcessTable(getpid())) == 0);
  reap_all();
}

TEST_CASE("dead children of the root are named for reaping, and no others") {
  const Started bystander("echo >&3; exit 0");
  const Started started("(setsid sleep 100 &) ; echo >&3; wait; exec sleep 100", "key/6@1.1");
  worker::TreeKiller killer({started.leader, "key/6@1.1", "", 0}, 1s, now());
  std::vector<pid_t> dead;
  while (!killer.step(worker::ProcessTable(getpid()), now(), false))
    for (pid_t pid : killer.dead_children()) dead.push_back(pid);
  for (pid_t pid : killer.dead_children()) dead.push_back(pid);
  CHECK(std::find(dead.begin(), dead.end(), started.leader) != dead.end());
  CHECK(std::find(dead.begin(), dead.end(), bystander.leader) == dead.end());
  reap_all();
  waitpid(bystander.leader, nullptr, 0);
}
