// The table of the attempts that a keeper runs, shared by it and its worker: what must be known of them when one is killed, or both.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "worker/keeper_protocol.h"
#include "worker/process_mark.h"

namespace worker {

// The keeper writes; the worker reads after the keeper's death, and whoever finds the file after the death of both (orphans.h): the table is locked as long
// as one of them has it open.
class SharedSeats {
 public:
  struct Seat {
    pid_t group = 0;           // of the leader, from before its first step until its attempt is reported
    std::uint32_t serial = 0;  // of the start, and so of its mark; 0: the seat is empty
  };
  // A table for a new keeper, in a file of `directory`; in memory only where none is named or none can be written. None when the system has no memory for it.
  static std::unique_ptr<SharedSeats> create(const std::string& directory);
  static std::unique_ptr<SharedSeats> open(int fd);  // takes the descriptor; none when it is not such a table
  ~SharedSeats();
  SharedSeats(const SharedSeats&) = delete;
  SharedSeats& operator=(const SharedSeats&) = delete;

  int fd() const { return fd_; }
  std::uint32_t keeper() const { return table_->keeper; }
  Seat& at(std::uint32_t seat) { return table_->seats[seat]; }  // REQUIRES: seat < kSeats
  Mark mark(std::uint32_t seat) const { return make_mark(keeper(), table_->seats[seat].serial); }
  // Whether its process ids are those that this process sees: two containers may share the directory.
  bool has_our_processes() const;
  bool is_worker_gone() const;
  void remove_file();  // nothing is left of what it tells

  static constexpr std::string_view kPrefix = "keeper-";  // of the names of the files

 private:
  struct Table {
    std::uint32_t version;
    std::uint32_t keeper;
    std::uint64_t processes;     // the name space of process ids
    pid_t worker;
    std::uint64_t worker_start;  // in the ticks of Process
    Seat seats[kSeats];
  };
  SharedSeats(int fd, Table* table) : fd_(fd), table_(table) {}
  static int make_file(const std::string& directory);
  int fd_;
  Table* table_;
};

}  // namespace worker
