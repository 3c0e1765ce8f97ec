// Finding and ending the processes of one tree, from a process that is a subreaper.
#include "worker/process_tree.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>

using namespace std::chrono_literals;
using worker::text_of;

namespace {

base::TimePoint now() { return std::chrono::time_point_cast<base::Duration>(std::chrono::steady_clock::now()); }

// A shell line started as the leader of its own group, with `mark` in its environment. It has run up to its first write to descriptor 3.
struct Started {
  // `limit`: the mark it carries as its limit of file locks; 0: none.
  explicit Started(const std::string& line, const std::string& mark = "none", worker::Mark limit = 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int ready[2];
    REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
    const std::string variable = "PUSHMILL_KEEPER=" + mark, path = "PATH=/usr/bin:/bin";
    leader = fork();
    if (leader == 0) {
      setpgid(0, 0);
      const rlimit locks{limit, RLIM_INFINITY};
      if (limit != 0) setrlimit(RLIMIT_LOCKS, &locks);
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

struct TemporaryFile {
  TemporaryFile() { close(mkstemp(path.data())); }
  ~TemporaryFile() { unlink(path.c_str()); }
  std::string text() const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path = "/tmp/pushmill-tree-XXXXXX";
};

std::size_t living(const worker::ProcessTable& table) {
  const auto& all = table.descendants();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const worker::Process& p) { return !p.is_dead; }));
}

worker::Mark mark(std::uint32_t serial) { return worker::make_mark(7, serial); }

// TERM, and KILL after so long.
base::TermSeq term(std::uint32_t milliseconds) { return {SIGTERM, milliseconds, SIGKILL, 0}; }

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
  worker::TreeKiller killer({started.leader, 0}, term(1000), now());
  CHECK(end(killer));
  CHECK(killer.last_signal() == SIGTERM);
  CHECK(killer.found() == 2);
  reap_all();
}

TEST_CASE("TERM comes first, KILL after the grace and only to what is left") {
  const Started started("trap '' TERM; echo >&3; while :; do sleep 100; done");
  worker::TreeKiller killer({started.leader, 0}, term(50), now());
  const auto begin = now();
  CHECK(end(killer));
  CHECK(killer.last_signal() == SIGKILL);
  CHECK(now() - begin >= 50ms);
  int status = 0;
  CHECK(waitpid(started.leader, &status, 0) == started.leader);
  CHECK(WTERMSIG(status) == SIGKILL);
  reap_all();
}

TEST_CASE("each step of a sequence sends its signal to all that is left, and KILL follows the last") {
  TemporaryFile said;
  const Started started("trap 'echo int >>" + said.path + "' INT; trap 'echo usr >>" + said.path + "' USR1; echo >&3; while :; do sleep 0.01; done");
  worker::TreeKiller killer({started.leader, 0}, {SIGINT, 100, SIGUSR1, 100}, now());
  const auto begin = now();
  CHECK(end(killer));
  CHECK(now() - begin >= 200ms);
  CHECK(killer.last_signal() == SIGKILL);
  CHECK(said.text() == "int\nusr\n");
  reap_all();
}

TEST_CASE("a killer in a hurry waits for nothing") {
  const Started started("trap '' TERM; echo >&3; while :; do sleep 100; done");
  worker::TreeKiller killer({started.leader, 0}, term(3'600'000), now());
  CHECK_FALSE(killer.step(worker::ProcessTable(getpid()), now(), false));
  killer.hurry(now());
  CHECK(end(killer));
  reap_all();
}

TEST_CASE("a process is stuck when it lives some time after KILL, not after TERM, and nothing else lives in its tree") {
  const Started started("trap '' TERM; echo >&3; exec sleep 100");
  const worker::ProcessTable without_end(getpid());  // a reading is given again: as if it never ended
  const auto begin = now();
  worker::TreeKiller killer({started.leader, 0}, term(3'600'000), begin);
  const auto stuck_at = [&](base::TimePoint at, const worker::ProcessTable& table) {
    CHECK_FALSE(killer.step(table, at, false));
    return killer.stuck();
  };
  CHECK(stuck_at(begin, without_end) == 0);
  CHECK(stuck_at(begin + 1h - 1us, without_end) == 0);
  CHECK(stuck_at(begin + 1h, without_end) == 0);
  CHECK(stuck_at(begin + 1h + worker::kStuckAfter - 1us, without_end) == 0);
  CHECK(stuck_at(begin + 1h + worker::kStuckAfter, without_end) == started.leader);
  waitpid(started.leader, nullptr, 0);
  killer.step(worker::ProcessTable(getpid()), now(), false);
  CHECK(killer.stuck() == 0);
  reap_all();
}

TEST_CASE("an orphan in a session of its own is found by its mark, word by word") {
  const Started other("(setsid sh -c 'echo >&3; exec sleep 100' &)", text_of(mark(1)));
  waitpid(other.leader, nullptr, 0);
  const Started started("(setsid sh -c 'echo >&3; exec sleep 100' &)", text_of(worker::make_mark(9, 5)) + " " + text_of(mark(2)));
  waitpid(started.leader, nullptr, 0);
  CHECK(living(worker::ProcessTable(getpid())) == 2);
  worker::TreeKiller killer({0, mark(2)}, term(1000), now());
  CHECK(end(killer));
  CHECK(living(worker::ProcessTable(getpid())) == 1);
  worker::TreeKiller other_killer({0, mark(1)}, term(1000), now());
  CHECK(end(other_killer));
  CHECK(living(worker::ProcessTable(getpid())) == 0);
  reap_all();
}

