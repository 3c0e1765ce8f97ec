// The files under RUN_DIR/outputs: one for each stream of an attempt that is too large for its row. A file only grows at its end; its length says how much
// of the stream is here. Owned by the sink's shell; open_for_reading() may be called from any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "io/database.h"
#include "io/unique_fd.h"
#include "wire/messages.h"

namespace sink {

class OutputFiles {
 public:
  OutputFiles(std::string run_directory, io::Durability durability);

  // The name of a file as a row has it, relative to the run directory: "outputs/JOB.EPOCH.N.out" or ".err".
  static std::string name(const base::Attempt& attempt, wire::OutputStream stream);

  // Writes `bytes` at `offset`, the end of the file, which it makes if need be. Full: there is no room, and the same call may be made again.
  base::Status append(const base::Attempt& attempt, wire::OutputStream stream, std::uint64_t offset, std::string_view bytes);
  // What was appended since the last call survives what `durability` promises. After an error, which is never Full, it is gone.
  base::Status sync();
  // What one before us wrote is as if it had been appended now: nobody knows how much of it was synced.
  void recover(const base::Attempt& attempt, wire::OutputStream stream);
  void drop(const base::Attempt& attempt);
  void drop(const base::Attempt& attempt, wire::OutputStream stream);

  struct Found {
    base::Attempt attempt;
    wire::OutputStream stream;
    std::uint64_t length;
  };
  base::Result<std::vector<Found>> found() const;

  base::Result<io::UniqueFd> open_for_reading(const std::string& name) const;

 private:
  const std::string run_directory_;
  const io::Durability durability_;
  bool has_folder_ = false;
  bool has_new_file_ = false;
  std::set<std::string> unsynced_;
};

}  // namespace sink
