#include "ventilator/block_cutter.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using ventilator::BlockCutter;
using ventilator::BlockPlan;
using ventilator::RecordEnds;

namespace {

struct Marks {
  std::string start = {}, end = "\n";
  bool is_regexp = false;
};

BlockCutter cutter(const Marks& marks, BlockPlan plan) {
  auto ends = RecordEnds::make(marks.start, marks.end, marks.is_regexp);
  REQUIRE(ends);
  return {std::move(*ends), std::move(plan)};
}

// The stream comes in pieces of at most `piece` bytes.
std::vector<std::string> blocks(const std::string& stream, BlockCutter cut, std::size_t piece) {
  std::vector<std::string> found;
  std::size_t at = 0;
  bool is_behind_block = true;
  for (;;) {
    while (const auto given = cut.next()) {
      if (is_behind_block) found.push_back(cut.header());
      found.back() += given->bytes;
      is_behind_block = given->ends_block;
    }
    if (at == stream.size()) break;
    const auto room = cut.room();
    const std::size_t length = std::min({room.size(), piece, stream.size() - at});
    std::memcpy(room.data(), stream.data() + at, length);
    cut.add(length);
    at += length;
    if (at == stream.size()) cut.end();
  }
  CHECK(is_behind_block);
  return found;
}

std::vector<std::string> blocks(const std::string& stream, const Marks& marks, const auto& plan) {
  const auto whole = blocks(stream, cutter(marks, plan()), SIZE_MAX);
  const std::size_t unit = 1 + stream.size() / 10'000;
  for (const std::size_t piece : {unit, 2 * unit, 3 * unit, 7 * unit}) {
    CHECK(blocks(stream, cutter(marks, plan()), piece) == whole);
    for (const std::uint64_t given : {1, 2, 5}) {  // and however it leaves
      BlockPlan in_pieces = plan();
      in_pieces.piece = given;
      CHECK(blocks(stream, cutter(marks, std::move(in_pieces)), piece) == whole);
    }
  }
  return whole;
}

BlockPlan by_size(std::uint64_t bytes, std::uint64_t lines = 1) {
  BlockPlan plan;
  plan.bytes = bytes;
  plan.lines = lines;
  return plan;
}

BlockPlan by_count(std::uint64_t records, std::uint64_t lines = 1) {
  BlockPlan plan;
  plan.records = records;
  plan.lines = lines;
  return plan;
}

using Blocks = std::vector<std::string>;

}  // namespace

TEST_CASE("a block is what whole records fit into its size", "[blocks]") {
  CHECK(blocks("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n", {}, [] { return by_size(10); }) == Blocks{"1\n2\n3\n4\n5\n", "6\n7\n8\n9\n", "10\n11\n"});
  CHECK(blocks("", {}, [] { return by_size(10); }).empty());
}

TEST_CASE("the last record needs no end", "[blocks]") {
  CHECK(blocks("a\nb\nc", {}, [] { return by_size(100); }) == Blocks{"a\nb\nc"});
  CHECK(blocks("a\nb\nc", {}, [] { return by_size(2); }) == Blocks{"a\n", "b\n", "c"});
  CHECK(blocks("a\nb\nc", {}, [] { return by_count(2); }) == Blocks{"a\nb\n", "c"});
}

TEST_CASE("a record that is longer than a block comes whole, and blocks are larger from then on", "[blocks]") {
  const std::string record = std::string(40, 'x') + "\n";
  const auto found = blocks("a\n" + record + "b\nc\n" + record, {}, [] { return by_size(10); });
  CHECK(found == Blocks{"a\n", record + "b\nc\n", record});
}

