// `pushmill output`: the bytes of one stream of one job, as they were.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/exit_status.h"
#include "cli/standard_output.h"
#include "io/unique_fd.h"
#include "pushmill/answers.h"
#include "pushmill/run_reader.h"

namespace pushmill {

using base::Error;

namespace {

// Of one attempt of a job.
struct Found {
  std::uint64_t bytes = 0;  // of the stream, kept or not
  std::optional<std::string> text, file;
};

base::Result<std::optional<Found>> find(io::Database& results, const char* table, const OutputOptions& options) {
  const std::string stream = options.err ? "stderr" : "stdout";
  std::string sql = "SELECT " + stream + "_bytes, " + stream + ", " + stream + "_file FROM " + table + " WHERE job = ?1";
  if (options.attempt > 0) sql += " AND attempt = ?2 AND outcome <> 'superseded'";
  auto select = results.prepare(sql);
  if (!select) return select.error();
  select->bind(1, static_cast<std::int64_t>(options.job));
  if (options.attempt > 0) select->bind(2, options.attempt);
  const auto row = select->step();
  if (!row) return row.error();
  if (!*row) return std::optional<Found>();
  Found found{static_cast<std::uint64_t>(select->integer(0)), std::nullopt, std::nullopt};
  if (!select->is_null(1)) found.text = select->text(1);
  if (!select->is_null(2)) found.file = select->text(2);
  return std::optional(std::move(found));
}

base::Status copy_file(const std::string& path) {
  const io::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return Error{errno == ENOENT ? Error::Kind::NotFound : Error::Kind::Io, path + ": cannot open: " + std::strerror(errno)};
  std::string piece(256u << 10, '\0');
  for (;;) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Error::Kind::Io, path + ": cannot read: " + std::strerror(errno)};
    if (n == 0) return cli::flush(stdout);
    if (std::fwrite(piece.data(), 1, static_cast<std::size_t>(n), stdout) != static_cast<std::size_t>(n)) return cli::flush(stdout);
  }
}

}  // namespace

base::Result<int> output(const OutputOptions& options) {
  const auto run = RunReader::open(options.directory);
  if (!run) return run.error();
  std::optional<Found> found;
  bool is_earlier = false;  // an attempt behind which another came
  {
    auto results = run->results();
    if (!results) return results.error();
    for (const char* table : {"results", "attempts"}) {
      if (!*results || found || (options.attempt == 0 && std::strcmp(table, "attempts") == 0)) continue;
      auto row = find(**results, table, options);
      if (!row) return row.error();
      found = std::move(*row);
      is_earlier = found && std::strcmp(table, "attempts") == 0;
    }
  }
  const std::string job = "job " + std::to_string(options.job);
  if (!found && options.attempt > 0)
    return Error{Error::Kind::NotFound, job + " has no attempt " + std::to_string(options.attempt) + " that has ended: see pushmill why"};
  if (!found) return Error{Error::Kind::NotFound, job + " is not finished in " + run->path() + ": see pushmill why"};
  if (found->file) {
    if (auto copied = copy_file(run->path() + "/" + *found->file); !copied) return copied.error();
    return cli::kExitOk;
  }
  if (!found->text && found->bytes > 0) {
    return Error{Error::Kind::NotFound, std::string(options.err ? "the stderr of " : "the stdout of ") + job + ", " + std::to_string(found->bytes) +
                                            (is_earlier ? " bytes, was not kept: of attempts that are run again it is not" : " bytes, was not kept: --keep-output says whose outputs are")};
  }
  if (found->text) std::fwrite(found->text->data(), 1, found->text->size(), stdout);
  if (auto written = cli::flush(stdout); !written) return written.error();
  return cli::kExitOk;
}

}  // namespace pushmill
