// Outputs of jobs that run, and outputs that go to files, as the writer's thread writes them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output_support.h"
#include "sink/output_writer.h"
#include "wire/codec.h"

using sink::Order;
using sink::OutputWriter;
using sink::Presentation;
using wire::OutputStream;

namespace {

std::string encoded(const base::Label& label) {
  std::string bytes;
  wire::encode_label(label, bytes);
  return bytes;
}

// A run whose outputs go to files `out` and `err`.
struct Run {
  explicit Run(const Presentation& presentation, Order order_ = Order::Completion, const std::string& table_ = "") : how(presentation), order(order_), table(table_) {
    out = open("out");
    err = open("err");
    begin(0);
  }
  io::UniqueFd open(const std::string& name) { return io::UniqueFd(::open((folder / name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)); }
  void begin(std::uint64_t mark) {
    auto made = OutputWriter::open(*log, files, {order, sink::KeepOutput::All, mark, out.get(), err.get(), {}, how, table.empty() ? table : folder / table, folder.path(), "here"});
    if (!made) FAIL(made.error().message);
    writer = std::move(*made);
  }
  // More of an output, as the shell tells it.
  void more(const base::Attempt& attempt, const std::string& bytes, OutputStream stream = OutputStream::Out) {
    auto& length = lengths[attempt][static_cast<std::size_t>(stream)];
    REQUIRE(files.append(attempt, stream, length, bytes));
    length += bytes.size();
    writer->add_live({attempt, lengths[attempt], "command of " + std::to_string(attempt.job), encoded({0, "t" + std::to_string(attempt.job), "", {}})});
  }
  void finish(const base::Attempt& attempt) {
    sink::Row row = ok_row(attempt.job);
    row.result.attempt = attempt;
    row.result.label = encoded({0, "t" + std::to_string(attempt.job), "", {}});
    row.result.out_bytes = lengths[attempt][0];
    row.result.err_bytes = lengths[attempt][1];
    if (row.result.has_out_file()) row.out_file = sink::OutputFiles::name(attempt, OutputStream::Out);
    if (row.result.has_err_file()) row.err_file = sink::OutputFiles::name(attempt, OutputStream::Err);
    finish(std::move(row));
  }
  void finish(sink::Row row) {
    const std::uint64_t seq = log->finish(std::move(row));
    commit(*log);
    writer->add(log->committed_rows(), seq);
    ++finished;
  }
  bool shows(const std::string& text, const std::string& name = "out") {
    const bool is_so = eventually([&] { return content(folder / name).size() >= text.size(); });
    CHECK(content(folder / name) == text);
    return is_so;
  }
  void wait() { CHECK(eventually([&] { return writer->emitted() == finished; })); }

  TemporaryFolder folder;
  std::unique_ptr<sink::ResultLog> log = open_log(folder.path());
  sink::OutputFiles files{folder.path(), io::Durability::Process};
  Presentation how;
  Order order;
  std::string table;
  io::UniqueFd out, err;
  std::map<base::Attempt, std::array<std::uint64_t, 2>> lengths;
  std::uint64_t finished = 0;
  std::unique_ptr<OutputWriter> writer;
};

constexpr base::Attempt kOne{1, 1, 1}, kTwo{2, 1, 2};

// The disk while a writer's thread uses it: what it looks at outlives it.
class FaultyWriting {
 public:
  explicit FaultyWriting(const test::DiskFault& fault) { test::disk_fault = &fault; }
  ~FaultyWriting() { test::disk_fault = nullptr; }
};

std::size_t files_of_names(const Run& run) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(run.folder.path())) count += entry.path().filename().string().starts_with("pushmill-") ? 1 : 0;
  return count;
}

// A job with both outputs, whose files are `name`.
sink::Row row_with_files(const std::string& name) {
  sink::Row row = ok_row(1, "o\n", "e\n");
  row.result.label = encoded({0, "", name, {}});
  return row;
}

}  // namespace

TEST_CASE("whole lines of jobs that run are written as they come, and the rest when they have ended", "[output_writer]") {
  Run run({.tags = true, .live = Presentation::Live::Lines});
  run.more(kOne, "a\nb");
  CHECK(run.shows("t1\ta\n"));
  run.more(kTwo, "x\n");
  CHECK(run.shows("t1\ta\nt2\tx\n"));
  run.more(kOne, "c");
  run.more(kOne, "d\n");
  CHECK(run.shows("t1\ta\nt2\tx\nt1\tbcd\n"));
  run.more(kTwo, "end");
  run.more(kTwo, "e", OutputStream::Err);
  run.finish(kTwo);
  run.wait();
  CHECK(run.shows("t1\ta\nt2\tx\nt1\tbcd\nt2\tend"));
  CHECK(run.shows("t2\te", "err"));
  run.finish(kOne);
  run.wait();
  CHECK(run.shows("t1\ta\nt2\tx\nt1\tbcd\nt2\tend"));
}

