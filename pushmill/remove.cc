// `pushmill rm`.
#include <cstdio>
#include <filesystem>

#include "cli/exit_status.h"
#include "io/clock.h"
#include "io/run_directory.h"
#include "pushmill/answers.h"
#include "pushmill/run_reader.h"

namespace pushmill {

using base::Error;

namespace {

base::Status remove_run(const std::string& directory, io::TakeOver take_over) {
  const auto found = io::find_run_directory(directory);  // refuses what is another's
  if (!found) return found.error();
  if (std::error_code error; std::filesystem::is_symlink(found->path, error))
    return Error{Error::Kind::Usage, found->path + ": is a link: name the directory itself"};
  if (const auto stranger = io::stranger_in(found->path); !stranger.empty()) {
    return Error{Error::Kind::Usage, found->path + ": also holds " + shown(stranger) + ", which is not pushmill's: nothing is removed"};
  }
  const auto ventilator = io::Lock::take(found->path, io::Lock::kVentilator, "rm", take_over);
  if (!ventilator) return ventilator.error();
  const auto sink = io::Lock::take(found->path, io::Lock::kSink, "rm", take_over);
  if (!sink) return sink.error();
  return io::remove_run_directory(found->path);
}

std::vector<std::string> chosen(const RemoveOptions& options) {
  if (!options.directories.empty()) return options.directories;
  std::vector<std::string> paths;
  for (const std::string& path : io::runs_without_a_name()) {
    const auto run = RunReader::open(path);
    if (!run || run->state() == RunReader::State::Live) continue;
    if (options.ended && run->state() != RunReader::State::Ended) continue;
    if (options.older.count() > 0 && io::wall_now() - run->changed_at() < options.older.count()) continue;
    paths.push_back(path);
  }
  return paths;
}

}  // namespace

// What cannot be removed does not keep the others; the status is that of the first that could not.
base::Result<int> remove(const RemoveOptions& options) {
  int status = cli::kExitOk;
  for (const std::string& path : chosen(options)) {
    const auto removed = remove_run(path, options.take_over);
    if (removed) continue;
    std::fprintf(stderr, "pushmill rm: %s\n", removed.error().message.c_str());
    if (status == cli::kExitOk) status = cli::exit_status(removed.error().kind);
  }
  return status;
}

}  // namespace pushmill
