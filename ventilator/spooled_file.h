// A file under RUN_DIR/inputs, which grows with what is read: what a job has on stdin, where that is too large for the job itself. Owned by Blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/result.h"
#include "ventilator/mark.h"

namespace ventilator {

struct SpoolPlace {
  std::string run_directory;  // empty: nothing is kept, for a run that is only shown
  bool is_synced = false;     // files survive the loss of power
};

class SpooledFile {
 public:
  static constexpr base::JobId kAll = 0;  // of no job: what all jobs read

  SpooledFile(const SpoolPlace& place, base::JobId job);

  // The bytes have to stay where they are until store().
  void add(std::string_view bytes);
  // A part of another file; REQUIRES: nothing is added behind it.
  void add(base::InputFile part);
  // What was added is in the file, unless its job was accepted before: then it has been there. The last one makes it durable. May be called again after Full.
  base::Status store(base::JobId accepted, bool is_last);
  // What the job reads, once all has been added.
  base::InputFile input() const { return {path_, 0, length_, mark_.value()}; }

  static std::string path_of(const std::string& run_directory, base::JobId job);
  // What a crash has left: files of jobs that were not accepted, and the one for all where none was.
  static void drop_leftovers(const std::string& run_directory, base::JobId accepted);
  // The one for all, when no job reads it any more.
  static void drop_shared(const std::string& run_directory);

 private:
  base::Status write(bool is_last) const;

  SpoolPlace place_;
  base::JobId job_;
  std::string path_;
  std::uint64_t length_ = 0, stored_ = 0;
  Mark mark_;
  std::vector<std::string_view> fresh_;  // what is behind stored_
  base::InputFile copied_ = {};          // and this
};

}  // namespace ventilator
