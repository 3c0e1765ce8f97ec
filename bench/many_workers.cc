// Many workers in one process: many_workers ENDPOINT N joins the run whose sink listens there with N workers of one slot, each the shell that the worker
// program runs, on a thread of its own. For measuring what the head does for many; they share a core, so their own speed says nothing.
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "cli/log.h"
#include "io/signals.h"
#include "io/socket.h"
#include "worker/handlers.h"
#include "worker/shell.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: many_workers ENDPOINT N\n"), 2;
  const int count = std::atoi(argv[2]);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const auto signals = io::Signals::block();
  auto context = io::Context::create(1, 65535);
  if (!signals || !context) return std::fprintf(stderr, "many_workers: cannot start\n"), 1;
  const cli::Log log("many_workers");
  const auto handlers = worker::built_in_handlers();
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      worker::ShellConfig config;
      config.sink_endpoint = argv[1];
      config.stop_fd = signals->fd();
      const auto why = worker::Shell(*context, config, handlers, log).run();
      if (why && *why == worker::Exit::Why::RunComplete) return;
      if (!why) log.error(why.error().message);
      ++failed;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return failed == 0 ? 0 : 1;
}
