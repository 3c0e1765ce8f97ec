#include "sink/input_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "io/run_directory.h"

namespace sink {

InputFiles::InputFiles(const std::string& run_directory) : path_(run_directory + "/" + io::kInputs) {}

std::set<base::JobId> InputFiles::found() const {
  std::set<base::JobId> jobs;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    base::JobId job = 0;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), job);
    if (fault == std::errc{} && end == name.data() + name.size()) jobs.insert(job);
  }
  return jobs;
}

void InputFiles::drop() {
  // A run without blocks has no such folder; one with them may get it at any time.
  if (!folder_ && !succeeded_.empty()) folder_ = io::UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  for (const base::JobId job : succeeded_) {
    if (!folder_) break;
    ::unlinkat(folder_.get(), std::to_string(job).c_str(), 0);
  }
  succeeded_.clear();
}

}  // namespace sink
