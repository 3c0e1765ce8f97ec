#include "ventilator/input.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

#include "base/job.h"
#include "ventilator/joblog_reader.h"
#include "ventilator/options_input.h"
#include "wire/limits.h"

using namespace ventilator;

namespace {

using Jobs = std::vector<std::vector<std::string>>;

SourceWords arguments(std::vector<std::string> words, bool is_linked = false) { return {SourceWords::Kind::Arguments, is_linked, std::move(words)}; }

InputOptions sources(std::vector<SourceWords> words) {
  InputOptions options;
  options.sources = std::move(words);
  return options;
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
  std::string path_ = "/tmp/pushmill-rows-XXXXXX";
};

InputOptions file(const File& file) {
  InputOptions options;
  options.files = {file.path()};
  return options;
}

// All jobs, asked for a few at a time, and their numbers.
struct Read {
  Jobs jobs;
  std::vector<base::JobId> numbers;
  std::vector<bool> own;
  std::vector<std::string> names;
  SourceState state = SourceState::More;
  std::string error;
};

Read read(Input input, std::size_t max_jobs = 3, std::size_t max_bytes = 1000, std::uint64_t seed = 0, Template made = Template::parse({"echo"}, {})) {
  Read result;
  input.serve(made, seed);
  while (result.state == SourceState::More) {
    result.state = input.read(max_jobs, max_bytes);
    for (const Arguments& job : input.jobs()) {
      result.jobs.emplace_back(job.values.begin(), job.values.end());
      result.numbers.push_back(job.number);
      result.own.push_back(job.has_own_number);
    }
    if (result.state != SourceState::More) CHECK(input.jobs().empty());
  }
  result.names = input.names();
  if (result.state == SourceState::Error) result.error = input.error().message;
  return result;
}

Read read(const InputOptions& options, const std::string& joblog = "", std::uint32_t slots = 2) {
  auto input = open_input(options, joblog, slots);
  if (!input) FAIL(input.error().message);
  return read(std::move(*input));
}

Jobs jobs(const InputOptions& options, std::uint32_t slots = 2) { return read(options, "", slots).jobs; }

}  // namespace

TEST_CASE("each combination of several sources makes a job, the last one varies fastest", "[input]") {
  CHECK(jobs(sources({arguments({"a", "b"}), arguments({"1", "2", "3"})})) == Jobs{{"a", "1"}, {"a", "2"}, {"a", "3"}, {"b", "1"}, {"b", "2"}, {"b", "3"}});
  CHECK(jobs(sources({arguments({"a"}), arguments({"1", "2"}), arguments({"x", "y"})})) == Jobs{{"a", "1", "x"}, {"a", "1", "y"}, {"a", "2", "x"}, {"a", "2", "y"}});
}

TEST_CASE("a source without a record counts as one of an empty value, unless all are so", "[input]") {
  CHECK(jobs(sources({arguments({"a", "b"}), arguments({})})) == Jobs{{"a", ""}, {"b", ""}});
  CHECK(jobs(sources({arguments({}), arguments({"a", "b"})})) == Jobs{{"", "a"}, {"", "b"}});
  CHECK(jobs(sources({arguments({"a", "b"}), arguments({}, true)})) == Jobs{{"a", ""}});
  CHECK(jobs(sources({arguments({}), arguments({})})) == Jobs{});
}

TEST_CASE("linked sources give a record each, and end with the shortest", "[input]") {
  CHECK(jobs(sources({arguments({"a", "b", "c"}), arguments({"1", "2"}, true)})) == Jobs{{"a", "1"}, {"b", "2"}});
  CHECK(jobs(sources({arguments({"x", "y"}), arguments({"a", "b"}), arguments({"1", "2", "3"}, true)})) == Jobs{{"x", "a", "1"}, {"x", "b", "2"}, {"y", "a", "1"}, {"y", "b", "2"}});
}

TEST_CASE("with --link the shorter sources begin again", "[input]") {
  InputOptions options = sources({arguments({"a", "b"}), arguments({"1", "2", "3"}), arguments({"w", "x", "y", "z"})});
  options.link = true;
  CHECK(jobs(options) == Jobs{{"a", "1", "w"}, {"b", "2", "x"}, {"a", "3", "y"}, {"b", "1", "z"}});
}

