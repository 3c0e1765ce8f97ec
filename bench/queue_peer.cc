// Producer, two workers and collector of echo jobs for the queues that scripts/bench compares with: queue_peer gearman|beanstalkd PORT JOBS BYTES. A thread and
// a connection each, as many requests in one write as the protocol lets: that is what the server can do, not what its usual clients do. Of beanstalkd
// a worker puts the answer into a second queue, for the collector; gearman brings it back to the producer.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

constexpr std::size_t kUnanswered = 1000;  // jobs given in and not acknowledged (beanstalkd) or not done (gearman)
constexpr std::size_t kBatch = 32;         // jobs that a worker asks for at once

void die(const char* what) {
  std::fprintf(stderr, "queue_peer: %s\n", what);
  std::_Exit(1);
}

class Connection {
 public:
  explicit Connection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("cannot connect");
  }

  std::string out;  // goes out before the next wait for bytes

  std::string_view take(std::size_t bytes) {  // valid until the next take
    while (in_.size() - at_ < bytes) fill();
    at_ += bytes;
    return std::string_view(in_).substr(at_ - bytes, bytes);
  }
  std::string_view take_line() {  // without its \r\n
    std::size_t end;
    while ((end = in_.find("\r\n", at_)) == std::string::npos) fill();
    const std::size_t begin = std::exchange(at_, end + 2);
    return std::string_view(in_).substr(begin, end - begin);
  }
  bool is_drained() const { return at_ == in_.size(); }

 private:
  void fill() {
    for (std::size_t sent = 0; sent < out.size();) {
      const ssize_t n = send(fd_, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) die("cannot send");
      sent += static_cast<std::size_t>(n);
    }
    out.clear();
    in_.erase(0, std::exchange(at_, 0));
    const std::size_t old = in_.size();
    in_.resize(old + (64u << 10));
    const ssize_t n = recv(fd_, in_.data() + old, in_.size() - old, 0);
    if (n <= 0) die("the server has left");
    in_.resize(old + static_cast<std::size_t>(n));
  }

  int fd_;
  std::string in_;
  std::size_t at_ = 0;
};

std::string line(std::size_t number, std::size_t bytes) {
  std::string text = std::to_string(number);
  return text.insert(0, bytes - std::min(bytes, text.size()), '0');
}

// ---- beanstalkd

bool starts(std::string_view text, const char* with) { return text.substr(0, std::strlen(with)) == with; }

void put(std::string& out, std::string_view body) {
  out.append("put 0 0 600 ").append(std::to_string(body.size())).append("\r\n").append(body).append("\r\n");
}

// Takes jobs of `queue` for ever and deletes them. `take` gets the body of each, may add requests that go out before the delete, and says how many.
template <typename Take>
void consume(Connection& from, const char* queue, Take take) {
  from.out.append("watch ").append(queue).append("\r\nignore default\r\n");
  from.take_line();
  from.take_line();
  std::size_t asked = 1;  // the first may wait, more may not: what is behind a waiting one waits too
  from.out += "reserve\r\n";
  for (;;) {
    std::size_t taken = 0, answers = 0;
    std::string next;
    for (std::size_t i = 0; i < asked; ++i) {
      const std::string head(from.take_line());
      if (starts(head, "TIMED_OUT")) continue;
      std::size_t id = 0, size = 0;
      if (std::sscanf(head.c_str(), "RESERVED %zu %zu", &id, &size) != 2) die(head.c_str());
      answers += 1 + take(from.take(size + 2).substr(0, size), next);
      next.append("delete ").append(std::to_string(id)).append("\r\n");
      ++taken;
    }
    from.out = std::move(next);
    const bool is_dry = taken < asked;
    asked = is_dry ? 1 : kBatch;
    for (std::size_t i = 0; i < asked; ++i) from.out += is_dry ? "reserve\r\n" : "reserve-with-timeout 0\r\n";
    for (std::size_t i = 0; i < answers; ++i) {
      const std::string_view answer = from.take_line();
      if (!starts(answer, "INSERTED") && !starts(answer, "DELETED")) die(std::string(answer).c_str());
    }
  }
}

