// The least that any runner of commands must do: spawn_loop SLOTS JOBS COMMAND [ARGUMENT...] spawns COMMAND ARGUMENT... NUMBER for 1..JOBS, so many at a
// time, reads stdout and stderr through pipes, reaps and writes each output when its command has ended. No shell, no log, no limits, no recovery.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Job {
  pid_t pid = 0;  // 0: this slot is free
  int fd[2] = {-1, -1};
  std::string bytes[2];
};

void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

void start(Job& job, char** words, int count, long number) {
  const std::string last = std::to_string(number);
  std::vector<char*> argv(words, words + count);
  argv.push_back(const_cast<char*>(last.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  int write_end[2];
  for (int i = 0; i < 2; ++i) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) die("pipe2");
    job.fd[i] = pair[0];
    write_end[i] = pair[1];
    posix_spawn_file_actions_adddup2(&actions, pair[1], i + 1);
  }
  if (posix_spawnp(&job.pid, argv[0], &actions, nullptr, argv.data(), environ) != 0) die(argv[0]);
  posix_spawn_file_actions_destroy(&actions);
  for (int fd : write_end) close(fd);
}

// Reads what is there; true when both pipes are at their end.
bool read_some(Job& job, const pollfd* polled) {
  for (int i = 0; i < 2; ++i) {
    if (job.fd[i] < 0 || polled[i].revents == 0) continue;
    char buffer[65536];
    const ssize_t n = read(job.fd[i], buffer, sizeof buffer);
    if (n > 0) job.bytes[i].append(buffer, static_cast<std::size_t>(n));
    if (n == 0) close(job.fd[i]), job.fd[i] = -1;
  }
  return job.fd[0] < 0 && job.fd[1] < 0;
}

void finish(Job& job) {
  int status = 0;
  waitpid(job.pid, &status, 0);
  if (status != 0) std::exit(2);
  for (int i = 0; i < 2; ++i) std::fwrite(job.bytes[i].data(), 1, job.bytes[i].size(), i == 0 ? stdout : stderr);
  job = {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::fprintf(stderr, "usage: spawn_loop SLOTS JOBS COMMAND [ARGUMENT...]\n"), 1;
  std::vector<Job> slots(static_cast<std::size_t>(std::atol(argv[1])));
  const long jobs = std::atol(argv[2]);
  std::vector<pollfd> polled(2 * slots.size());
  for (long started = 0, ended = 0; ended < jobs;) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (slots[i].pid == 0 && started < jobs) start(slots[i], argv + 3, argc - 3, ++started);
      for (std::size_t s = 0; s < 2; ++s) polled[2 * i + s] = {slots[i].fd[s], POLLIN, 0};
    }
    poll(polled.data(), polled.size(), -1);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (slots[i].pid == 0 || !read_some(slots[i], &polled[2 * i])) continue;
      finish(slots[i]);
      ++ended;
    }
  }
}
