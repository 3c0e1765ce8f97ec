// keeper: started by a worker with its end of a socket pair as descriptor 3 and the shared seats as 4. Not meant to be called by hand.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "worker/keeper.h"
#include "worker/keeper_seats.h"

namespace {

// glibc's posix_spawn leaves its two internal signals ignored, and its sigaction refuses to touch them; commands would inherit that.
void reset_internal_signals() {
  const unsigned long default_action[4] = {};
  for (long signal : {32, 33}) syscall(SYS_rt_sigaction, signal, default_action, nullptr, 8);
}

}  // namespace

int main() {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(worker::kKeeperSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    std::fprintf(stderr, "keeper: started by worker and pushmill only\n");
    return 64;
  }
  fcntl(worker::kKeeperSocket, F_SETFD, FD_CLOEXEC);
  fcntl(worker::kKeeperSeats, F_SETFD, FD_CLOEXEC);
  close_range(worker::kKeeperSeats + 1, ~0u, 0);
  if (fcntl(2, F_GETFD) < 0) open("/dev/null", O_WRONLY);  // or a command's pipe could become our stderr

  reset_internal_signals();
  auto seats = worker::SharedSeats::open(worker::kKeeperSeats);
  if (!seats) return 1;
  return worker::Keeper(worker::kKeeperSocket, std::move(seats)).run();
}
