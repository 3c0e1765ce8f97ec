// Files in parts of whole records, of which only what lies about the ends of the parts is read: for --pipe-part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/job.h"
#include "base/result.h"
#include "io/unique_fd.h"
#include "ventilator/record_ends.h"

namespace ventilator {

struct PartPlan {
  std::uint64_t bytes = 0;  // of a part, about; 0: as `parts` says
  std::uint64_t parts = 1;  // of each file
  std::uint64_t header_lines = 0;
};

class FileParts {
 public:
  // Usage, Io, NotFound: a file that cannot be cut so.
  static base::Result<FileParts> open(const std::vector<std::string>& paths, RecordEnds ends, const PartPlan& plan);

  // The next part, of which header() stands before it; none: there are no more. An error is for good.
  base::Result<std::optional<base::InputFile>> next();
  const std::string& header() const { return header_; }  // of the part's file

 private:
  struct File {
    std::string path;  // absolute
    std::uint64_t size = 0, mark = 0;
  };
  FileParts(RecordEnds ends, const PartPlan& plan) : ends_(std::move(ends)), plan_(plan) {}
  base::Status begin_file();
  base::Result<std::uint64_t> end_from(std::uint64_t from);
  base::Status fetch(std::uint64_t from, std::size_t length);

  RecordEnds ends_;
  PartPlan plan_;
  std::vector<File> files_;
  std::size_t next_file_ = 0;
  io::UniqueFd fd_;  // of the file before next_file_
  std::uint64_t at_ = 0, step_ = 0;
  std::string header_, window_;
};

}  // namespace ventilator
