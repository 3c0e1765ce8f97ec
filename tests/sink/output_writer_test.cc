#include "sink/output_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "output_support.h"

using sink::Order;
using sink::OutputWriter;
using sink::ResultLog;

namespace {

struct Pipe {
  Pipe() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    reader.reset(fds[0]);
    writer.reset(fds[1]);
  }
  // All that is written until `size` bytes have come.
  std::string read(std::size_t size) {
    std::string text;
    char part[65536];
    while (text.size() < size) {
      const ssize_t n = ::read(reader.get(), part, std::min(sizeof part, size - text.size()));
      if (n <= 0) break;
      text.append(part, static_cast<std::size_t>(n));
    }
    return text;
  }
  bool has_bytes() const {
    pollfd polled{reader.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }
  bool is_full() const {
    pollfd polled{writer.get(), POLLOUT, 0};
    return ::poll(&polled, 1, 0) == 0;
  }
  io::UniqueFd reader, writer;
};

std::unique_ptr<OutputWriter> open_writer(ResultLog& log, Order order, std::uint64_t mark, int out, int err, OutputWriter::Limits limits = {}) {
  static const sink::OutputFiles no_files("/nonexistent", io::Durability::Process);
  auto writer = OutputWriter::open(log, no_files, {order, sink::KeepOutput::All, mark, out, err, limits});
  if (!writer) FAIL(writer.error().message);
  return std::move(*writer);
}

// Commits a job and adds it, as the shell does.
void finish(ResultLog& log, OutputWriter& writer, base::JobId job, const std::string& out, const std::string& err = "") {
  const std::uint64_t seq = log.finish(ok_row(job, out, err));
  commit(log);
  writer.add(log.committed_rows(), seq);
}

io::UniqueFd open_file(const std::string& path) { return io::UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)); }

std::string numbered(base::JobId job, std::size_t size) {
  std::string text = "job " + std::to_string(job) + " ";
  text.resize(size - 1, static_cast<char>('a' + job % 26));
  return text + "\n";
}

}  // namespace

TEST_CASE("outputs leave in the order of completion, to stdout and to stderr", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out, err;
  auto writer = open_writer(*log, Order::Completion, 0, out.writer.get(), err.writer.get());
  finish(*log, *writer, 3, "three\n", "e3\n");
  finish(*log, *writer, 1, "one\n");
  finish(*log, *writer, 2, "", "e2\n");
  CHECK(out.read(10) == "three\none\n");
  CHECK(err.read(6) == "e3\ne2\n");
  CHECK(eventually([&] { return writer->emitted() == 3; }));
  CHECK(writer->held_bytes() == 0);
}

TEST_CASE("behind the outputs of a failed job stands why it failed, where its command cannot say", "[output_writer]") {
  const auto held_bytes = GENERATE(std::size_t{16} << 20, std::size_t{0});  // from memory, and from results.db
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe err;
  const auto finish = [&](base::JobId job, base::Outcome outcome, const std::string& text, const std::string& reason) {
    sink::Row row = ok_row(job, "", text);
    row.result.outcome = outcome;
    row.result.reason = reason;
    log->finish(std::move(row));
  };
  finish(1, base::Outcome::Failed, "", "");
  finish(2, base::Outcome::Failed, "", "no such handler");
  finish(3, base::Outcome::Timeout, "half a line", "");
  finish(4, base::Outcome::Lost, "", "its worker was not heard of for a lease");
  finish(5, base::Outcome::Ok, "fine\n", "");
  commit(*log);
  const auto order = GENERATE(Order::Completion, Order::Job);
  const auto reopened = GENERATE(false, true);
  const std::string expected = "pushmill: job 2: no such handler\nhalf a line\npushmill: job 3: it was over its time limit\n"
                               "pushmill: job 4: its worker was not heard of for a lease\nfine\n";
  if (reopened) {
    log.reset();
    log = open_log(folder.path());
  }
  auto writer = open_writer(*log, order, 0, err.writer.get(), err.writer.get(), {held_bytes, 1000});
  if (!reopened) writer->add(log->committed_rows(), 1);
  CHECK(err.read(expected.size()) == expected);
  CHECK(eventually([&] { return writer->emitted() == 5; }));
  CHECK_FALSE(err.has_bytes());
}

