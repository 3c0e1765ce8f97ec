#include "io/insist.h"

#include <poll.h>

namespace io {

base::Status insist(const std::function<base::Status()>& action, int stop_fd, const std::function<void(const std::string&)>& say) {
  for (bool is_first = true;; is_first = false) {
    base::Status done = action();
    if (done || done.error().kind != base::Error::Kind::Full) return done;
    if (is_first) say(done.error().message + "; waiting for room");
    pollfd stop{stop_fd, POLLIN, 0};
    if (::poll(&stop, 1, 1000) > 0) return done;
  }
}

}  // namespace io
