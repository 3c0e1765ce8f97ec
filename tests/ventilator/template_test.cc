#include "ventilator/template.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/random.h"
#include "ventilator/labels.h"
#include "wire/codec.h"
#include "wire/limits.h"

using base::JobId;
using ventilator::JobDefaults;
using ventilator::LabelOptions;
using ventilator::ReplacementOptions;
using ventilator::WorkOptions;
using ventilator::Template;

namespace {

using Words = std::vector<std::string>;

std::string line_of(const Template& made, std::string_view record, JobId job = 1) {
  const auto spec = made.compose({job, {record}});
  if (!spec) return "refused: " + spec.error().message;
  return std::get<base::Command>(spec->work).line;
}

std::string line_of(const Words& words, std::string_view record, JobId job = 1) { return line_of(Template::parse(words, {}), record, job); }

std::string refusal(const Template& made, std::string_view record, JobId job) {
  const auto spec = made.compose({job, {record}});
  REQUIRE_FALSE(spec);
  CHECK(spec.error().kind == base::Error::Kind::Usage);
  return spec.error().message;
}

// Everything that `line` prints under /bin/sh.
std::string output_of(const std::string& line) {
  std::FILE* pipe = ::popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[4096];
  for (std::size_t count; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, count);
  REQUIRE(::pclose(pipe) == 0);
  return output;
}

std::uint64_t seed_of_this_run() {
  const char* given = std::getenv("PUSHMILL_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

}  // namespace

TEST_CASE("a template gives the lines that GNU parallel 20221122 --dry-run gives", "[template]") {
  struct Case {
    Words words;
    std::string record;
    std::string line;
  };
  // The third column is what `parallel --dry-run WORDS ::: RECORD` printed.
  const Case cases[] = {
      {{"echo"}, "a", "echo a"},
      {{"echo"}, "a b", "echo 'a b'"},
      {{"echo"}, "", "echo ''"},
      {{"echo", "a b", "{}"}, "x y", "echo a b 'x y'"},
      {{"echo", "a  b"}, "c", "echo a  b c"},
      {{"echo", "{}", "{}"}, "x y", "echo 'x y' 'x y'"},
      {{"echo", "{}{}"}, "it's", "echo 'it'\"'\"'s''it'\"'\"'s'"},
      {{"echo {}{}"}, "", "echo ''''"},
      {{"echo", "{}{#}{}"}, "'", "echo \"'\"1\"'\""},
      {{"echo", "{#}"}, "a", "echo 1"},
      {{"echo", "{#}{#}"}, "q", "echo 11"},
      {{"echo {#} {}"}, "a b", "echo 1 'a b'"},
      {{"echo {} {#} {"}, "a b", "echo 'a b' 1 {"},
      {{"echo {##}"}, "a", "echo {##} a"},
      {{"echo {{}}"}, "a b", "echo {'a b'}"},
      {{"echo {{#}}"}, "a b", "echo {1}"},
      {{"echo '{}'"}, "a b", "echo ''a b''"},
      {{"echo \"\"{}\"\""}, "", "echo \"\"''\"\""},
      {{"echo ''{}''"}, "'", "echo ''\"'\"''"},
      {{"echo {} ''"}, "a b", "echo 'a b' ''"},
      {{"echo {}", " "}, "a", "echo a  "},
      {{"echo {}; echo {}"}, "a b", "echo 'a b'; echo 'a b'"},
      {{"echo {} # {}"}, "a b", "echo 'a b' # 'a b'"},
      {{"echo", "{}", "|", "wc"}, "a b", "echo 'a b' | wc"},
      {{"echo \\{\\}"}, "a", "echo \\{\\} a"},
      {{"echo $HOME {}"}, "a", "echo $HOME a"},
      {{"  echo  {}  "}, "a  b", "  echo  'a  b'  "},
      {{"echo\n{}\n"}, "a b", "echo\n'a b'\n"},
      {{"echo\n"}, "a b", "echo\n 'a b'"},
      {{"a", "", "b"}, "x y", "a  b 'x y'"},
      {{"a", ""}, "x y", "a  'x y'"},
      {{"x{"}, "a", "x{ a"},
      {{"{", "}"}, "x y", "{ } 'x y'"},
      {{"e {", "}"}, "x y", "e { } 'x y'"},
      {{"(echo {})"}, "a b", "(echo 'a b')"},
      // the record is the command, or a part of it
      {{}, "echo a", "echo a"},
      {{}, "", ""},
      {{"{}"}, "echo a", "echo a"},
      {{"{}"}, "", ""},
      {{"{}"}, "echo 'a  b' | wc", "echo 'a  b' | wc"},
      {{"{}", "x"}, "echo a", "echo a x"},
      {{"{} x"}, "echo a", "echo a x"},
      {{"{} {}"}, "echo a", "echo a echo a"},
      {{"{}", "{#}"}, "a b", "a b 1"},
      {{"{};{}"}, "echo a", "echo a;echo a"},
      {{"\"{}\""}, "echo a", "\"echo a\""},
      {{"'{}'"}, "a b", "'a b'"},
      {{"{}x"}, "echo a", "echo ax"},
      {{"x{}"}, "a b", "xa b"},
      {{"{}}"}, "a b", "a b}"},
      {{"({})"}, "a b", "(a b)"},
      {{"$({})"}, "echo 1", "$(echo 1)"},
      {{"echo;{}"}, "a b", "echo;a b"},
      {{"cmd{#} {}"}, "a b", "cmd1 a b"},
      {{"{#}"}, "a b", "1"},
      // ... but a blank or a `=` before it ends the command
      {{"x", "{}"}, "echo a", "x 'echo a'"},
      {{""}, "echo a", " 'echo a'"},
      {{" "}, "a b", "  'a b'"},
      {{"", "{}"}, "x y", " 'x y'"},
      {{" {}"}, "echo a", " 'echo a'"},
      {{"\t{}"}, "a b", "\t'a b'"},
      {{"x\n{}"}, "a b", "x\n'a b'"},
      {{"V={} cmd {}"}, "a b", "V='a b' cmd 'a b'"},
      {{"cmd=x{} {}"}, "a b", "cmd=x'a b' 'a b'"},
      {{"=x{}"}, "a b", "=x'a b'"},
      // quoting
      {{"echo"}, "a\tb", "echo 'a\tb'"},
      {{"echo"}, "a\r", "echo 'a\r'"},
      {{"echo"}, "~", "echo '~'"},
      {{"echo"}, "*", "echo '*'"},
      {{"echo"}, "$HOME", "echo '$HOME'"},
      {{"echo"}, "`x`", "echo '`x`'"},
      {{"echo"}, "\\", "echo '\\'"},
      {{"echo"}, "\"", "echo '\"'"},
      {{"echo"}, "%", "echo '%'"},
      {{"echo"}, "=", "echo '='"},
      {{"echo"}, "\xc3\xa9", "echo '\xc3\xa9'"},
      {{"echo"}, "''", "echo \"'\"''\"'\""},
      {{"echo"}, "'a'", "echo \"'\"'a'\"'\""},
      {{"echo"}, "a''b", "echo 'a'\"'\"''\"'\"'b'"},
      {{"echo"}, "{}", "echo '{}'"},
      {{"echo"}, "{#}", "echo '{#}'"},
  };
  for (const Case& c : cases) {
    INFO("words: " << Catch::StringMaker<Words>::convert(c.words) << ", record: " << c.record);
    CHECK(line_of(c.words, c.record) == c.line);
  }
}

TEST_CASE("{#} is the number of the job", "[template]") {
  CHECK(line_of({"echo", "{#}"}, "x", 17) == "echo 17");
  CHECK(line_of({"echo", "{#}"}, "x", UINT64_MAX) == "echo 18446744073709551615");
}

TEST_CASE("a job takes shell, directory, time limit and its way to be ended from the defaults", "[template]") {
  const auto spec = Template::parse({"echo"}, {"/bin/bash", "/some/where", base::Duration(2'500'000), {2, 100, 9, 0}, true}).compose({1, {"a"}});
  REQUIRE(spec);
  base::Command command;
  command.line = "echo a";
  command.shell = "/bin/bash";
  command.directory = "/some/where";
  command.term_seq = {2, 100, 9, 0};
  command.kill_leftovers = true;
  CHECK(*spec == base::JobSpec{command, base::Duration(2'500'000)});
}

TEST_CASE("a call hands any record to its handler as one packed string", "[template]") {
  const auto made = Template::call("echo", 3, false, {"/bin/bash", "/some/where", base::Duration(7)});
  for (const auto& record : {std::string("a b"), std::string(), std::string("\0\xff'{}", 5)}) {
    const auto spec = made.compose({1, {record}});
    REQUIRE(spec);
    CHECK(*spec == base::JobSpec{base::Call{"echo", 3, wire::pack_bytes(record)}, base::Duration(7)});
    const auto printed = wire::print_value(std::get<base::Call>(spec->work).arguments);
    REQUIRE(printed);
    CHECK(*printed == record);
  }
}

TEST_CASE("a call that takes JSON hands its value to the handler", "[template]") {
  const auto made = Template::call("sum", 1, true, {});
  const auto printed = [&](std::string_view record) {
    const auto spec = made.compose({1, {record}});
    REQUIRE(spec);
    return *wire::print_value(std::get<base::Call>(spec->work).arguments);
  };
  CHECK(printed("[1, -2, 2.5, \"a\", null, {\"b\": [true]}]") == "[1,-2,2.5,\"a\",null,{\"b\":[true]}]");
  CHECK(printed("\"plain\"") == "plain");
  for (const char* bad : {"", "[1,", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"}) {
    const auto spec = made.compose({3, {bad}});
    REQUIRE_FALSE(spec);
    CHECK(spec.error().kind == base::Error::Kind::Usage);
    CHECK(spec.error().message.starts_with("record 3 is not JSON: "));
  }
  CHECK(printed("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]").ends_with("]"));
}

TEST_CASE("a handler may be asked for by its version", "[template]") {
  const auto text = [](const char* call) { return Template::of({{}, call, {}, {}}, {}).text(); };
  CHECK(text("sum") == "--call sum@1");
  CHECK(text("sum@3") == "--call sum@3");
  CHECK(text("a@b") == "--call a@b@1");
  CHECK(text("a@") == "--call a@@1");
  CHECK(text("a@99999999999") == "--call a@99999999999@1");
  CHECK(Template::of({{}, "sum", {}, base::Framing::Json}, {}).text() == "--call sum@1 --framing json");
}

TEST_CASE("the text of a template is that of every template with the same jobs", "[template]") {
  const auto text = [](const Words& words) { return Template::parse(words, {}).text(); };
  CHECK(text({}) == "{}");
  CHECK(text({"{}"}) == "{}");
  CHECK(text({"echo"}) == "echo {}");
  CHECK(text({"echo", "{}"}) == "echo {}");
  CHECK(text({""}) == " {}");
  CHECK(text({"a", "{#}"}) == "a {#}");
  CHECK(Template::call("echo", 2, false, {}).text() == "--call echo@2");
  CHECK(text({"--call echo@2"}) != Template::call("echo", 2, false, {}).text());
}

TEST_CASE("the text of a template parses to the same template", "[template]") {
  for (const Words& words : {Words{}, Words{""}, Words{"echo", "a b"}, Words{"{}x"}, Words{" {}"}, Words{"V={}", "c"}, Words{"x{#}", "{}"}}) {
    const auto first = Template::parse(words, {});
    const auto again = Template::parse({first.text()}, {});
    CHECK(again.text() == first.text());
    CHECK(line_of(again, "it's  me", 9) == line_of(first, "it's  me", 9));
  }
}

TEST_CASE("the shell gives back the bytes of every argument", "[template]") {
  const std::uint64_t seed = seed_of_this_run();
  std::printf("PUSHMILL_SEED=%llu\n", static_cast<unsigned long long>(seed));
  INFO("PUSHMILL_SEED=" << seed);
  base::Random random(seed);
  static constexpr std::string_view kHard = "'\"\\$`!*?[]{}()<>|&;#~= \t\n\r%^";
  for (int round = 0; round < 300; ++round) {
    std::string record;
    const std::uint64_t length = random.below(40);
    const bool any = random.below(2) == 0;
    for (std::uint64_t i = 0; i < length; ++i)
      record += any ? static_cast<char>(1 + random.below(255)) : random.below(3) == 0 ? 'a' : kHard[random.below(kHard.size())];
    Words words{"printf", "'%s\\0'"};
    std::string expected;
    const std::uint64_t count = 1 + random.below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      static const char* const kWords[] = {"{}", "x{}y", "{#}", "{}{}", "{#}-{}"};
      const std::string was_7[] = {record, "x" + record + "y", "7", record + record, "7-" + record};
      const std::uint64_t pick = random.below(5);
      words.push_back(kWords[pick]);
      expected += was_7[pick] + '\0';
    }
    const std::string line = line_of(words, record, 7);
    INFO("line: " << line);
    REQUIRE(output_of(line) == expected);
  }
}

TEST_CASE("a record with a NUL byte is refused for a command", "[template]") {
  const std::string record("a\0b", 3);
  CHECK(refusal(Template::parse({"echo"}, {}), record, 17).find("record 17 holds a NUL byte") == 0);
  CHECK(refusal(Template::parse({}, {}), record, 17).find("record 17 ") == 0);
}

TEST_CASE("a line is refused only when it is too long for one argument of the shell", "[template]") {
  const auto made = Template::parse({"true"}, {});
  const std::string longest(ventilator::kMaxLine - 5, 'a');
  const std::string line = line_of(made, longest);
  CHECK(line.size() == ventilator::kMaxLine);
  CHECK(output_of(line).empty());  // Linux agrees
  CHECK(refusal(made, longest + "a", 4).find("record 4 makes a command line of more than 131071 bytes") == 0);
  CHECK(refusal(Template::parse({}, {}), std::string(wire::kMaxJob, 'a'), 4).find("record 4 ") == 0);
  CHECK(refusal(made, std::string(ventilator::kMaxLine / 4, '\''), 4).find("record 4 ") == 0);  // the quotes count
  CHECK(line_of({"echo {#}"}, std::string(wire::kMaxJob, 'a')) == "echo 1");
}

TEST_CASE("a line that uses a long record very often costs no more than a few lines", "[template]") {
  std::string word = "echo";
  for (int i = 0; i < 30'000; ++i) word += " {}";
  CHECK(refusal(Template::parse({word}, {}), std::string(100'000, 'a'), 2).find("record 2 ") == 0);
}

TEST_CASE("an encoded job is the composed one, and is refused above the limit of the protocol", "[template]") {
  std::string bytes = "left over";
  const auto command = Template::parse({"echo"}, {"/bin/bash", "/", base::Duration(1)});
  REQUIRE(command.encode({3, {"a b"}}, bytes));
  const auto decoded = wire::decode_spec(bytes);
  REQUIRE(decoded);
  CHECK(*decoded == *command.compose({3, {"a b"}}));

  const auto call = Template::call("echo", 1, false, {});
  const auto refused = call.encode({12, {std::string(wire::kMaxJob, 'a')}}, bytes);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == base::Error::Kind::Usage);
  CHECK(refused.error().message.find("record 12 makes a job of") == 0);
  CHECK(call.encode({12, {std::string(wire::kMaxJob - 128, 'a')}}, bytes));
}

namespace {

base::Command command_of(const Words& words, const std::vector<std::string_view>& values, const ReplacementOptions& options) {
  const auto spec = Template::parse(words, {}, options).compose({1, values});
  REQUIRE(spec);
  return std::get<base::Command>(spec->work);
}

base::Label label_of(const LabelOptions& labels, const std::vector<std::string_view>& values, const ReplacementOptions& options = {}, const Words& names = {}) {
  WorkOptions work{{"echo"}, {}, {}, {}, options, labels};
  REQUIRE(Template::check(work).empty());
  auto made = Template::of(work, {});
  made.set_names(names);
  const auto spec = made.compose({7, values});
  REQUIRE(spec);
  const auto label = wire::decode_label(spec->label);
  REQUIRE(label);
  return *label;
}

}  // namespace

TEST_CASE("the number of the slot is marked where the worker puts it in", "[template]") {
  ReplacementOptions options;
  CHECK(command_of({"echo", "{%}a{%}", "{}"}, {"b c"}, options).slot_marks == std::vector<std::uint32_t>{5, 6});
  CHECK(command_of({"echo", "{%}a{%}", "{}"}, {"b c"}, options).line == "echo a 'b c'");
  CHECK(command_of({"{}", "{%}"}, {"b c"}, options).slot_marks == std::vector<std::uint32_t>{4});
  options.quote = true;
  const auto quoted = command_of({"echo", "{%}", "a {%} b"}, {"x"}, options);
  CHECK(quoted.line == "echo  'a '' b'");
  CHECK(quoted.slot_marks == std::vector<std::uint32_t>{5, 10});
}

TEST_CASE("without a shell each word is an argument, and several values make several", "[template]") {
  ReplacementOptions options;
  options.argv = true;
  CHECK(command_of({"echo", "a b", "x{}", ""}, {"it's"}, options).argv == Words{"echo", "a b", "xit's", ""});
  CHECK(command_of({"echo"}, {"a b", "c"}, options).argv == Words{"echo", "a b", "c"});
  CHECK(command_of({"echo", "x{}y"}, {"a", "b"}, options).argv == Words{"echo", "xa", "by"});
  options.many = ventilator::Many::Repeat;
  CHECK(command_of({"echo", "x{}y"}, {"a", "b"}, options).argv == Words{"echo", "xay", "xby"});
}

TEST_CASE("the names of columns stand for their values and parts of them", "[template]") {
  auto made = Template::parse({"echo {a.} {b b} {1} {c} {/} {}"}, {});
  made.set_names({"a", "b b", "/"});
  const auto spec = made.compose({1, {"x.y", "z", "w"}});
  REQUIRE(spec);
  CHECK(std::get<base::Command>(spec->work).line == "echo x z x.y {c} w x.y z w");
}

TEST_CASE("a column takes the place of a replacement string in all bytes of the length", "[template]") {
  for (const Words& words : {Words{"echo"}, Words{"echo", "x{}y z", "{#}{.}"}, Words{"{}"}}) {
    for (const bool quote : {false, true}) {
      ReplacementOptions options;
      options.quote = quote;
      options.many = ventilator::Many::Repeat;
      const auto made = Template::parse(words, {}, options);
      const ventilator::Arguments arguments{12, {"a b.c", "", "it's"}};
      CHECK(made.length(arguments) == std::get<base::Command>(made.compose(arguments)->work).line.size());
    }
  }
}

TEST_CASE("a line of many values is refused when it is too long", "[template]") {
  const std::string value(1000, 'a');
  CHECK(Template::parse({"echo"}, {}).compose({3, std::vector<std::string_view>(130, value)}));
  const auto refused = Template::parse({"echo"}, {}).compose({3, std::vector<std::string_view>(131, value)});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("record 3 makes a command line of more than 131071 bytes") == 0);
}

TEST_CASE("the width of the slot is that of the greatest", "[template]") {
  ReplacementOptions plus;
  plus.plus = true;
  plus.slots = 9;
  CHECK(command_of({"echo {0%}"}, {"a"}, plus).slot_marks.size() == 1);
  plus.slots = 10;
  CHECK(command_of({"echo {0%} {}"}, {"a"}, plus).line == "echo $(printf %02d $PARALLEL_JOBSLOT) a");
}

TEST_CASE("labels are made only where they are asked for", "[template]") {
  const auto spec = Template::parse({"echo"}, {}).compose({1, {"a"}});
  REQUIRE(spec);
  CHECK(spec->label.empty());
  const auto numbered = Template::parse({"echo"}, {}).compose({.number = 5, .values = {"a"}, .has_own_number = true});
  REQUIRE(numbered);
  CHECK(wire::decode_label(numbered->label)->number == 5);
}

TEST_CASE("labels say what GNU parallel says", "[template]") {
  CHECK(label_of({.tag = true}, {"a b", "c\td"}).tag == "a b c\td");
  CHECK(label_of({.tagstring = "{1}_{#}_{.}"}, {"a b.z", "e"}).tag == "a b.z_7_a b e");
  CHECK(label_of({.tagstring = "{a}-{b.}"}, {"1", "2.x"}, {}, {"a", "b"}).tag == "1-2");
  CHECK(label_of({.out = "{//}/{/.}.aln"}, {"d/e f.fa"}).destination == "d/e f.aln");
  CHECK(label_of({.results = "d"}, {"x/y", "a\\b\t"}).destination == "d/1/x\\_y/2/a\\\\b\\t/");
  CHECK(label_of({.results = "d/"}, {}).destination == "d/1/\\0noarg/");
  CHECK(label_of({.results = "t_{}_{#}"}, {"a b/c"}).destination == "t_a b/c_7");
  CHECK(label_of({.results = "u_{}/"}, {"a b"}).destination == "u_a b/");
  CHECK(label_of({.results = "s"}, {"1", "2", "3", "4"}, {}, {"k", "9", "10", "B"}).destination == "s/B/4/k/1/9/2/10/3/");
  CHECK(label_of({.results = "d"}, {std::string(300, 'a')}).destination == "d/1/" + std::string(255, 'a') + "/");
  ReplacementOptions repeat;
  repeat.many = ventilator::Many::Repeat;
  CHECK(label_of({.results = "n"}, {"1", "2"}, repeat).destination == "n/1/1/1/2/");
  CHECK(label_of({.results = "x.csv", .values = true}, {"1", "b"}).values == Words{"1", "b"});
  CHECK(label_of({.results = "x.csv", .values = true}, {"1", "b"}, {}, {"k", "l"}).destination == std::string("k\0l\0", 4));
  CHECK(label_of({.tagstring = "a\\tb\\n{}"}, {"v\\t"}).tag == "a\tb\nv\\t");
  ReplacementOptions filter;
  filter.is_filter = true;
  CHECK(label_of({.results = "d"}, {}, filter).destination == "d/7/");
}

TEST_CASE("of two own replacement strings that are the same the latter counts, and there may be many", "[template]") {
  ReplacementOptions own;
  own.own.push_back("{z0} s/a/first/");
  for (int i = 0; i < 300; ++i) own.own.push_back("{z" + std::to_string(i) + "} s/a/" + std::to_string(i) + "/");
  const auto made = Template::of({{"echo {z0} {z1} {z299}"}, {}, {}, {}, own, {}}, {}).compose({.number = 1, .values = {"a"}});
  REQUIRE(made);
  CHECK(std::get<base::Command>(made->work).line == "echo 0 1 299");
}

TEST_CASE("what a template cannot do is refused by name", "[template]") {
  const auto why = [](const Words& words, const ReplacementOptions& options, const LabelOptions& labels = {}) {
    return Template::check({words, {}, {}, {}, options, labels});
  };
  const auto says = [](const std::string& message, const char* what) { return message.find(what) != std::string::npos && message.find('\n') == std::string::npos; };
  ReplacementOptions plus, own, argv;
  plus.plus = true;
  argv.argv = true;
  CHECK(why({"echo", "{}", "{=", "{##}", "{uniq}"}, {}).empty());
  CHECK(says(why({"echo {= s/a/b/ =}"}, {}), "{= PERL =}"));
  CHECK(says(why({"echo {uniq}"}, plus), "{uniq}"));
  CHECK(why({"echo {##} {0#} {0%}"}, plus).empty());
  plus.total.reset();
  CHECK(says(why({"echo {##}"}, plus), "{##}"));
  for (const char* perl : {"{x} system(1)", "{x} s/a/$b/", "{x} s/a", "{x} s/(/b/", "{(.*)} s/a//", "{x} s/a/b/e", "{x} $_=1", "{x} s/a/b/ ||", " s/a/b/"}) {
    own.own = {perl};
    CHECK(says(why({"echo"}, own), "--rpl"));
  }
  CHECK(says(why({}, argv), "--argv"));
  CHECK(says(why({"echo {%}"}, argv), "--argv"));
  CHECK(says(why({"echo"}, {}, {.tagstring = "{%}"}), "--tagstring"));
  CHECK(says(why({"echo"}, {}, {.out = "same"}), "--out same"));
}

TEST_CASE("a template of any bytes is parsed in one pass", "[template]") {
  ReplacementOptions plus;
  plus.plus = true;
  for (const char* piece : {"{", "{1", "{:", "{=", "{-", "{%a", "{+"}) {
    std::string word = "echo ";
    while (word.size() < 100'000) word += piece;
    CHECK(Template::parse({word}, {}, plus).compose({1, {"a"}}));
  }
}
