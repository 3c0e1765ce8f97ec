#include "worker/keeper_spawn.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace worker {
namespace {

constexpr std::size_t kStackBytes = 64u << 10;

struct Child {
  const SpawnPlan& plan;
  SpawnOutcome outcome;
  pid_t parent;
};

// Runs in the child on a stack of its own, in the parent's memory: system calls only.
int become_command(void* argument) {
  Child& child = *static_cast<Child*>(argument);
  const SpawnPlan& plan = child.plan;
  const auto fail = [&child](SpawnOutcome::Failed step) {
    child.outcome.failed = step;
    child.outcome.error = errno;
    _exit(127);
  };
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // it does not outlive a keeper that is killed together with the worker
  if (getppid() != child.parent) _exit(127);
  setrlimit(RLIMIT_LOCKS, &plan.locks);  // fails where the hard limit is finite; the environment has the mark too
  if (plan.ignores_child_signal) std::signal(SIGCHLD, SIG_IGN);  // the keeper itself must not ignore it
  setrlimit(RLIMIT_NOFILE, &plan.open_files);
  if (dup2(plan.in, 0) < 0 || dup2(plan.out, 1) < 0 || dup2(plan.err, 2) < 0) fail(SpawnOutcome::Failed::Fork);
  if (plan.directory != nullptr && chdir(plan.directory) != 0) fail(SpawnOutcome::Failed::Directory);
  if (plan.nice != 0) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + plan.nice);  // one that may not be had is not
  // Last, so that a signal that is already waiting meets a group that is set up.
  sigprocmask(SIG_SETMASK, &plan.mask, nullptr);
  execve(plan.path, plan.argv, plan.environment);
  fail(SpawnOutcome::Failed::Exec);
  return 127;
}

void* child_stack() {
  static void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  return stack;
}

}  // namespace

SpawnOutcome spawn(const SpawnPlan& plan) {
  Child child{plan, {}, getpid()};
  void* const stack = child_stack();
  // CLONE_VFORK: we go on when the child has executed or ended, so one stack serves them all and `child` outlives its use.
  const pid_t pid = stack == MAP_FAILED ? -1
                                        : clone(become_command, static_cast<char*>(stack) + kStackBytes, CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD,
                                                &child, plan.group);
  if (pid < 0) {
    *plan.group = 0;
    return {SpawnOutcome::Failed::Fork, errno, 0};
  }
  if (child.outcome.failed != SpawnOutcome::Failed::Nothing) {
    waitpid(pid, nullptr, 0);
    *plan.group = 0;
    return child.outcome;
  }
  child.outcome.pid = pid;
  return child.outcome;
}

}  // namespace worker
