#include "ventilator/job_source.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "wire/limits.h"

using ventilator::JobSource;
using State = JobSource::State;

namespace {

using Records = std::vector<std::string>;

class Pipe {
 public:
  Pipe() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    reader_.reset(fds[0]);
    writer_.reset(fds[1]);
  }
  int fd() const { return reader_.get(); }
  // REQUIRES: the pipe has room.
  void write(std::string_view bytes) { REQUIRE(::write(writer_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())); }
  void close() { writer_.reset(); }

 private:
  io::UniqueFd reader_, writer_;
};

// A source and what it gave; asks it only when it said that it would not block, as a poll loop does.
struct Reader {
  JobSource source;
  std::size_t max_records = 512;
  std::size_t max_bytes = 128u << 10;
  Records records = {};
  State state = State::More;

  bool is_ready() const {
    pollfd ready{source.fd(), POLLIN, 0};
    return ready.fd < 0 || ::poll(&ready, 1, 0) > 0;
  }
  void read_once() {
    std::vector<std::string_view> views;
    state = source.read(max_records, max_bytes, views);
    CHECK(views.size() <= max_records);
    if (state != State::More) CHECK(views.empty());
    records.insert(records.end(), views.begin(), views.end());
    CHECK(source.delivered() == records.size());
  }
  // What is there now.
  void drain() {
    while (state == State::More && is_ready()) read_once();
  }
};

Records all_of(JobSource source) {
  Reader reader{std::move(source)};
  reader.drain();
  CHECK(reader.state == State::End);
  return reader.records;
}

Records lines_of(const std::string& text) {
  Pipe pipe;
  pipe.write(text);
  pipe.close();
  return all_of(JobSource::standard_input(pipe.fd()));
}

// A file that is gone with its owner.
class File {
 public:
  explicit File(const std::string& text) {
    const int fd = ::mkstemp(path_.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~File() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/pushmill-input-XXXXXX";
};

}  // namespace

TEST_CASE("each line is a record, the last one with or without its newline", "[job_source]") {
  CHECK(lines_of("") == Records{});
  CHECK(lines_of("a") == Records{"a"});
  CHECK(lines_of("a\n") == Records{"a"});
  CHECK(lines_of("a\nb") == Records{"a", "b"});
  CHECK(lines_of("a b\n c \n") == Records{"a b", " c "});
}

TEST_CASE("empty lines are records, as in GNU parallel", "[job_source]") {
  CHECK(lines_of("\n") == Records{""});
  CHECK(lines_of("\n\n") == Records{"", ""});
  CHECK(lines_of("a\n\nb\n\n") == Records{"a", "", "b", ""});
}

TEST_CASE("every other byte of a line is kept", "[job_source]") {
  CHECK(lines_of("a\r\n\r\n") == Records{"a\r", "\r"});
  CHECK(lines_of(std::string("a\0b\n\0\n\xff\xfe", 8)) == Records{std::string("a\0b", 3), std::string("\0", 1), "\xff\xfe"});
}

TEST_CASE("records do not depend on where the reads cut the stream", "[job_source]") {
  const char* given = std::getenv("PUSHMILL_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::printf("PUSHMILL_SEED=%llu\n", static_cast<unsigned long long>(seed));
  INFO("PUSHMILL_SEED=" << seed);
  base::Random random(seed);
  for (int round = 0; round < 200; ++round) {
    Records expected;
    std::string text;
    const std::uint64_t count = random.below(60);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string record(random.below(4) == 0 ? 0 : random.below(30), 'a');
      for (char& c : record) c = static_cast<char>(random.below(256));
      for (char& c : record) c = c == '\n' ? '\r' : c;
      text += record + '\n';
      expected.push_back(std::move(record));
    }
    if (!text.empty() && !expected.back().empty() && random.below(2) == 0) text.pop_back();

    Pipe pipe;
    Reader reader{JobSource::standard_input(pipe.fd()), 1 + random.below(8), random.below(64)};
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random.below(round % 2 == 0 ? 1 : 50);
      pipe.write(std::string_view(text).substr(at, size));
      at += size;
      if (random.below(3) != 0) reader.drain();
    }
    reader.drain();
    REQUIRE(reader.state == State::More);
    pipe.close();
    reader.drain();
    REQUIRE(reader.state == State::End);
    REQUIRE(reader.records == expected);
  }
}