void beanstalkd(int port, std::size_t jobs, std::size_t bytes) {
  const auto worker = [port] {
    Connection server(port);
    server.out += "use answers\r\n";
    server.take_line();
    consume(server, "jobs", [](std::string_view body, std::string& out) { return put(out, body), 1; });
  };
  std::thread(worker).detach();
  std::thread(worker).detach();
  std::thread([=] {
    Connection server(port);
    server.out += "use jobs\r\n";
    server.take_line();
    for (std::size_t given = 0, stored = 0; stored < jobs; ++stored) {
      while (server.is_drained() && given < jobs && given - stored < kUnanswered) put(server.out, line(++given, bytes));
      if (!starts(server.take_line(), "INSERTED")) die("a put was refused");
    }
  }).detach();
  Connection collector(port);
  std::size_t collected = 0;
  std::uint64_t sum = 0;  // of the answers: each must come back once
  consume(collector, "answers", [&](std::string_view body, std::string&) {
    sum += std::strtoull(std::string(body).c_str(), nullptr, 10);
    if (++collected < jobs) return 0;
    if (sum != jobs * (jobs + 1) / 2) die("not all answers came back");
    std::_Exit(0);
  });
}

// ---- gearman

enum Packet : std::uint32_t { kCanDo = 1, kPreSleep = 4, kNoop = 6, kSubmitJob = 7, kJobCreated = 8, kGrabJob = 9, kNoJob = 10, kJobAssign = 11, kWorkComplete = 13 };

void add(std::string& out, Packet type, std::string_view data) {
  const std::uint32_t numbers[2] = {htonl(type), htonl(static_cast<std::uint32_t>(data.size()))};
  out.append("\0REQ", 4).append(reinterpret_cast<const char*>(numbers), sizeof numbers).append(data);
}

std::uint32_t read_packet(Connection& from, std::string& data) {
  std::uint32_t numbers[2];
  std::memcpy(numbers, from.take(12).data() + 4, sizeof numbers);
  data = from.take(ntohl(numbers[1]));
  return ntohl(numbers[0]);
}

void gearman_worker(int port) {
  Connection server(port);
  add(server.out, kCanDo, "echo");
  std::size_t asked = 0;
  const auto ask = [&] {
    for (; asked < kBatch; ++asked) add(server.out, kGrabJob, "");
  };
  ask();
  for (std::string data;;) {
    switch (read_packet(server, data)) {
      case kJobAssign: {
        --asked;
        const std::size_t handle = data.find('\0') + 1, function = data.find('\0', handle) + 1;
        add(server.out, kWorkComplete, data.substr(0, handle) + data.substr(function));
        if (asked <= kBatch / 2) ask();
        break;
      }
      case kNoJob:
        if (--asked == 0) add(server.out, kPreSleep, "");
        break;
      case kNoop: ask(); break;
      default: die("an unexpected packet");
    }
  }
}

void gearman(int port, std::size_t jobs, std::size_t bytes) {
  for (int i = 0; i < 2; ++i) std::thread(gearman_worker, port).detach();
  Connection server(port);
  std::string data;
  std::uint64_t sum = 0;  // of the answers: each must come back once
  for (std::size_t given = 0, done = 0; done < jobs;) {
    while (server.is_drained() && given < jobs && given - done < kUnanswered) {
      const std::string unique = std::to_string(++given);  // jobs without one would be taken for the same
      add(server.out, kSubmitJob, std::string("echo\0", 5) + unique + '\0' + line(given, bytes));
    }
    const std::uint32_t type = read_packet(server, data);
    if (type == kWorkComplete) sum += std::strtoull(data.c_str() + data.find('\0') + 1, nullptr, 10), ++done;
    else if (type != kJobCreated) die("an unexpected packet");
  }
  if (sum != jobs * (jobs + 1) / 2) die("not all answers came back");
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string kind = argc == 5 ? argv[1] : "";
  if (kind != "gearman" && kind != "beanstalkd") return std::fprintf(stderr, "usage: queue_peer gearman|beanstalkd PORT JOBS BYTES\n"), 2;
  (kind == "gearman" ? gearman : beanstalkd)(std::atoi(argv[2]), std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10));
}
