// Several keepers as one runner of commands. A keeper waits while each child executes its program, some 0.3 ms, so one alone starts no more than about
// 3,000 commands a second; with one for each CPU that works no CPU waits for another.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "io/unique_fd.h"
#include "worker/keeper_runner.h"

namespace worker {

class KeeperPool {
 public:
  // A slot's commands all go to the same keeper; `keepers` at most, each started when it gets its first command. REQUIRES: keepers > 0.
  static base::Result<std::unique_ptr<KeeperPool>> create(const KeeperRunner::Config& config, std::uint32_t keepers);
  ~KeeperPool();

  // As KeeperRunner has them.
  void start(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, base::Duration limit);
  void kill(const base::Attempt& attempt);
  int fd() const { return epoll_.get(); }  // to be read from
  void grant(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t length);
  void run_until(base::TimePoint at);
  std::vector<StuckAttempt> take_stuck();
  void collect(std::vector<OutputRead>& outputs, std::vector<wire::Result>& results);

 private:
  struct Member {
    std::unique_ptr<KeeperRunner> runner;
    KeeperWatch watch;
  };
  KeeperPool(const KeeperRunner::Config& config, std::uint32_t keepers, io::UniqueFd epoll);
  Member* member_of(const base::Attempt& attempt);
  void watch(Member& member) { member.watch.renew(epoll_.get(), *member.runner, 0); }

  io::UniqueFd epoll_;
  std::vector<Member> members_;
  std::unordered_map<base::Attempt, std::size_t, base::HashAttempt> running_;  // to its member
};

}  // namespace worker
