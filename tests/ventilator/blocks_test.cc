#include "ventilator/blocks.h"

#include <catch2/catch.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "ventilator/input.h"
#include "ventilator/mark.h"

using namespace ventilator;

namespace {

// A run directory, and a file to be standard input; both are gone with their owner.
class Place {
 public:
  explicit Place(const std::string& given) {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
    std::ofstream(path_ + "/given", std::ios::binary) << given;
    stdin_ = io::UniqueFd(::open((path_ + "/given").c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(stdin_);
  }
  ~Place() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  int fd() const { return stdin_.get(); }
  std::string file(base::JobId job) const {
    std::ifstream in(SpooledFile::path_of(path_, job), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool has(base::JobId job) const { return std::filesystem::exists(SpooledFile::path_of(path_, job)); }

 private:
  std::string path_ = "/tmp/pushmill-blocks-XXXXXX";
  io::UniqueFd stdin_;
};

struct Dealing {
  std::size_t to = 0;
  bool is_shared = false;
  std::uint64_t block = 1u << 20, piece = 4u << 20;
};

Blocks blocks_of(const Place& place, const Dealing& dealing) {
  BlockPlan plan;
  plan.bytes = dealing.block;
  plan.piece = dealing.piece;
  return {BlockCutter(std::move(*RecordEnds::make("", "\n", false)), std::move(plan)), Blocks::Config{{place.path()}, false, dealing.to, dealing.is_shared}, place.fd()};
}

struct Job {
  std::string value, bytes;
  base::InputFile input;
};

// All jobs of an input, whose run has accepted some before.
std::vector<Job> jobs_of(Input input, base::JobId accepted = 0) {
  std::vector<Job> jobs;
  for (auto state = SourceState::More; state == SourceState::More;) {
    state = input.read(2, 100'000);
    REQUIRE(state != SourceState::Error);
    REQUIRE(input.blocks()->store(accepted));
    for (const Arguments& job : input.jobs())
      jobs.push_back({job.values.empty() ? "" : std::string(job.values[0]), std::string(job.stdin_bytes), job.input != nullptr ? *job.input : base::InputFile{}});
  }
  return jobs;
}

Input rows_of(std::vector<std::string> words, Blocks blocks) {
  Input input(JobSource::list(std::move(words)));
  input.feed(std::move(blocks));
  return input;
}

std::string lines(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

}  // namespace

TEST_CASE("a mark depends on the bytes and their order, and not on how they come", "[blocks]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    for (auto length = random() % 200; length > 0; --length) bytes += static_cast<char>(random());
    Mark whole, parts;
    whole.add(bytes);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t length = random() % 70;
      parts.add(std::string_view(bytes).substr(at, length));
      at += length;
    }
    CHECK(parts.value() == whole.value());
    if (bytes.empty()) continue;
    Mark other, longer;
    longer.add(bytes + '\0');
    CHECK(longer.value() != whole.value());
    bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
    other.add(bytes);
    CHECK(other.value() != whole.value());
  }
}

TEST_CASE("a block that comes in pieces is the block in its file", "[blocks]") {
  const std::string given = lines(20'000);
  Place place(given);
  const auto whole = jobs_of(Input(blocks_of(place, {.block = 50'000})));
  std::string joined;
  for (base::JobId job = 1; job <= whole.size(); ++job) {
    CHECK(whole[job - 1].input.length == place.file(job).size());
    joined += place.file(job);
  }
  CHECK(joined == given);
  Place again(given);
  const auto pieces = jobs_of(Input(blocks_of(again, {.block = 50'000, .piece = 1'000})));
  REQUIRE(pieces.size() == whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CHECK(pieces[i].input.mark == whole[i].input.mark);
    CHECK(again.file(i + 1) == place.file(i + 1));
  }
}

TEST_CASE("blocks are dealt in turn, to no more jobs than there are blocks", "[blocks]") {
  Place place("1\n2\n3\n4\n5\n");
  const auto jobs = jobs_of(Input(blocks_of(place, {.to = 3, .block = 2})));
  REQUIRE(jobs.size() == 3);
  CHECK(place.file(1) == "1\n4\n");
  CHECK(place.file(2) == "2\n5\n");
  CHECK(place.file(3) == "3\n");
  Place few("1\n2\n");
  CHECK(jobs_of(Input(blocks_of(few, {.to = 3, .block = 2}))).size() == 2);
  Place none("");
  CHECK(jobs_of(Input(blocks_of(none, {.to = 3, .block = 2}))).empty());
}

TEST_CASE("with shared blocks each row is a job, and reads all of the input", "[blocks]") {
  Place place(lines(50'000));
  const auto jobs = jobs_of(rows_of({"a", "b", "c"}, blocks_of(place, {.to = 1, .is_shared = true, .block = 1'000})));
  REQUIRE(jobs.size() == 3);
  CHECK(place.file(SpooledFile::kAll) == lines(50'000));
  for (const Job& job : jobs) CHECK(job.input == jobs[0].input);
  CHECK(jobs[2].value == "c");
  SpooledFile::drop_shared(place.path());
  CHECK_FALSE(place.has(SpooledFile::kAll));
  Place none("");
  CHECK(jobs_of(rows_of({"a"}, blocks_of(none, {.to = 1, .is_shared = true})))[0].input.length == 0);
  CHECK(none.has(SpooledFile::kAll));
}

TEST_CASE("rows go to the blocks of their numbers; further blocks have an empty value, further rows none", "[blocks]") {
  Place place("1\n2\n3\n");
  const auto jobs = jobs_of(rows_of({"a", "b"}, blocks_of(place, {.block = 2})));
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0].value + jobs[0].bytes == "a1\n");
  CHECK(jobs[1].value + jobs[1].bytes == "b2\n");
  CHECK(jobs[2].value + jobs[2].bytes == "3\n");
  Place few("1\n");
  CHECK(jobs_of(rows_of({"a", "b"}, blocks_of(few, {.block = 2}))).size() == 1);
}

TEST_CASE("what jobs that were accepted before read is compared, never written", "[blocks]") {
  const Dealing dealings[] = {{.block = 10'000, .piece = 1'000}, {.to = 2, .block = 1'000}, {.to = 1, .is_shared = true}};
  for (const Dealing& dealing : dealings) {
    Place place(lines(5'000)), again(lines(5'001));
    const auto jobs = jobs_of(rows_of({"a", "b"}, blocks_of(place, dealing)));
    const auto offered = jobs_of(rows_of({"a", "b"}, blocks_of(again, dealing)), jobs.size() + 1);
    CHECK(offered.back().input.mark != jobs.back().input.mark);
    CHECK_FALSE(std::filesystem::exists(again.path() + "/inputs"));
  }
}

TEST_CASE("what a crash has left is taken away, and what a job reads is not", "[blocks]") {
  Place place("");
  const auto leave = [&] {
    std::filesystem::create_directory(place.path() + "/inputs");
    for (const base::JobId job : {0, 1, 2, 3}) std::ofstream(SpooledFile::path_of(place.path(), job)) << "x";
  };
  leave();
  SpooledFile::drop_leftovers(place.path(), 2);
  CHECK((place.has(0) && place.has(1) && place.has(2) && !place.has(3)));
  leave();
  SpooledFile::drop_leftovers(place.path(), 0);
  CHECK(std::filesystem::is_empty(place.path() + "/inputs"));
}

TEST_CASE("a file that an earlier life has left is written anew", "[blocks]") {
  Place place("new\n");
  std::filesystem::create_directory(place.path() + "/inputs");
  std::ofstream(SpooledFile::path_of(place.path(), 1)) << "older and longer";
  (void)jobs_of(Input(blocks_of(place, {.to = 1})));
  CHECK(place.file(1) == "new\n");
}