TEST_CASE("records are counted whatever their size", "[blocks]") {
  const std::string record = std::string(400'000, 'x') + "\n";
  CHECK(blocks(record + record + "c\n", {}, [] { return by_count(2); }) == Blocks{record + record, "c\n"});
  CHECK(blocks("1\n2\n3\n4\n5\n6\n7\n", {}, [] { return by_count(1, 3); }) == Blocks{"1\n2\n3\n", "4\n5\n6\n", "7\n"});
  CHECK(blocks("1\n2\n3\n4\n5\n6\n7\n", {}, [] { return by_size(8, 3); }) == Blocks{"1\n2\n3\n", "4\n5\n6\n", "7\n"});
}

TEST_CASE("a record may be told by what starts it, or by both", "[blocks]") {
  CHECK(blocks("x\n>a\n1\n>b\n>c", {">", ""}, [] { return by_count(1); }) == Blocks{"x\n", ">a\n1\n", ">b\n", ">c"});
  CHECK(blocks("x\n>a\n1\n2\n>b\n3\n>c", {">", ""}, [] { return by_size(10); }) == Blocks{"x\n>a\n1\n2\n", ">b\n3\n>c"});
  CHECK(blocks("a>\n>1\n2\n>3", {">", "\n"}, [] { return by_count(1); }) == Blocks{"a>\n", ">1\n2\n", ">3"});
  CHECK(blocks("aXXXbXXc", {"", "XX"}, [] { return by_count(1); }) == Blocks{"aXX", "XbXX", "c"});
  CHECK(blocks("abcdef", {"", ""}, [] { return by_size(2); }) == Blocks{"ab", "cd", "ef"});
}

TEST_CASE("records may be told by regular expressions", "[blocks]") {
  CHECK(blocks("a1b22c333d", {"", "[0-9]+", true}, [] { return by_count(1); }) == Blocks{"a1", "b22", "c333", "d"});
  CHECK(blocks("a1b22c333d", {"", "[0-9]+", true}, [] { return by_size(4); }) == Blocks{"a1b2", "2c33", "3d"});
  CHECK(blocks("A1\nb\nC3\nd\n", {"[A-Z][0-9]", "", true}, [] { return by_count(1); }) == Blocks{"A1\nb\n", "C3\nd\n"});
  CHECK_FALSE(RecordEnds::make("", "a(", true));
}

TEST_CASE("what parts records can be left out", "[blocks]") {
  const auto strip = [](std::uint64_t records) {
    return [records] {
      BlockPlan plan = by_count(records);
      plan.strips = true;
      return plan;
    };
  };
  CHECK(blocks("a;b;c;d", {"", ";"}, strip(2)) == Blocks{"ab", "cd"});
  CHECK(blocks(">a\n1\n>b\n", {">", ""}, strip(1)) == Blocks{"a\n1\n", "b\n"});
  CHECK(blocks("a\n>1\n2\n>3\nb\n", {">", "\n"}, strip(1)) == Blocks{"a", "1\n2", "3\nb"});
  CHECK(blocks("a1b22c333d", {"", "[0-9]+", true}, strip(3)) == Blocks{"abc", "d"});
}

TEST_CASE("more records than can be counted are all there are", "[blocks]") {
  const auto plan = [] {
    BlockPlan plan = by_count(std::uint64_t{1} << 62);
    plan.lines = 4;
    return plan;
  };
  CHECK(blocks("1\n2\n3\n", {}, plan) == Blocks{"1\n2\n3\n"});
}

TEST_CASE("a header stands before each block and in none", "[blocks]") {
  const auto lines = [] {
    BlockPlan plan = by_count(1);
    plan.header_lines = 2;
    return plan;
  };
  CHECK(blocks("h1\nh2\n1\n2\n", {}, lines) == Blocks{"h1\nh2\n1\n", "h1\nh2\n2\n"});
  CHECK(blocks("h1\n", {}, lines).empty());
  const auto endless = [] {
    BlockPlan plan = by_count(1);
    plan.header_lines = UINT64_MAX;
    return plan;
  };
  CHECK(blocks("h1\nh2\n", {}, endless).empty());
  const auto matched = [] {
    BlockPlan plan = by_count(2);
    plan.header = std::move(*regex::Regex::compile("\\A(?:%.*\\n)*"));
    return plan;
  };
  CHECK(blocks("%a\n%b\n1\n2\n3\n", {}, matched) == Blocks{"%a\n%b\n1\n2\n", "%a\n%b\n3\n"});
  CHECK(blocks("1\n2\n3\n", {}, matched) == Blocks{"1\n2\n", "3\n"});
}

TEST_CASE("of a large block no more than a piece and a record is held", "[blocks]") {
  const std::string record = std::string(99, 'x') + "\n";
  for (const bool counts : {false, true}) {
    BlockPlan plan = counts ? by_count(5'000) : by_size(500'000);
    plan.piece = 1000;
    auto cut = cutter({}, std::move(plan));
    std::size_t given = 0, most = 0, ends = 0;
    for (int i = 0; i < 12'000; ++i) {
      const auto room = cut.room();
      REQUIRE(room.size() >= record.size());
      std::copy(record.begin(), record.end(), room.begin());
      cut.add(record.size());
      while (const auto piece = cut.next()) given += piece->bytes.size(), ends += piece->ends_block;
      most = std::max(most, (i + 1) * record.size() - given);
    }
    CHECK(ends >= 2);
    CHECK(most < 1200);
  }
}

TEST_CASE("a record that is larger than all blocks is not held either", "[blocks]") {
  BlockPlan plan = by_size(100'000);
  plan.piece = 1000;
  auto cut = cutter({}, std::move(plan));
  std::size_t given = 0, most = 0;
  for (std::size_t read = 0; read < 900'000;) {
    const auto room = cut.room();
    const std::size_t length = std::min<std::size_t>(room.size(), 500);
    std::fill_n(room.begin(), length, 'x');
    cut.add(length);
    read += length;
    while (const auto piece = cut.next()) {
      given += piece->bytes.size();
      CHECK_FALSE(piece->ends_block);
    }
    most = std::max(most, read - given);
  }
  CHECK(most < 1600);
}

TEST_CASE("random streams come out whole, whatever the records and blocks and however they come", "[blocks]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const Marks marks[] = {{}, {"", "ab"}, {"", "aa"}, {"aa", ""}, {"", ""}, {"a", ""}, {"b", "a"}, {"a", "aa"}, {"", "a+", true}, {"b", "a", true}, {"[bc]", "", true}};
  for (int round = 0; round < 200; ++round) {
    std::string stream;
    for (auto length = random() % 200; length > 0; --length) stream += "abc\n"[random() % 4];
    const Marks& mark = marks[random() % std::size(marks)];
    const auto plan = random() % 2 == 0 ? by_size(1 + random() % 20, 1 + random() % 2) : by_count(1 + random() % 4);
    const auto same = [&] {
      BlockPlan copy = by_size(plan.bytes, plan.lines);
      copy.records = plan.records;
      return copy;
    };
    std::string joined;
    for (const std::string& block : blocks(stream, mark, same)) {
      CHECK_FALSE(block.empty());
      joined += block;
    }
    CHECK(joined == stream);
  }
}
