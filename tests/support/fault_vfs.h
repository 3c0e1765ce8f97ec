// SQLite's own way to the disk with faults in it, for tests of what stands on io::Database: while one is alive, each database opened goes through it. Calls
// that change the disk are counted while a fault is armed, and from the chosen one on one or all of them fail.
#pragma once

#include <memory>
#include <string>

namespace test {

class FaultVfs {
 public:
  enum class Kind {
    Full,        // SQLITE_FULL, as SQLite's unix layer says it
    ShortWrite,  // half of a write is done, then the disk is full
    Quota,       // an I/O error whose errno is EDQUOT
    Io,          // an I/O error whose errno is EIO
  };
  struct Fault {
    Kind kind = Kind::Full;
    int nth = 1;            // the call that fails, from 1
    bool for_ever = false;  // and all that follow
  };

  FaultVfs();
  ~FaultVfs();  // REQUIRES: no database opened through it is open

  void arm(const Fault& fault);
  void heal();
  // Calls that failed since arm(); how the first of them is called: "write", "sync", "truncate", "open", "map".
  int fired() const;
  const std::string& first() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace test