TEST_CASE("without lines outputs are written as they come, behind the command of their job", "[output_writer]") {
  Run run({.commands = true, .live = Presentation::Live::Bytes});
  run.more(kOne, "a");
  CHECK(run.shows("command of 1\na"));
  run.more(kTwo, "x");
  CHECK(run.shows("command of 1\nacommand of 2\nx"));
  run.more(kOne, "b");
  CHECK(run.shows("command of 1\nacommand of 2\nxb"));
  run.finish(kOne);
  run.finish(kTwo);
  run.wait();
  CHECK(run.shows("command of 1\nacommand of 2\nxb"));
}

TEST_CASE("in job order the first unfinished job is live, and later ones wait", "[output_writer]") {
  Run run({.live = Presentation::Live::Lines}, Order::Job);
  run.more(kTwo, "x\n");
  run.more(kOne, "a\n");
  CHECK(run.shows("a\n"));
  run.more(kTwo, "y\n");
  run.more(kOne, "b\n");
  CHECK(run.shows("a\nb\n"));
  run.finish(kOne);
  CHECK(run.shows("a\nb\nx\ny\n"));
  run.more(kTwo, "z");
  run.finish(kTwo);
  run.wait();
  CHECK(run.shows("a\nb\nx\ny\nz"));
}

TEST_CASE("an attempt that comes after another is written from its start", "[output_writer]") {
  Run run({.live = Presentation::Live::Lines});
  const base::Attempt second{1, 1, 5};
  run.more(kOne, "a\nb\n");
  CHECK(run.shows("a\nb\n"));
  run.files.drop(kOne);
  run.more(second, "a\n");
  CHECK(run.shows("a\nb\na\n"));
  run.more(second, "c\n");
  run.finish(second);
  run.wait();
  CHECK(run.shows("a\nb\na\nc\n"));
}

TEST_CASE("live outputs whose attempt has come to nothing are passed over", "[output_writer]") {
  Run run({.live = Presentation::Live::Lines}, Order::Job);
  run.more(kTwo, "x\n");
  run.files.drop(kTwo);
  run.more(kOne, "a\n");
  run.finish(kOne);
  run.finish(ok_row(2, "late\n"));
  run.wait();
  CHECK(run.shows("a\nlate\n"));
}