TEST_CASE("a read gives no more records and bytes than asked, and then needs no poll", "[job_source]") {
  Pipe pipe;
  pipe.write("1\n22\n333\n4444\n55555\n");
  Reader reader{JobSource::standard_input(pipe.fd()), 2, 100};
  CHECK(reader.source.fd() == pipe.fd());
  reader.read_once();
  CHECK(reader.records == Records{"1", "22"});
  CHECK(reader.source.fd() == -1);
  reader.max_records = 100;
  reader.max_bytes = 7;
  reader.read_once();
  CHECK(reader.records == Records{"1", "22", "333", "4444"});
  reader.max_bytes = 2;  // less than the next record alone
  reader.read_once();
  CHECK(reader.records.back() == "55555");
  CHECK(reader.source.fd() == pipe.fd());
}

TEST_CASE("a record is given as soon as its newline has come", "[job_source]") {
  Pipe pipe;
  Reader reader{JobSource::standard_input(pipe.fd())};
  pipe.write("one\ntw");
  reader.drain();
  CHECK(reader.records == Records{"one"});
  pipe.write("o\n");
  reader.drain();
  CHECK(reader.records == Records{"one", "two"});
}

TEST_CASE("a record may be as long as a job", "[job_source]") {
  const std::string longest(wire::kMaxJob, 'x');
  const File file("a\n" + longest + "\nb\n" + longest);
  auto source = JobSource::file(file.path());
  REQUIRE(source);
  CHECK(all_of(std::move(*source)) == Records{"a", longest, "b", longest});
}

TEST_CASE("a longer record is refused by its number, behind those before it", "[job_source]") {
  const std::string too_long(wire::kMaxJob + 1, 'x');
  for (const std::string tail : {"\nc\n", "\n", ""}) {
    const File file("a\nb\n" + too_long + tail);
    Reader reader{std::move(*JobSource::file(file.path()))};
    reader.drain();
    CHECK(reader.records == Records{"a", "b"});
    REQUIRE(reader.state == State::Error);
    CHECK(reader.source.error().kind == base::Error::Kind::Usage);
    CHECK(reader.source.error().message.find("record 3 of the input") == 0);
    reader.read_once();
    CHECK(reader.state == State::Error);
  }
  Reader reader{JobSource::list({"a", too_long, "c"})};
  reader.drain();
  CHECK(reader.records == Records{"a"});
  REQUIRE(reader.state == State::Error);
  CHECK(reader.source.error().message.find("record 2 of the input") == 0);
}

TEST_CASE("a line that never ends is refused without being read to its end", "[job_source]") {
  auto zeros = JobSource::file("/dev/zero");
  REQUIRE(zeros);
  Reader reader{std::move(*zeros)};
  reader.drain();
  CHECK(reader.state == State::Error);
  CHECK(reader.source.error().message.find("record 1 of the input (file /dev/zero) is longer than") == 0);
}

TEST_CASE("a failed read is an error, not an end", "[job_source]") {
  auto broken = JobSource::file("/proc/self/mem");  // nothing is mapped at its beginning: EIO
  REQUIRE(broken);
  Reader reader{std::move(*broken)};
  reader.drain();
  REQUIRE(reader.state == State::Error);
  CHECK(reader.source.error().kind == base::Error::Kind::Io);
  CHECK(reader.source.error().message == "cannot read the input (file /proc/self/mem) behind record 0: Input/output error");

  const io::UniqueFd directory(::open("/", O_RDONLY | O_CLOEXEC));
  Reader on_directory{JobSource::standard_input(directory.get())};
  on_directory.drain();
  REQUIRE(on_directory.state == State::Error);
  CHECK(on_directory.source.error().message == "cannot read the input (standard input) behind record 0: Is a directory");
}

