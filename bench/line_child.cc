// The least that a coprocess can be: it writes back what it reads. With arguments it is the bare loop over such children that scripts/bench compares with:
// line_child CHILDREN LINES BYTES gives one line at a time to each and takes it back.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

int give_back() {
  static char bytes[1 << 16];
  for (ssize_t n; (n = read(0, bytes, sizeof bytes)) > 0;)
    if (write(1, bytes, static_cast<std::size_t>(n)) != n) return 1;
  return 0;
}

struct Child {
  int in, out;
};

Child start() {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::exit(1);
  if (fork() == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    execl("/proc/self/exe", "line_child", static_cast<char*>(nullptr));
    _exit(1);
  }
  close(in[0]);
  close(out[1]);
  return {in[1], out[0]};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return give_back();
  std::vector<Child> children(std::strtoul(argv[1], nullptr, 10));
  const unsigned long lines = std::strtoul(argv[2], nullptr, 10);
  const std::string line = std::string(std::strtoul(argv[3], nullptr, 10), 'x') + "\n";
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  unsigned long given = 0, taken = 0;
  const auto give = [&](const Child& child) {
    if (given < lines && write(child.in, line.data(), line.size()) == static_cast<ssize_t>(line.size())) ++given;
  };
  for (Child& child : children) {
    child = start();
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &child;
    epoll_ctl(poll, EPOLL_CTL_ADD, child.out, &event);
    give(child);
  }
  std::string answer(1 << 16, '\0');
  while (taken < lines) {
    epoll_event events[64];
    const int count = epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      const Child& child = *static_cast<Child*>(events[i].data.ptr);
      if (read(child.out, answer.data(), answer.size()) <= 0) return 1;
      ++taken;
      give(child);
    }
  }
  return 0;
}
