// `pushmill sql`: one query over both databases. Its rows are collected in a file without a name before any is shown: who reads them slowly does not hold the
// run's log open.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "cli/exit_status.h"
#include "cli/standard_output.h"
#include "pushmill/answers.h"
#include "pushmill/run_reader.h"
#include "sink/result_log.h"

namespace pushmill {

using base::Error;

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Both databases on one connection; a run that has no results yet has its jobs all the same.
base::Result<io::Database> open_both(const RunReader& run) {
  auto results = run.results();
  if (!results) return results.error();
  auto jobs = run.jobs();
  if (!jobs) return jobs.error();
  if (!*results && !*jobs) return Error{Error::Kind::NotFound, run.path() + ": nothing has been recorded yet"};
  if (!*results) return std::move(**jobs);
  if (*jobs) {
    if (auto attached = run.attach_jobs(**results); !attached) return attached.error();
  }
  return std::move(**results);
}

base::Status collect(io::Statement& query, Format format, std::FILE* file) {
  std::vector<std::string> names;
  for (int i = 0; i < query.columns(); ++i) names.push_back(query.column_name(i));
  Rows rows(file, format, names);
  for (;;) {
    const auto row = query.step();
    if (!row) return row.error();
    if (!*row) return rows.end();
    std::vector<Value> values;
    for (int i = 0; i < query.columns(); ++i) values.push_back(value_of(query, i));
    rows.add(std::move(values));
  }
}

base::Status copy(std::FILE* file) {
  std::rewind(file);
  char piece[64 << 10];
  for (std::size_t n; (n = std::fread(piece, 1, sizeof piece, file)) > 0;) {
    if (std::fwrite(piece, 1, n, stdout) != n) break;
  }
  if (std::ferror(file) != 0) return Error{Error::Kind::Io, std::string("cannot read a temporary file: ") + std::strerror(errno)};
  return cli::flush(stdout);
}

}  // namespace

base::Result<int> sql(const SqlOptions& options) {
  const auto run = RunReader::open(options.directory);
  if (!run) return run.error();
  const std::unique_ptr<std::FILE, CloseFile> file(std::tmpfile());
  if (file == nullptr) return Error{Error::Kind::Io, std::string("cannot make a temporary file: ") + std::strerror(errno)};
  {
    auto database = open_both(*run);
    if (!database) return database.error();
    std::string_view rest;
    auto query = database->prepare(options.query, &rest);
    if (!query) return Error{Error::Kind::Usage, query.error().message};
    if (query->columns() == 0 || !query->is_read_only())
      return Error{Error::Kind::Usage, "a query that reads is wanted, such as SELECT: the tables are those of RESULTS_DB.md"};
    if (rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) return Error{Error::Kind::Usage, "one query at a time: there is more behind the first"};
    if (auto collected = collect(*query, options.format, file.get()); !collected) return collected.error();
  }
  if (auto copied = copy(file.get()); !copied) return copied.error();
  return cli::kExitOk;
}

}  // namespace pushmill
