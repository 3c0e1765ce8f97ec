// The files that each job of a run gets where its user asked for such: those that its label names (--results DIR, --out), or new ones (--files). Owned by the
// output writer and used in its thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/job.h"
#include "base/result.h"
#include "io/database.h"
#include "io/unique_fd.h"
#include "sink/output_files.h"
#include "sink/presentation.h"
#include "sink/result_log.h"

namespace sink {

class JobFiles {
 public:
  // Called where the disk is full, with what cannot be written: waits a while, and says whether it is to be tried again. With none: there is room again.
  using WaitForRoom = std::function<bool(const base::Error*)>;

  // `folder`: for those of --files; empty: $TMPDIR or /tmp. With Durability::Power a file of --out is on the disk before its name is.
  JobFiles(const OutputFiles& outputs, const Presentation& how, std::string folder, io::Durability durability, WaitForRoom wait);

  // Writes those of a finished job; the value is the name of the one with its stdout, as it is to be printed. Written again they are the same, but for those of
  // --files: they are new each time, and those of before stay. The directory of a file of --out has to be there; those of --results are made.
  // Full: there was no room, and it was not to be waited for. After any error no file is left that was cut short.
  base::Result<std::string> write(const Row& row, const base::Label& label) const;

 private:
  base::Result<std::string> write_once(const Row& row, const base::Label& label) const;
  base::Result<std::string> write_folder(const Row& row, const base::Label& label) const;
  base::Result<std::string> write_whole(const Row& row, const base::Label& label) const;
  base::Result<std::string> write_new(const Row& row) const;
  base::Status write_all(int fd, const std::string& path, std::string_view bytes) const;
  base::Status write_stream(int fd, const std::string& path, const Row& row, wire::OutputStream stream) const;
  base::Status write_file(io::UniqueFd fd, const std::string& path, const Row& row, wire::OutputStream stream) const;

  const OutputFiles& outputs_;
  const Presentation how_;
  const std::string folder_;
  const io::Durability durability_;
  const WaitForRoom wait_;
};

}  // namespace sink
