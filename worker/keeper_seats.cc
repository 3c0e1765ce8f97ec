#include "worker/keeper_seats.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "worker/process_tree.h"

namespace worker {
namespace {

std::uint64_t name_space_of_processes() {
  struct stat info {};
  return stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

}  // namespace

int SharedSeats::make_file(const std::string& directory) {
  std::string path = directory + "/" + std::string(kPrefix) + "XXXXXX";
  const int fd = directory.empty() ? -1 : mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return -1;
  // Room for all of it now: on a full disk the first touch of a page would be the end of the keeper.
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && posix_fallocate(fd, 0, sizeof(Table)) == 0) return fd;
  unlink(path.c_str());
  close(fd);
  return -1;
}

std::unique_ptr<SharedSeats> SharedSeats::create(const std::string& directory) {
  std::uint32_t keeper = 0;
  if (getrandom(&keeper, sizeof keeper, 0) != static_cast<ssize_t>(sizeof keeper)) return nullptr;
  int fd = make_file(directory);
  if (fd < 0) fd = memfd_create("pushmill-keeper", MFD_CLOEXEC);
  if (fd < 0) return nullptr;
  if (ftruncate(fd, sizeof(Table)) != 0) {
    close(fd);
    return nullptr;
  }
  auto seats = open(fd);
  if (!seats) return nullptr;
  seats->table_->version = kKeeperVersion;
  seats->table_->keeper = keeper;
  seats->table_->processes = name_space_of_processes();
  seats->table_->worker = getpid();
  if (const auto worker = read_process(getpid())) seats->table_->worker_start = worker->start_ticks;
  return seats;
}

std::unique_ptr<SharedSeats> SharedSeats::open(int fd) {
  struct stat info {};
  const bool is_one = fstat(fd, &info) == 0 && static_cast<std::size_t>(info.st_size) == sizeof(Table);
  void* const address = is_one ? mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (address == MAP_FAILED) {
    close(fd);
    return nullptr;
  }
  return std::unique_ptr<SharedSeats>(new SharedSeats(fd, static_cast<Table*>(address)));
}

SharedSeats::~SharedSeats() {
  munmap(table_, sizeof(Table));
  close(fd_);
}

bool SharedSeats::has_our_processes() const { return table_->version == kKeeperVersion && table_->processes == name_space_of_processes(); }

bool SharedSeats::is_worker_gone() const {
  const auto worker = read_process(table_->worker);
  return !worker || worker->is_dead || worker->start_ticks != table_->worker_start;
}

void SharedSeats::remove_file() {
  char path[PATH_MAX];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd_)).c_str(), path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = '\0';
  struct stat ours {}, named {};
  if (fstat(fd_, &ours) == 0 && lstat(path, &named) == 0 && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) unlink(path);
}

}  // namespace worker
