// The files under RUN_DIR/inputs: what a job reads on stdin, where that is large. The ventilator makes them; those of jobs that have succeeded are of no use,
// those of failed ones may be wanted again. Owned by the sink's shell.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "io/unique_fd.h"

namespace sink {

class InputFiles {
 public:
  explicit InputFiles(const std::string& run_directory);

  // Those that are there.
  std::set<base::JobId> found() const;
  void add(base::JobId job) { succeeded_.push_back(job); }  // its row goes into the next commit
  void drop();                                              // of all that were added: the commit is done

 private:
  std::string path_;
  io::UniqueFd folder_;
  std::vector<base::JobId> succeeded_;
};

}  // namespace sink
