// The files that each job of a run gets where its user asked for such: those that its label names (--results DIR, --out), or new ones (--files). Owned by the
// output writer and used in its thread.
#pragma once

#include <string>

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
  // `folder`: for those of --files; empty: $TMPDIR or /tmp. With Durability::Power a file of --out is on the disk before its name is.
  JobFiles(const OutputFiles& outputs, const Presentation& how, std::string folder, io::Durability durability);

  // Writes those of a finished job; the value is the name of the one with its stdout, as it is to be printed. Writing them again gives the same.
  // The directory of a file of --out has to be there; those of --results are made.
  base::Result<std::string> write(const Row& row, const base::Label& label) const;

 private:
  base::Result<std::string> write_folder(const Row& row, const base::Label& label) const;
  base::Result<std::string> write_whole(const Row& row, const base::Label& label) const;
  base::Result<std::string> write_new(const Row& row) const;
  base::Status write_stream(int fd, const std::string& path, const Row& row, wire::OutputStream stream) const;
  base::Status write_file(io::UniqueFd fd, const std::string& path, const Row& row, wire::OutputStream stream) const;

  const OutputFiles& outputs_;
  const Presentation how_;
  const std::string folder_;
  const io::Durability durability_;
};

}  // namespace sink
