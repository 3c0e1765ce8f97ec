#include "worker/keeper_pool.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace worker {

base::Result<std::unique_ptr<KeeperPool>> KeeperPool::create(const KeeperRunner::Config& config, std::uint32_t keepers) {
  io::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return base::Error{base::Error::Kind::Io, std::string("cannot create an epoll descriptor: ") + std::strerror(errno)};
  std::unique_ptr<KeeperPool> pool(new KeeperPool(config, keepers, std::move(epoll)));
  for (const Member& member : pool->members_) {
    if (!member.runner->has_timer()) return base::Error{base::Error::Kind::Io, "cannot create a timer: too many open files"};
  }
  return pool;
}

KeeperPool::KeeperPool(const KeeperRunner::Config& config, std::uint32_t keepers, io::UniqueFd epoll) : epoll_(std::move(epoll)), members_(keepers) {
  for (Member& member : members_) member.runner = std::make_unique<KeeperRunner>(config);
}

KeeperPool::~KeeperPool() {
  for (Member& member : members_) member.runner->begin_to_end();
}

void KeeperPool::start(const base::Attempt& attempt, std::uint32_t slot, const base::Command& command, base::Duration limit) {
  const std::size_t index = (slot - 1) % members_.size();
  running_[attempt] = index;
  members_[index].runner->start(attempt, slot, command, limit);
  watch(members_[index]);
}

KeeperPool::Member* KeeperPool::member_of(const base::Attempt& attempt) {
  const auto at = running_.find(attempt);
  return at == running_.end() ? nullptr : &members_[at->second];
}

void KeeperPool::kill(const base::Attempt& attempt) {
  Member* member = member_of(attempt);
  if (member == nullptr) return;
  member->runner->kill(attempt);
  watch(*member);
}

void KeeperPool::grant(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t length) {
  Member* member = member_of(attempt);
  if (member == nullptr) return;
  member->runner->grant(attempt, stream, length);
  watch(*member);
}

void KeeperPool::run_until(base::TimePoint at) {
  for (Member& member : members_) {
    member.runner->run_until(at);
    watch(member);
  }
}

std::vector<StuckAttempt> KeeperPool::take_stuck() {
  std::vector<StuckAttempt> all;
  for (Member& member : members_)
    for (const StuckAttempt& stuck : member.runner->take_stuck()) all.push_back(stuck);
  return all;
}

void KeeperPool::collect(std::vector<OutputRead>& outputs, std::vector<wire::Result>& results) {
  const std::size_t before = results.size();
  for (Member& member : members_) {
    member.runner->collect(outputs, results);
    watch(member);
  }
  for (std::size_t i = before; i < results.size(); ++i) running_.erase(results[i].attempt);
}

}  // namespace worker
