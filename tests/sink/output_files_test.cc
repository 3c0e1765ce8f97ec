#include "sink/output_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "sink/output_writer.h"
#include "tests/sink/output_support.h"

namespace {

using base::Attempt;
using base::Error;
using sink::KeepOutput;
using sink::Order;
using sink::OutputFiles;
using sink::OutputWriter;
using wire::OutputStream;

constexpr Attempt kFirst{12, 1, 34};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void append(OutputFiles& files, const Attempt& attempt, OutputStream stream, std::uint64_t offset, const std::string& bytes) {
  const auto done = files.append(attempt, stream, offset, bytes);
  if (!done) FAIL(done.error().message);
}

TEST_CASE("parts make a file that is named after its attempt and stream, and found again with its length", "[output_files]") {
  TemporaryFolder folder;
  OutputFiles files(folder.path(), io::Durability::Power);
  CHECK(files.found()->empty());
  CHECK_FALSE(std::filesystem::exists(folder / "outputs"));
  append(files, kFirst, OutputStream::Out, 0, "abc");
  append(files, kFirst, OutputStream::Out, 3, "de");
  append(files, kFirst, OutputStream::Err, 0, "x");
  CHECK(files.sync());
  CHECK(contents(folder / "outputs/12.1.34.out") == "abcde");
  CHECK((std::filesystem::status(folder / "outputs").permissions() & std::filesystem::perms::others_all) == std::filesystem::perms::none);
  std::ofstream(folder / "outputs/notes.txt") << "not ours";
  auto found = files.found();
  REQUIRE(found);
  REQUIRE(found->size() == 2);
  for (const auto& file : *found) {
    CHECK(file.attempt == kFirst);
    CHECK(file.length == (file.stream == OutputStream::Out ? 5 : 1));
  }
  files.drop(kFirst);
  CHECK(files.found()->empty());
  CHECK(std::filesystem::exists(folder / "outputs/notes.txt"));
}

TEST_CASE("a full disk is told from any other error, and the same part may be written again when there is room", "[output_files]") {
  TemporaryFolder folder;
  OutputFiles files(folder.path(), GENERATE(io::Durability::Process, io::Durability::Power));
  append(files, kFirst, OutputStream::Out, 0, "abc");
  // Some file systems tell at the close only what became of a write.
  for (const char* call : {"write", "close"}) {
    for (const int error : {ENOSPC, EDQUOT, EIO, EFBIG}) {
      const test::FaultyDisk faulty(call, "outputs/", error);
      const auto refused = files.append(kFirst, OutputStream::Out, 3, "de");
      REQUIRE_FALSE(refused);
      CHECK(refused.error().kind == (error == ENOSPC || error == EDQUOT ? Error::Kind::Full : Error::Kind::Io));
      CHECK(refused.error().message == "cannot write " + (folder / "outputs/12.1.34.out") + ": " + std::strerror(error));
    }
  }
  append(files, kFirst, OutputStream::Out, 3, "de");
  CHECK(files.sync());
  CHECK(contents(folder / "outputs/12.1.34.out") == "abcde");
}

// After it, the system may have forgotten bytes that it still counts in the length of the file, and a second fsync() knows nothing of them.
TEST_CASE("a sync that fails is not tried again, not on a full disk either, and leaves no file whose length would be believed", "[output_files]") {
  TemporaryFolder folder;
  OutputFiles files(folder.path(), io::Durability::Power);
  append(files, kFirst, OutputStream::Out, 0, "synced");
  REQUIRE(files.sync());
  const Attempt second{13, 1, 35};
  append(files, second, OutputStream::Out, 0, "abc");
  append(files, second, OutputStream::Err, 0, "def");
  {
    const test::FaultyDisk faulty("sync", ".out", GENERATE(ENOSPC, EDQUOT, EIO));
    const auto refused = files.sync();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == Error::Kind::Io);
    CHECK_THAT(refused.error().message, Catch::StartsWith("cannot sync " + (folder / "outputs/13.1.35.out") + ": "));
  }
  CHECK_FALSE(std::filesystem::exists(folder / "outputs/13.1.35.out"));
  CHECK_FALSE(std::filesystem::exists(folder / "outputs/13.1.35.err"));
  CHECK(contents(folder / "outputs/12.1.34.out") == "synced");
}