TEST_CASE("an orphan in a session of its own that cleared its environment and closed all it had open is found by its mark, among others of its kind") {
  const std::string daemon = "(setsid env -i sh -c 'echo >&3; exec sleep 100 3>&- 2>&- >&- <&-' &)";
  const Started other(daemon, "none", mark(3));
  waitpid(other.leader, nullptr, 0);
  const Started started(daemon, "none", mark(4));
  waitpid(started.leader, nullptr, 0);
  worker::TreeKiller killer({0, mark(4)}, term(1000), now());
  CHECK(end(killer));
  CHECK(killer.found() == 1);
  CHECK(living(worker::ProcessTable(getpid())) == 1);
  worker::TreeKiller anywhere({0, mark(3)}, term(1000), now());
  while (!anywhere.step(worker::ProcessTable(0), now(), false)) poll(nullptr, 0, 1);
  CHECK(anywhere.found() == 1);
  CHECK(living(worker::ProcessTable(getpid())) == 0);
  reap_all();
}

TEST_CASE("the marks of a keeper's processes are its own and no other's") {
  const worker::Marks by_limit{worker::make_mark(7, 1), ""}, by_words{0, text_of(worker::make_mark(9, 1)) + " " + text_of(worker::make_mark(7, 2))};
  for (const worker::Marks& marks : {by_limit, by_words}) {
    CHECK(marks.are_of_keeper(7));
    CHECK_FALSE(marks.are_of_keeper(8));
  }
  CHECK(by_words.are_of_keeper(9));
  CHECK(by_limit.hold(worker::make_mark(7, 1)));
  CHECK_FALSE(by_limit.hold(worker::make_mark(7, 2)));
  CHECK_FALSE(worker::Marks{}.are_of_keeper(0));
  CHECK_FALSE(worker::Marks{}.hold(worker::make_mark(0, 0)));
}

TEST_CASE("a process that cleared its environment is found by the session it shares with one that did not") {
  const Started started("setsid sh -c 'sleep 100 & (env -i sleep 100 &) ; echo >&3; wait' & wait", text_of(mark(5)));
  worker::TreeKiller killer({started.leader, mark(5)}, term(1000), now());
  CHECK(end(killer));
  CHECK(living(worker::ProcessTable(getpid())) == 0);
  reap_all();
}

TEST_CASE("processes that fork without end are ended") {
  const Started started("trap '' TERM; sleep 100 & echo >&3; while :; do sleep 100 & done", text_of(mark(6)));
  worker::TreeKiller killer({started.leader, mark(6)}, term(10), now());
  CHECK(end(killer, true));
  CHECK(living(worker::ProcessTable(getpid())) == 0);
  reap_all();
}

TEST_CASE("a dead process that was not there before may have left a living one: the tree is not gone") {
  const Started first("echo >&3", text_of(mark(9)), mark(9));
  worker::TreeKiller killer({0, mark(9)}, {SIGKILL, 0}, now());
  const auto step = [&] { return killer.step(worker::ProcessTable(getpid()), now(), false); };
  CHECK_FALSE(step());
  CHECK_FALSE(step());
  const Started second("echo >&3", text_of(mark(9)), mark(9));
  siginfo_t ended;
  REQUIRE(waitid(P_PID, static_cast<id_t>(second.leader), &ended, WEXITED | WNOWAIT) == 0);
  CHECK_FALSE(step());
  CHECK_FALSE(step());
  CHECK(step());
  reap_all();
}

TEST_CASE("many that fork and leave at once, in sessions of their own, are ended") {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t leader = fork();
  if (leader == 0) {
    const rlimit locks{mark(10), RLIM_INFINITY};
    setrlimit(RLIMIT_LOCKS, &locks);
    signal(SIGTERM, SIG_IGN);
    const auto until = now() + 30s;
    for (int chain = 0; chain < 20; ++chain) {
      if (fork() != 0) continue;
      while (now() < until) {
        setsid();
        poll(nullptr, 0, 2);
        if (fork() != 0) _exit(0);
      }
      _exit(0);
    }
    _exit(0);
  }
  waitpid(leader, nullptr, 0);
  worker::TreeKiller killer({0, mark(10)}, term(10), now());
  bool is_gone = false;
  for (const auto deadline = now() + 60s; !is_gone && now() < deadline;) {
    is_gone = killer.step(worker::ProcessTable(getpid()), now(), false);
    for (const pid_t dead : killer.dead_children()) waitpid(dead, nullptr, 0);
    poll(nullptr, 0, 1);
  }
  CHECK(is_gone);
  CHECK(killer.last_signal() == SIGKILL);
  errno = 0;
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);  // no child, not even a dead one: none has lived on
  CHECK(errno == ECHILD);
}

TEST_CASE("dead children of the root are named for reaping, and no others") {
  const Started bystander("echo >&3; exit 0");
  const Started started("(setsid sleep 100 &) ; echo >&3; wait; exec sleep 100", text_of(mark(8)));
  worker::TreeKiller killer({started.leader, mark(8)}, term(1000), now());
  std::vector<pid_t> dead;
  while (!killer.step(worker::ProcessTable(getpid()), now(), false))
    for (pid_t pid : killer.dead_children()) dead.push_back(pid);
  for (pid_t pid : killer.dead_children()) dead.push_back(pid);
  CHECK(std::find(dead.begin(), dead.end(), started.leader) != dead.end());
  CHECK(std::find(dead.begin(), dead.end(), bystander.leader) == dead.end());
  reap_all();
  waitpid(bystander.leader, nullptr, 0);
}