TEST_CASE("a reader that stalls holds up neither the log nor the writer's end, whatever is live", "[output_writer]") {
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  const io::UniqueFd reader(fds[0]);
  Run run({.live = Presentation::Live::Bytes});
  run.writer.reset();
  run.out.reset(fds[1]);
  run.begin(0);
  for (int i = 0; i < 20; ++i) run.more(kOne, std::string(100'000, 'x'));
  run.finish(kOne);
  run.writer->stop();
  CHECK(run.writer->emitted() == 0);
  CHECK_FALSE(run.writer->failed());
}

TEST_CASE("a table is a file of its own, begins with its columns and goes on behind the mark", "[output_writer]") {
  const auto held_bytes = GENERATE(true, false);
  Run run({.form = Presentation::Form::Csv}, Order::Job, "t.csv");
  const auto row = [&](base::JobId job, const std::string& out) {
    sink::Row made = ok_row(job, out);
    made.result.label = encoded({0, "", "", {"v" + std::to_string(job)}});
    return made;
  };
  const std::string head = "Seq,Host,Starttime,JobRuntime,Send,Receive,Exitval,Signal,Command,V1,Stdout,Stderr\n";
  const std::string one = "1,:,0.000,0.000,0,2,0,0,\"command of 1\",v1,\"a\n\",\n", two = "2,:,0.000,0.000,0,0,0,0,\"command of 2\",v2,,\n";
  if (!held_bytes) run.writer.reset();  // then they come from results.db
  const auto finish = [&](sink::Row made) {
    if (run.writer) return run.finish(std::move(made));
    run.log->finish(std::move(made));
    commit(*run.log);
    ++run.finished;
  };
  finish(row(2, ""));
  finish(row(1, "a\n"));
  if (!run.writer) {
    run.log.reset();
    run.log = open_log(run.folder.path());
    run.begin(0);
  }
  run.wait();
  CHECK(content(run.folder / "t.csv") == head + one + two);
  CHECK(content(run.folder / "out").empty());
  run.writer.reset();
  run.begin(2);
  run.finish(row(3, "c"));
  run.wait();
  CHECK(content(run.folder / "t.csv") == head + one + two + "3,:,0.000,0.000,0,1,0,0,\"command of 3\",v3,c,\n");
}

TEST_CASE("a large output goes through its dress piece by piece", "[output_writer]") {
  Run run({.form = Presentation::Form::Json});
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "line\n";
  run.more(kOne, text);
  run.finish(kOne);
  run.wait();
  std::string quoted;
  for (int i = 0; i < 100'000; ++i) quoted += "line\\u000a";
  CHECK((content(run.folder / "out").find("\"Stdout\": \"" + quoted + "\", \"Stderr\": \"\" }\n") != std::string::npos));
}

TEST_CASE("the files of a job stand where its label says", "[output_writer]") {
  Run run({.form = Presentation::Form::Folders, .names = true});
  sink::Row row = ok_row(1, "o", "e");
  row.result.label = encoded({17, "", run.folder / "r/1/x/", {}});
  run.finish(std::move(row));
  run.wait();
  CHECK(content(run.folder / "r/1/x/stdout") == "o");
  CHECK(content(run.folder / "r/1/x/stderr") == "e");
  CHECK(content(run.folder / "r/1/x/seq") == "17");
  row = ok_row(2, "two");
  row.result.label = encoded({0, "", run.folder / "r/y.txt", {}});
  run.finish(std::move(row));
  run.wait();
  CHECK(content(run.folder / "r/y.txt") == "two");
  CHECK(content(run.folder / "r/y.txt.seq") == "2");
  CHECK(run.shows((run.folder / "r/1/x/stdout") + "\n" + (run.folder / "r/y.txt") + "\n"));
}

TEST_CASE("a file of --out is there whole and of a success only", "[output_writer]") {
  Run run({.form = Presentation::Form::Out});
  sink::Row failed = ok_row(1, "half", "why\n");
  failed.result.outcome = base::Outcome::Failed;
  failed.result.exit_code = 3;
  failed.result.label = encoded({0, "", run.folder / "a", {}});
  run.finish(std::move(failed));
  run.wait();
  CHECK_FALSE(std::filesystem::exists(run.folder / "a"));
  CHECK(run.shows("why\n", "err"));
  sink::Row fine = ok_row(2, "whole");
  fine.result.label = encoded({0, "", run.folder / "a", {}});
  run.finish(std::move(fine));
  run.wait();
  CHECK(content(run.folder / "a") == "whole");
  for (const auto& entry : std::filesystem::directory_iterator(run.folder.path())) CHECK_FALSE(entry.path().filename().string().starts_with(".pushmill-"));
  CHECK(content(run.folder / "out").empty());
}

TEST_CASE("a file of --out that is a link stays one, a pipe is written to, and its name may be as long as names can be", "[output_writer]") {
  Run run({.form = Presentation::Form::Out});
  const std::string longest(255, 'n');
  std::filesystem::create_symlink("real", run.folder / "link");
  REQUIRE(::mkfifo((run.folder / "pipe").c_str(), 0600) == 0);
  const io::UniqueFd reader(::open((run.folder / "pipe").c_str(), O_RDWR | O_NONBLOCK));
  base::JobId job = 0;
  for (const std::string& name : {std::string("link"), std::string("pipe"), longest}) {
    sink::Row row = ok_row(++job, "whole");
    row.result.label = encoded({0, "", run.folder / name, {}});
    run.finish(std::move(row));
  }
  run.wait();
  CHECK(std::filesystem::is_symlink(run.folder / "link"));
  CHECK(content(run.folder / "real") == "whole");
  CHECK(std::filesystem::is_fifo(run.folder / "pipe"));
  char text[10];
  CHECK(::read(reader.get(), text, sizeof text) == 5);
  CHECK(content(run.folder / longest) == "whole");
}

TEST_CASE("files of jobs wait for room, and are whole when there is some", "[output_writer]") {
  static const test::DiskFault faults[] = {{"write", "/stdout", ENOSPC}, {"write", "/stderr", EDQUOT}, {"write", "/seq", ENOSPC}, {"close", "/stderr", ENOSPC}};
  for (const test::DiskFault& fault : faults) {
    Run run({.form = Presentation::Form::Folders});
    {
      const FaultyWriting faulty(fault);
      run.finish(row_with_files(run.folder / "r/"));
      REQUIRE(eventually([&] { return run.writer->full().has_value(); }));
      CHECK(run.writer->full()->kind == base::Error::Kind::Full);
      CHECK(run.writer->full()->message == "cannot write " + run.folder.path() + "/r" + fault.path + ": " + std::strerror(fault.error));
      CHECK(run.writer->emitted() == 0);
    }
    run.wait();
    CHECK_FALSE(run.writer->full());
    CHECK_FALSE(run.writer->failed());
    CHECK(content(run.folder / "r/stdout") == "o\n");
    CHECK(content(run.folder / "r/stderr") == "e\n");
    CHECK(content(run.folder / "r/seq") == "1");
  }
}

TEST_CASE("a disk that breaks while it is waited for is told, and waited for no more", "[output_writer]") {
  static const test::DiskFault full{"write", "/stdout", ENOSPC}, broken{"write", "/stdout", EIO};
  Run run({.form = Presentation::Form::Folders});
  const FaultyWriting first(full);
  run.finish(row_with_files(run.folder / "r/"));
  REQUIRE(eventually([&] { return run.writer->full().has_value(); }));
  const FaultyWriting second(broken);
  REQUIRE(eventually([&] { return run.writer->failed().has_value(); }));
  CHECK_FALSE(run.writer->full());
}

TEST_CASE("a writer that is stopped while it waits for room leaves no file that was cut short", "[output_writer]") {
  static const test::DiskFault out{"write", "/stdout", ENOSPC}, part{"write", "/.pushmill-", ENOSPC}, first{"write", ".out", ENOSPC}, second{"write", ".err", ENOSPC};
  const auto stopped = [](Run& run, const test::DiskFault& fault, const std::string& name) {
    const FaultyWriting faulty(fault);
    run.finish(row_with_files(run.folder / name));
    CHECK(eventually([&] { return run.writer->full().has_value(); }));
    run.writer->stop();
    CHECK_FALSE(run.writer->full());
    CHECK_FALSE(run.writer->failed());
    CHECK(run.writer->emitted() == 0);
  };
  {
    Run run({.form = Presentation::Form::Folders});
    stopped(run, out, "r/");
    CHECK_FALSE(std::filesystem::exists(run.folder / "r/stdout"));
  }
  {
    Run run({.form = Presentation::Form::Out});
    stopped(run, part, "a");
    for (const auto& entry : std::filesystem::directory_iterator(run.folder.path())) CHECK_FALSE(entry.path().filename().string().starts_with(".pushmill-"));
  }
  for (const test::DiskFault* fault : {&first, &second}) {
    Run run({.form = Presentation::Form::Names});
    stopped(run, *fault, "");
    CHECK(files_of_names(run) == 0);
    run.writer.reset();  // as the next start does
    run.log.reset();
    run.log = open_log(run.folder.path());
    run.begin(0);
    run.wait();
    CHECK(files_of_names(run) == 2);
  }
}

TEST_CASE("another error of a file of a job is told, and leaves none that was cut short; a device is never waited for", "[output_writer]") {
  static const test::DiskFault broken{"write", "/stdout", EIO};
  {
    Run run({.form = Presentation::Form::Folders});
    const FaultyWriting faulty(broken);
    run.finish(row_with_files(run.folder / "r/"));
    REQUIRE(eventually([&] { return run.writer->failed().has_value(); }));
    CHECK(run.writer->failed()->message == "cannot write " + run.folder.path() + "/r/stdout: Input/output error");
    CHECK_FALSE(std::filesystem::exists(run.folder / "r/stdout"));
  }
  Run run({.form = Presentation::Form::Out});
  run.finish(row_with_files("/dev/full"));
  REQUIRE(eventually([&] { return run.writer->failed().has_value(); }));
  CHECK(run.writer->failed()->message == "cannot write /dev/full: No space left on device");
}

TEST_CASE("a pipe of --out that nobody reads is an error, and waited for by nobody", "[output_writer]") {
  Run run({.form = Presentation::Form::Out});
  REQUIRE(::mkfifo((run.folder / "pipe").c_str(), 0600) == 0);
  sink::Row row = ok_row(1, "whole");
  row.result.label = encoded({0, "", run.folder / "pipe", {}});
  run.finish(std::move(row));
  REQUIRE(eventually([&] { return run.writer->failed().has_value(); }));
}

TEST_CASE("a missing directory of --out is told in one line, and the job is not out", "[output_writer]") {
  Run run({.form = Presentation::Form::Out});
  sink::Row row = ok_row(1, "whole");
  row.result.label = encoded({0, "", run.folder / "none/a", {}});
  run.finish(std::move(row));
  REQUIRE(eventually([&] { return run.writer->failed().has_value(); }));
  CHECK(run.writer->failed()->message == "cannot write " + (run.folder / "none/a") + ": No such file or directory");
  CHECK(run.writer->emitted() == 0);
  run.writer.reset();
  std::filesystem::create_directory(run.folder / "none");
  run.log.reset();
  run.log = open_log(run.folder.path());
  run.begin(0);
  run.wait();
  CHECK(content(run.folder / "none/a") == "whole");
}

TEST_CASE("names of new files are printed, one with the stderr beside it", "[output_writer]") {
  Run run({.form = Presentation::Form::Names});
  run.finish(ok_row(1, "o\n", "e\n"));
  run.wait();
  std::string name = content(run.folder / "out");
  REQUIRE(name.ends_with(".out\n"));
  name.pop_back();
  CHECK(content(name) == "o\n");
  CHECK(content(name.substr(0, name.size() - 4) + ".err") == "e\n");
}