TEST_CASE("what a sink finds that another wrote is synced before it counts as stored", "[output_files]") {
  TemporaryFolder folder;
  {
    OutputFiles killed(folder.path(), GENERATE(io::Durability::Process, io::Durability::Power));
    append(killed, kFirst, OutputStream::Out, 0, "not synced");
  }
  const test::FaultyDisk faulty("sync", GENERATE(".out", "outputs"), EIO);
  OutputFiles process(folder.path(), io::Durability::Process);
  process.recover(kFirst, OutputStream::Out);
  CHECK(process.sync());
  OutputFiles power(folder.path(), io::Durability::Power);
  power.recover(kFirst, OutputStream::Out);
  CHECK_FALSE(power.sync());
}

// A committed job whose stdout is in a file.
void finish_with_file(sink::ResultLog& log, OutputFiles& files, OutputWriter& writer, base::JobId job, const std::string& out, bool failed = false) {
  sink::Row row = ok_row(job, "", "e" + std::to_string(job) + "\n");
  append(files, row.result.attempt, OutputStream::Out, 0, out);
  row.result.out_bytes = out.size();
  row.out_file = OutputFiles::name(row.result.attempt, OutputStream::Out);
  if (failed) row.result.outcome = base::Outcome::Failed;
  const std::uint64_t seq = log.finish(std::move(row));
  REQUIRE(log.commit());
  writer.add(log.committed_rows(), seq);
}

TEST_CASE("an output in a file is written out whole, into a pipe and into a file", "[output_files]") {
  const bool is_pipe = GENERATE(true, false);
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  OutputFiles files(folder.path(), io::Durability::Process);
  std::string large;
  for (int i = 0; large.size() < 700'000; ++i) large += std::to_string(i) + "\n";
  const std::string pipe_name = folder / "pipe";
  std::string read;
  std::thread reader;
  if (is_pipe) {
    REQUIRE(::mkfifo(pipe_name.c_str(), 0600) == 0);
    reader = std::thread([&] { read = contents(pipe_name); });
  }
  {
    const io::UniqueFd out(::open((is_pipe ? pipe_name : folder / "out").c_str(), O_WRONLY | O_CREAT, 0600));
    const io::UniqueFd err(::open((folder / "err").c_str(), O_WRONLY | O_CREAT, 0600));
    auto writer = OutputWriter::open(*log, files, {Order::Job, KeepOutput::All, 0, out.get(), err.get()});
    REQUIRE(writer);
    finish_with_file(*log, files, **writer, 2, large + "2");
    finish_with_file(*log, files, **writer, 1, large + "1");
    CHECK(eventually([&] { return (*writer)->emitted() == 2; }));
    CHECK((*writer)->held_bytes() == 0);
  }
  if (is_pipe) reader.join();
  CHECK(((is_pipe ? read : contents(folder / "out")) == large + "1" + large + "2"));
  CHECK(contents(folder / "err") == "e1\ne2\n");
}

TEST_CASE("of outputs that are not kept the writer says so once they are out, of small ones it does not bother", "[output_files]") {
  const auto [keep, expected] = GENERATE(table<KeepOutput, std::vector<base::JobId>>({
      {KeepOutput::All, {}}, {KeepOutput::Failed, {1, 4}}, {KeepOutput::None, {1, 2, 4}}}));
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  OutputFiles files(folder.path(), io::Durability::Process);
  const io::UniqueFd out(::open((folder / "out").c_str(), O_WRONLY | O_CREAT, 0600));
  auto writer = OutputWriter::open(*log, files, {Order::Completion, keep, 0, out.get(), out.get()});
  REQUIRE(writer);
  finish_with_file(*log, files, **writer, 1, "large");
  finish_with_file(*log, files, **writer, 2, "large", true);
  for (base::JobId job = 3; job <= 4; ++job) {
    const std::uint64_t seq = log->finish(ok_row(job, std::string(job == 4 ? 5000 : 50, 'x')));
    REQUIRE(log->commit());
    (*writer)->add(log->committed_rows(), seq);
  }
  REQUIRE(eventually([&] { return (*writer)->emitted() == 4; }));
  std::vector<OutputWriter::Freed> freed;
  (*writer)->take_freed(1, freed);
  CHECK(freed.size() == (keep == KeepOutput::All ? 0 : 1));
  (*writer)->take_freed(4, freed);
  std::vector<base::JobId> jobs;
  for (const auto& one : freed) {
    jobs.push_back(one.job);
    CHECK(one.attempt.has_value() == (one.job <= 2));
    log->free_outputs(one.job);
  }
  CHECK(jobs == expected);
  REQUIRE(log->commit());
  CHECK(log->row(1)->out_file.empty() == (keep != KeepOutput::All));
  CHECK(log->row(1)->result.out_bytes == 5);
  CHECK(log->files()->size() == (keep == KeepOutput::All ? 2 : keep == KeepOutput::Failed ? 1 : 0));
}

}  // namespace