TEST_CASE("a file that cannot be an input is refused when it is opened", "[job_source]") {
  const auto missing = JobSource::file("/no/such/file");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == base::Error::Kind::NotFound);
  CHECK(missing.error().message == "cannot open the input /no/such/file: No such file or directory");
  const auto directory = JobSource::file("/tmp");
  REQUIRE_FALSE(directory);
  CHECK(directory.error().kind == base::Error::Kind::Usage);
  CHECK(directory.error().message == "cannot read the input /tmp: Is a directory");
}

TEST_CASE("an inherited descriptor keeps its flags and stays open", "[job_source]") {
  Pipe pipe;
  const int flags = ::fcntl(pipe.fd(), F_GETFL);
  {
    Reader reader{JobSource::standard_input(pipe.fd())};
    pipe.write("a\n");
    reader.drain();
  }
  CHECK(::fcntl(pipe.fd(), F_GETFL) == flags);
}

TEST_CASE("a descriptor that somebody else made non-blocking only has nothing yet", "[job_source]") {
  Pipe pipe;
  REQUIRE(::fcntl(pipe.fd(), F_SETFL, O_NONBLOCK) == 0);
  Reader reader{JobSource::standard_input(pipe.fd())};
  reader.read_once();
  CHECK(reader.state == State::More);
  pipe.write("a\n");
  reader.drain();
  CHECK(reader.records == Records{"a"});
}

TEST_CASE("a file needs no poll", "[job_source]") {
  const File file("a\nb\n");
  auto source = JobSource::file(file.path());
  REQUIRE(source);
  CHECK(source->fd() == -1);
  CHECK(all_of(std::move(*source)) == Records{"a", "b"});
  const io::UniqueFd redirected(::open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(JobSource::standard_input(redirected.get()).fd() == -1);
}

TEST_CASE("a FIFO is opened without its writer, and is not ready before that has come", "[job_source]") {
  const std::string path = File("").path();
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  auto source = JobSource::file(path);
  REQUIRE(source);
  Reader reader{std::move(*source)};
  CHECK_FALSE(reader.is_ready());
  io::UniqueFd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  CHECK_FALSE(reader.is_ready());
  REQUIRE(::write(writer.get(), "a\nb", 3) == 3);
  reader.drain();
  CHECK(reader.records == Records{"a"});
  writer.reset();
  reader.drain();
  CHECK(reader.records == Records{"a", "b"});
  CHECK(reader.state == State::End);
  std::remove(path.c_str());
}

TEST_CASE("listed records are given as they are", "[job_source]") {
  CHECK(all_of(JobSource::list({})) == Records{});
  CHECK(all_of(JobSource::list({"a", "", "b\nc"})) == Records{"a", "", "b\nc"});
  Reader reader{JobSource::list({"1", "22", "333"}), 2, 100};
  CHECK(reader.source.fd() == -1);
  reader.read_once();
  CHECK(reader.records == Records{"1", "22"});
  reader.drain();
  CHECK(reader.records == Records{"1", "22", "333"});
}

TEST_CASE("a source says what it is, a file by its absolute path", "[job_source]") {
  CHECK(JobSource::standard_input().text() == "standard input");
  CHECK(JobSource::file("-")->text() == "standard input");
  CHECK(JobSource::list({}).text() == "arguments");
  char directory[4096];
  REQUIRE(::getcwd(directory, sizeof directory) != nullptr);
  REQUIRE(::chdir("/proc/self") == 0);
  const auto source = JobSource::file("status");
  REQUIRE(::chdir(directory) == 0);
  REQUIRE(source);
  CHECK(source->text().find("file /proc/") == 0);
}