TEST_CASE("files and arguments are combined, and a long first source streams", "[input]") {
  std::string lines;
  for (int i = 0; i < 5000; ++i) lines += std::to_string(i) + "\n";
  const File numbers(lines);
  InputOptions options = file(numbers);
  options.sources = {arguments({"x", "y"})};
  const Jobs made = jobs(options);
  REQUIRE(made.size() == 10'000);
  CHECK(made[9'998] == std::vector<std::string>{"4999", "x"});
  options.link = true;
  const Jobs linked = jobs(options);
  REQUIRE(linked.size() == 5000);
  CHECK(linked[4999] == std::vector<std::string>{"4999", "y"});
}

TEST_CASE("records end where the user says", "[input]") {
  const auto of = [](const std::string& text, const std::string& delimiter) {
    const File input(text);
    InputOptions options = file(input);
    options.delimiter = delimiter;
    return jobs(options);
  };
  CHECK(of(std::string("a\0b c\0", 6), std::string(1, '\0')) == Jobs{{"a"}, {"b c"}});
  CHECK(of("aXYbXXYc\n", "XY") == Jobs{{"a"}, {"bX"}, {"c\n"}});
  CHECK(of("a,b,", ",") == Jobs{{"a"}, {"b"}});
  CHECK(of("a\nb\n", "") == Jobs{{"a\nb\n"}});
}

TEST_CASE("a delimiter of several bytes is found wherever the reads cut it", "[input]") {
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  const io::UniqueFd reader(fds[0]);
  io::UniqueFd writer(fds[1]);
  JobSource source = JobSource::standard_input(reader.get(), {"<>"});
  std::vector<std::string_view> views;
  std::vector<std::string> records;
  for (const char c : std::string("a<b<>c<<>>d<>")) {
    REQUIRE(::write(writer.get(), &c, 1) == 1);
    for (bool is_new = true; is_new || source.fd() < 0; is_new = false) {
      source.read(10, 100, views);
      records.insert(records.end(), views.begin(), views.end());
    }
  }
  writer.reset();
  while (source.read(10, 100, views) == SourceState::More) records.insert(records.end(), views.begin(), views.end());
  CHECK(records == std::vector<std::string>{"a<b", "c<", ">d"});
}

TEST_CASE("columns are cut where the expression matches, as Perl's split does", "[input]") {
  const auto columns = [](const std::string& text, const std::string& separator, std::optional<Trim> trim = std::nullopt) {
    const File input(text);
    InputOptions options = file(input);
    options.colsep = separator;
    options.trim = trim;
    return jobs(options);
  };
  CHECK(columns("a,,b\nc,\n", ",") == Jobs{{"a", "", "b"}, {"c", ""}});
  CHECK(columns(" a , b \n", ",") == Jobs{{"a", "b"}});
  CHECK(columns(" a , b \n", ",", Trim::None) == Jobs{{" a ", " b "}});
  CHECK(columns("a1b22c\n", "[0-9]+") == Jobs{{"a", "b", "c"}});
  CHECK(columns("a1b22c\n", "([0-9]+)") == Jobs{{"a", "1", "b", "22", "c"}});
  CHECK(columns("abc\n", "") == Jobs{{"a", "b", "c", ""}});
  CHECK(columns("a|b\n", "|") == Jobs{{"a", "|", "b", ""}});
  CHECK(columns("  k  v\n", "\\s+") == Jobs{{"", "k", "v"}});
  CHECK(columns("\n", ",") == Jobs{{""}});
  CHECK_FALSE(Columns::split_at("[", Trim::None));
}

TEST_CASE("an expression may go back and forth over a long record", "[input]") {
  std::string record;
  for (int i = 0; i < 50'000; ++i) record += "ab";
  const File input(record + ",x\n");
  InputOptions options = file(input);
  options.colsep = "(?:a|b)*,";
  CHECK(jobs(options) == Jobs{{"", "x"}});
}

TEST_CASE("CSV has quotes, quotes within, and newlines in its values", "[input]") {
  const auto csv = [](const std::string& text) {
    const File input(text);
    InputOptions options = file(input);
    options.csv = true;
    return read(options);
  };
  CHECK(csv("\"1 big, 2 small\",\"2\"\"x4\"\" plank\",12.34\n").jobs == Jobs{{"1 big, 2 small", "2\"x4\" plank", "12.34"}});
  CHECK(csv("\"a\nb\",c\r\nd,\"e\"\r\n").jobs == Jobs{{"a\nb", "c"}, {"d", "e"}});
  CHECK(csv("a\"b,\"\",\n").jobs == Jobs{{"a\"b", "", ""}});
  const Read open = csv("a,b\nc,\"d\ne,f\n");
  CHECK(open.jobs == Jobs{{"a", "b"}});
  CHECK(open.error.find("record 2 of the input") == 0);
}

TEST_CASE("a header names the columns, or the sources", "[input]") {
  const File table("name,size\nx,1\ny,2\n");
  InputOptions options = file(table);
  options.colsep = ",";
  options.has_header = true;
  Read result = read(options);
  CHECK(result.names == std::vector<std::string>{"name", "size"});
  CHECK(result.jobs == Jobs{{"x", "1"}, {"y", "2"}});
  options = sources({arguments({"f", "a", "b"}), arguments({"g", "1"})});
  options.has_header = true;
  result = read(options);
  CHECK(result.names == std::vector<std::string>{"f", "g"});
  CHECK(result.jobs == Jobs{{"a", "1"}, {"b", "1"}});
}

TEST_CASE("records are left out, trimmed, and end where they are told to", "[input]") {
  const File input("first\n\n a \nx\n  \nend\nz\n");
  InputOptions options = file(input);
  options.skips_blank = options.skips_first_line = true;
  options.eof = "end";
  options.trim = Trim::Left;
  CHECK(jobs(options) == Jobs{{"a "}, {"x"}});
}

TEST_CASE("several records make one job", "[input]") {
  InputOptions options = sources({arguments({"1", "2", "3", "4", "5"})});
  options.max_args = 2;
  CHECK(jobs(options) == Jobs{{"1", "2"}, {"3", "4"}, {"5"}});
  options.max_args = 0;
  CHECK(jobs(options) == Jobs{{}, {}, {}, {}, {}});
  options.max_args.reset();
  options.max_chars = 11;  // echo 1 2 3 is 10 bytes
  options.xargs = true;
  CHECK(jobs(options) == Jobs{{"1", "2", "3"}, {"4", "5"}});
}

TEST_CASE("a line that ends with a blank goes on in the next with -L", "[input]") {
  const File input("a\nb \nc\nd \n");
  InputOptions options = file(input);
  options.max_lines = 1;
  CHECK(jobs(options) == Jobs{{"a"}, {"b c"}, {"d "}});
}

TEST_CASE("lines that go on and on are one record only as long as a job may be", "[input]") {
  std::string text;
  for (std::size_t i = 0; i < wire::kMaxJob / 1000 + 5; ++i) text.append(999, 'x').append(" \n");
  const File input(text);
  InputOptions options = file(input);
  options.max_lines = 1;
  const Read result = read(options);
  REQUIRE(result.jobs.size() == 2);
  CHECK(result.jobs[0][0].size() > wire::kMaxJob);
}

TEST_CASE("the last records are spread over the slots with -m and -X", "[input]") {
  InputOptions options = sources({arguments({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"})});
  options.m = true;
  CHECK(jobs(options, 3) == Jobs{{"1", "2", "3", "4"}, {"5", "6", "7", "8"}, {"9", "10"}});
  options = sources({arguments({"1", "2", "3", "4", "5", "6"})});
  options.X = true;
  options.max_args = 3;
  CHECK(jobs(options, 4) == Jobs{{"1", "2", "3"}, {"4"}, {"5"}, {"6"}});
}

TEST_CASE("a line longer than -s is an error behind those before it", "[input]") {
  InputOptions options = sources({arguments({"1", "22", "333", "4"})});
  options.max_chars = 8;
  const Read result = read(options);
  CHECK(result.jobs == Jobs{{"1"}, {"22"}});
  CHECK(result.error == "record 3 makes a command line of 8 bytes; -s allows less than 8");
}

TEST_CASE("shuffled rows are all there, in an order that the seed says", "[input]") {
  InputOptions options = sources({arguments({"1", "2", "3", "4", "5", "6", "7", "8"})});
  options.shuf = true;
  const auto with = [&](std::uint64_t seed) {
    auto input = open_input(options, "", 1);
    REQUIRE(input);
    return read(std::move(*input), 3, 1000, seed).jobs;
  };
  CHECK(with(1) == with(1));
  CHECK(with(1) != with(2));
  Jobs sorted = with(1);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == Jobs{{"1"}, {"2"}, {"3"}, {"4"}, {"5"}, {"6"}, {"7"}, {"8"}});
}

TEST_CASE("where the template has the number of jobs, all rows are read before the first", "[input]") {
  ReplacementOptions plus;
  plus.plus = true;
  const auto lines = [&](InputOptions options, const std::string& text, std::size_t max_jobs = 3) {
    auto made = Template::parse({text}, {}, plus);
    auto input = open_input(options, "", 2);
    REQUIRE(input);
    input->serve(made, 1);
    std::vector<std::string> found;
    for (auto state = SourceState::More; state == SourceState::More;) {
      state = input->read(max_jobs, 1000);
      for (const Arguments& job : input->jobs()) found.push_back(std::get<base::Command>(made.compose(job)->work).line);
    }
    return found;
  };
  InputOptions options = sources({arguments({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"})});
  const auto all = lines(options, "{##} {0#} {}");
  REQUIRE(all.size() == 10);
  CHECK((all[0] == "10 01 1" && all[9] == "10 10 10"));
  CHECK(lines(options, "{##} {0#} {}", 100) == all);
  options.max_args = 4;
  CHECK(lines(options, "{##}: {}") == std::vector<std::string>{"3: 1 2 3 4", "3: 5 6 7 8", "3: 9 10"});
  options.header = ":";
  options.has_header = true;
  CHECK(lines(options, "{##}: {1}") == std::vector<std::string>{"3: 2", "3: 6", "3: 10"});
  CHECK(lines(sources({arguments({})}), "{##}").empty());
}

TEST_CASE("a joblog says which numbers are left out, by its last line of each", "[input]") {
  const std::string header = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
  const File log(header + "1\t:\t1.0\t 0.1\t0\t0\t1\t0\techo 1\n2\t:\t1.0\t 0.1\t0\t0\t0\t0\techo\t2\n4\t:\t1.0\t 0.1\t0\t0\t0\t9\techo" + std::string(1, '\0') + "4\n" +
                 "1\t:\t1.0\t 0.1\t0\t0\t0\t0\techo 1\nrubbish\n5\t:\t1.0\t 0.1\t0\t0\t0\t0\tcut");
  InputOptions options = sources({arguments({"a", "b", "c", "d", "e"})});
  options.resumes = true;
  Read result = read(options, log.path());
  CHECK(result.jobs == Jobs{{"c"}, {"e"}});
  CHECK(result.numbers == std::vector<base::JobId>{3, 5});
  CHECK(result.own == std::vector<bool>{true, true});
  options.joblog_bytes = header.size() + 20;  // the log as it was when the run began
  CHECK(read(options, log.path()).numbers == std::vector<base::JobId>{2, 3, 4, 5});
  options = sources({arguments({"a", "b", "c", "d", "e"})});
  options.resumes_failed = true;
  CHECK(read(options, log.path()).numbers == std::vector<base::JobId>{3, 4, 5});
  options = {};
  options.retries_failed = true;
  result = read(options, log.path());
  CHECK(result.jobs == Jobs{{"echo\n4"}});
  CHECK(result.numbers == std::vector<base::JobId>{4});

  CHECK(read_joblog("/no/such/log", false).error().kind == base::Error::Kind::NotFound);
  const File other("something else\n");
  CHECK(read_joblog(other.path(), false).error().kind == base::Error::Kind::Usage);
  const File empty("");
  CHECK(read_joblog(empty.path(), false)->finished.size() == 0);
}