TEST_CASE("the stdout of a job comes before its stderr where both are one file", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe both;
  auto writer = open_writer(*log, Order::Completion, 0, both.writer.get(), both.writer.get());
  std::vector<std::uint64_t> seqs;
  for (base::JobId job = 1; job <= 3; ++job) seqs.push_back(log->finish(ok_row(job, "out " + std::to_string(job) + "\n", "err " + std::to_string(job) + "\n")));
  commit(*log);
  writer->add(log->committed_rows(), seqs[0]);
  CHECK(both.read(36) == "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
}

TEST_CASE("in job order an output waits for all earlier jobs", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  auto writer = open_writer(*log, Order::Job, 0, out.writer.get(), out.writer.get());
  finish(*log, *writer, 2, "two\n");
  finish(*log, *writer, 4, "");
  finish(*log, *writer, 5, "five\n");
  CHECK(writer->emitted() == 0);
  finish(*log, *writer, 1, "one\n");
  CHECK(out.read(8) == "one\ntwo\n");
  CHECK(eventually([&] { return writer->emitted() == 2; }));
  CHECK_FALSE(out.has_bytes());
  finish(*log, *writer, 3, "three\n");
  CHECK(out.read(11) == "three\nfive\n");
  CHECK(eventually([&] { return writer->emitted() == 5; }));
}

TEST_CASE("the loop is woken when emission has come further", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  auto writer = open_writer(*log, Order::Completion, 0, out.writer.get(), out.writer.get());
  pollfd polled{writer->fd(), POLLIN, 0};
  CHECK(::poll(&polled, 1, 0) == 0);
  finish(*log, *writer, 1, "");  // silent jobs count as well
  REQUIRE(::poll(&polled, 1, 60'000) == 1);
  writer->clear_wake();
  CHECK(::poll(&polled, 1, 0) == 0);
  CHECK(writer->emitted() == 1);
}

TEST_CASE("with a slow reader memory stays bounded and nothing is lost or out of order", "[output_writer]") {
  const auto [order, limits] = GENERATE(table<Order, OutputWriter::Limits>({
      {Order::Completion, {20'000, 1u << 20}},
      {Order::Completion, {20'000, 7}},  // the jobs themselves are not remembered either
      {Order::Completion, {1u << 20, 7}},
      {Order::Job, {20'000, 0}},
  }));
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  auto writer = open_writer(*log, order, 0, out.writer.get(), out.writer.get(), limits);
  constexpr base::JobId kJobs = 3000;
  constexpr std::size_t kSize = 500;
  std::string expected;
  for (base::JobId first = 1; first <= kJobs; first += 10) {
    // Batches of ten jobs that end in reverse order.
    std::uint64_t seq = 0;
    for (base::JobId job = first + 9; job >= first; --job) {
      const std::string text = job % 5 == 0 ? "" : numbered(job, kSize);
      const std::uint64_t given = log->finish(ok_row(job, text));
      if (seq == 0) seq = given;
    }
    commit(*log);
    writer->add(log->committed_rows(), seq);
    for (base::JobId i = 0; i < 10; ++i) {
      const base::JobId job = order == Order::Job ? first + i : first + 9 - i;
      if (job % 5 != 0) expected += numbered(job, kSize);
    }
    CHECK(writer->held_bytes() <= limits.held_bytes);
  }
  CHECK(eventually([&] { return out.is_full(); }));
  CHECK(writer->emitted() < kJobs);
  CHECK((out.read(expected.size()) == expected));
  CHECK(eventually([&] { return writer->emitted() == kJobs; }));
  CHECK_FALSE(out.has_bytes());
  CHECK(writer->held_bytes() == 0);
}

TEST_CASE("large outputs go through whole", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  const io::UniqueFd err = open_file(folder / "err");
  auto writer = open_writer(*log, Order::Completion, 0, out.writer.get(), err.get());
  const std::string large = numbered(1, 3'000'000);
  finish(*log, *writer, 1, "before\n");
  finish(*log, *writer, 2, large, large);
  finish(*log, *writer, 3, "after\n", "after\n");
  CHECK((out.read(large.size() + 13) == "before\n" + large + "after\n"));
  CHECK(eventually([&] { return writer->emitted() == 3; }));
  CHECK((content(folder / "err") == large + "after\n"));
}

TEST_CASE("after a restart emission goes on behind the mark", "[output_writer]") {
  const Order order = GENERATE(Order::Completion, Order::Job);
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    for (base::JobId job : {3, 1, 2, 6, 4}) log->finish(ok_row(job, std::to_string(job) + "\n"));
    commit(*log);
  }
  auto log = open_log(folder.path());
  Pipe out;
  auto writer = open_writer(*log, order, 2, out.writer.get(), out.writer.get(), {1000, 2});
  CHECK(out.read(order == Order::Completion ? 6 : 4) == (order == Order::Completion ? "2\n6\n4\n" : "3\n4\n"));
  finish(*log, *writer, 5, "5\n");
  CHECK(out.read(order == Order::Completion ? 2 : 4) == (order == Order::Completion ? "5\n" : "5\n6\n"));
  CHECK(eventually([&] { return writer->emitted() == 6; }));
}

TEST_CASE("a reader that goes away is told, and the writer swallows what follows", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  auto writer = open_writer(*log, Order::Completion, 0, out.writer.get(), out.writer.get());
  finish(*log, *writer, 1, "one\n");
  CHECK(out.read(4) == "one\n");
  CHECK(eventually([&] { return writer->emitted() == 1; }));
  CHECK_FALSE(writer->failed());
  writer->clear_wake();
  out.reader.reset();
  finish(*log, *writer, 2, "two\n");
  pollfd polled{writer->fd(), POLLIN, 0};
  REQUIRE(::poll(&polled, 1, 60'000) == 1);
  REQUIRE(writer->failed());
  CHECK(writer->failed()->reader_gone);
  CHECK(writer->failed()->message == "cannot write to standard output: Broken pipe");
  finish(*log, *writer, 3, "three\n");
  CHECK(writer->emitted() == 1);
}

TEST_CASE("a full disk under stdout is told as such", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  const io::UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  Pipe err;
  auto writer = open_writer(*log, Order::Completion, 0, full.get(), err.writer.get());
  finish(*log, *writer, 1, "one\n");
  REQUIRE(eventually([&] { return writer->failed().has_value(); }));
  CHECK_FALSE(writer->failed()->reader_gone);
  CHECK(writer->failed()->message == "cannot write to standard output: No space left on device");
  CHECK(writer->emitted() == 0);
}

TEST_CASE("a file system that says only at a close that there was no room is heard before an output counts as emitted", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  const io::UniqueFd out(::open((folder / "named").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  Pipe err;
  auto writer = open_writer(*log, Order::Completion, 0, out.get(), err.writer.get());
  finish(*log, *writer, 1, "one\n");
  REQUIRE(eventually([&] { return writer->emitted() == 1; }));
  const test::FaultyDisk faulty("close", "/named", EDQUOT);
  finish(*log, *writer, 2, "two\n");
  REQUIRE(eventually([&] { return writer->failed().has_value(); }));
  CHECK(writer->failed()->message == std::string("cannot write to standard output: ") + std::strerror(EDQUOT));
  CHECK(writer->emitted() == 1);
}

TEST_CASE("stopping does not wait for a reader that never reads", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  auto writer = open_writer(*log, Order::Completion, 0, out.writer.get(), out.writer.get());
  for (base::JobId job = 1; job <= 10; ++job) finish(*log, *writer, job, numbered(job, 50'000));
  CHECK(eventually([&] { return out.is_full(); }));
  writer->stop();
  writer->stop();  // twice is fine
  CHECK(writer->emitted() < 10);
  CHECK_FALSE(writer->failed());
}

TEST_CASE("the descriptors keep their flags and stay open", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  const int before = ::fcntl(out.writer.get(), F_GETFL);
  {
    auto writer = open_writer(*log, Order::Completion, 0, out.writer.get(), out.writer.get());
    finish(*log, *writer, 1, "one\n");
    CHECK(out.read(4) == "one\n");
    CHECK(::fcntl(out.writer.get(), F_GETFL) == before);
  }
  CHECK(::fcntl(out.writer.get(), F_GETFL) == before);
}

TEST_CASE("a pipe that somebody else made non-blocking works as well", "[output_writer]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Pipe out;
  REQUIRE(::fcntl(out.writer.get(), F_SETFL, O_NONBLOCK) == 0);
  auto writer = open_writer(*log, Order::Completion, 0, out.writer.get(), out.writer.get());
  const std::string large = numbered(1, 1'000'000);
  finish(*log, *writer, 1, large);
  CHECK((out.read(large.size()) == large));
}
