// Templates made at random give the lines that GNU parallel gives, which is run for that, --dry-run: its start costs more than a thousand replacements, so each run
// of it gets one command with many templates in it, between marks. PUSHMILL_SEED says which ones, PUSHMILL_ROUNDS how many of each kind (1).
#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/job.h"
#include "base/random.h"
#include "ventilator/template.h"

using ventilator::Many;
using ventilator::ReplacementOptions;
using ventilator::Template;

namespace {

using Words = std::vector<std::string>;

constexpr std::string_view kMark = "MMM";
constexpr std::string_view kEnd = " ENDS";

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

// Both take each record as one value, and `row` of them for a job.
struct Setting {
  std::string name;
  Words options;  // of GNU parallel
  ReplacementOptions replacements;
  Words strings;    // replacement strings
  std::size_t row = 1;
  bool is_quoted = true;  // a word without replacement strings comes first
};

const Words kUsual = {"{}", "{}", "{.}", "{/}", "{//}", "{/.}", "{#}", "{1}", "{1.}", "{1/}", "{1//}", "{1/.}", "{-1}", "{-1/.}", "{0}", "{01}", "{00}"};
const Words kMany = {"{}", "{}", "{.}", "{/}", "{//}", "{/.}", "{1}", "{2.}", "{3/}", "{2//}", "{-1}", "{-2/}", "{-3/.}", "{-4}", "{-6}", "{-7}", "{4}", "{0}", "{0/}", "{#}"};

std::vector<Setting> settings() {
  const auto with = [](auto change) {
    ReplacementOptions options;
    change(options);
    return options;
  };
  const Words plus = {"{}", "{+/}", "{+.}", "{+..}", "{+...}", "{..}", "{...}", "{/..}", "{/...}", "{slot}", "{host}", "{:-none}", "{:1}", "{:1:2}", "{#a}", "{##a.*b}", "{%.b}", "{%%b.*}",
                      "{%[.b]+}", "{/a/X}", "{//a/X}", "{^a}", "{^^b}", "{,A}", "{,,A}", "{1:2}", "{-1%b}", "{1+/}", "{-1..}", "{1+..}", "{##}"};
  return {
      {"usual", {}, {}, kUsual},
      {"the command is a value", {}, {}, kUsual, 1, false},
      {"quote", {"-q"}, with([](auto& o) { o.quote = true; }), kUsual},
      {"plus", {"--plus"}, with([](auto& o) { o.plus = true; o.total = 12; }), plus},
      {"renamed", {"-I", "%V", "--er", ",,", "--bnr", "{base}", "--dnr", "DIR", "--bner", "{b.}", "--seqreplace", "NR"},
       with([](auto& o) { o.value = "%V"; o.stem = ",,"; o.name = "{base}"; o.folder = "DIR"; o.name_stem = "{b.}"; o.number = "NR"; }),
       {"%V", ",,", "{base}", "DIR", "{b.}", "NR", "{}", "{.}", "{/}", "{1}", "{1base}", "{-1b.}"}},
      {"own", {"--rpl", "{cut} s:a.*b:-:", "--rpl", "CAP s/(b+)/<$1>/g; s:/::", "--rpl", "{lit} $_=\"x y\"", "--rpl", "{or} s/^a// || s/.$//"},
       with([](auto& o) { o.own = {"{cut} s:a.*b:-:", "CAP s/(b+)/<$1>/g; s:/::", "{lit} $_=\"x y\"", "{or} s/^a// || s/.$//"}; }), {"{}", "{cut}", "CAP", "{1cut}", "{lit}", "{or}", "{-1or}"}},
      {"joined", {"-m", "-n3"}, {}, kMany, 3},
      {"repeated", {"-X", "-n3"}, with([](auto& o) { o.many = Many::Repeat; }), kMany, 3},
      {"repeated, the command is a value", {"-N3"}, with([](auto& o) { o.many = Many::Repeat; }), kMany, 3, false},
      {"repeated and quoted", {"-N3", "-q"}, with([](auto& o) { o.many = Many::Repeat; o.quote = true; }), kMany, 3},
  };
}

std::string any_of(base::Random& random, const Words& words) { return words[random.below(words.size())]; }

std::string template_at_random(base::Random& random, const Setting& setting) {
  static const Words kLiterals = {"a", "x", "{", "}", "{x}", "{}", "{{}}", " ", "  ", "'", "\"", "\\", "=", "-", "$a", "é", "{1", "{1x}", "{ }", "#", "%", ";", "|", "{-}", "{+1}", "\n", "\t"};
  std::string text;
  for (std::uint64_t i = 1 + random.below(5); i > 0; --i) {
    const std::string piece = any_of(random, random.below(2) == 0 ? setting.strings : kLiterals);
    // Perl, slots and differences that are meant ({1#}) are not to come about by chance.
    if ((text.ends_with('{') || text.ends_with("{1")) && std::string_view("=#%").find(piece.front()) != std::string_view::npos) continue;
    if (setting.row > 1 && piece == "\n") continue;  // it separates what is repeated; there it does not behind a blank
    text += piece;
  }
  return text;
}

std::string value_at_random(base::Random& random) {
  static const Words kPieces = {"a", "b", "A", "ab", ".", "/", "a.b", "/a", ".b", " ", "'", "\"", "\\", "$", "*", "é", "-", "\t", "\n", "0", "@", "{}", ""};
  std::string value;
  for (std::uint64_t i = random.below(7); i > 0; --i) value += any_of(random, kPieces);
  return value;
}

struct TemporaryFile {
  std::string path = "/tmp/pushmill_template_XXXXXX";
  explicit TemporaryFile(const std::string& text) {
    const int fd = ::mkstemp(path.data());
    REQUIRE(fd >= 0);
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(fd);
  }
  ~TemporaryFile() { ::unlink(path.c_str()); }
};

std::string output_of(const std::string& line) {
  std::FILE* pipe = ::popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[65536];
  for (std::size_t count; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, count);
  REQUIRE(::pclose(pipe) == 0);
  return output;
}

Words split(std::string_view text, std::string_view by) {
  Words parts;
  for (std::size_t end; (end = text.find(by)) != std::string_view::npos; text.remove_prefix(end + by.size())) parts.emplace_back(text.substr(0, end));
  parts.emplace_back(text);
  return parts;
}

void compare(const Setting& setting, std::uint64_t seed) {
  base::Random random(seed);
  Words words{setting.is_quoted ? "echo" : "{}"}, values;
  for (int i = 0; i < 150; ++i) {
    words.emplace_back(kMark);
    words.push_back(template_at_random(random, setting));
  }
  words.emplace_back(kEnd.substr(1));
  std::string records;
  for (int i = 0; i < 12; ++i) {
    values.push_back(i == 0 ? "" : value_at_random(random));
    records += values.back() + '\0';
  }
  const TemporaryFile input(records);
  Words command{"parallel", "--will-cite", "--dry-run", "-k", "-j1", "-0", "-a", input.path};
  command.insert(command.end(), setting.options.begin(), setting.options.end());
  command.insert(command.end(), words.begin(), words.end());
  const Words theirs = split(output_of(base::shell_join(command)), std::string(kEnd) + "\n");

  const Template made = Template::parse(words, {}, setting.replacements);
  REQUIRE(theirs.size() == values.size() / setting.row + 1);
  for (std::size_t job = 0; job + 1 < theirs.size(); ++job) {
    ventilator::Arguments arguments{job + 1, {values.begin() + static_cast<std::ptrdiff_t>(job * setting.row), values.begin() + static_cast<std::ptrdiff_t>((job + 1) * setting.row)}};
    const auto spec = made.compose(arguments);
    REQUIRE(spec);
    const std::string& line = std::get<base::Command>(spec->work).line;
    CHECK(made.length(arguments) == line.size());
    const Words ours = split(line.substr(0, line.size() - kEnd.size()), kMark), their = split(theirs[job], kMark);
    REQUIRE(ours.size() == their.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      INFO("template: " << (i == 0 ? words[0] : words[2 * i]));
      for (const std::string_view value : arguments.values) INFO("value: " << value);
      CHECK(ours[i] == their[i]);
    }
  }
}

}  // namespace

TEST_CASE("templates at random give the lines that GNU parallel gives", "[parallel]") {
  const std::uint64_t seed = from_environment("PUSHMILL_SEED", std::random_device()());
  std::printf("PUSHMILL_SEED=%llu\n", static_cast<unsigned long long>(seed));
  for (const Setting& setting : settings()) {
    for (std::uint64_t round = 0; round < from_environment("PUSHMILL_ROUNDS", 1); ++round) {
      INFO("PUSHMILL_SEED=" << seed << ", " << setting.name << ", round " << round);
      compare(setting, seed + round);
    }
  }
}
