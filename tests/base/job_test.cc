#include "base/job.h"

#include <catch2/catch.hpp>

#include <array>
#include <cstdio>
#include <random>

namespace {

using namespace std::string_literals;

TEST_CASE("words are quoted byte for byte as GNU parallel 20221122 does", "[shell_quote]") {
  // What `parallel -0 --dry-run echo {}` of that version printed.
  const std::vector<std::pair<std::string, std::string>> as_parallel = {
      {"abc", "abc"},
      {"-x_.+/Z9", "-x_.+/Z9"},
      {"", "''"},
      {"a b", "'a b'"},
      {"it's", R"('it'"'"'s')"},
      {"'", R"("'")"},
      {"''", R"("'"''"'")"},
      {"a'", R"('a'"'")"},
      {"'a", R"("'"'a')"},
      {"a''b", R"('a'"'"''"'"'b')"},
      {"a'b'c", R"('a'"'"'b'"'"'c')"},
      {"''a''", R"("'"''"'"'a'"'"''"'")"},
      {"a\nb'c", "'a\nb'\"'\"'c'"},
      {"a,b", "'a,b'"},
      {"a:b", "'a:b'"},
      {"a=b", "'a=b'"},
      {"a@b", "'a@b'"},
      {"a%b", "'a%b'"},
      {"~", "'~'"},
      {"a~", "'a~'"},
      {"#x", "'#x'"},
      {"{x}", "'{x}'"},
      {"*", "'*'"},
      {"$HOME", "'$HOME'"},
      {"`x`", "'`x`'"},
      {"\\", "'\\'"},
      {"\"", "'\"'"},
      {"!", "'!'"},
      {"x;y", "'x;y'"},
      {"<>&|", "'<>&|'"},
      {"()[]", "'()[]'"},
      {"^", "'^'"},
      {"tab\there", "'tab\there'"},
      {"new\nline", "'new\nline'"},
      {"\xc3\xa4", "'\xc3\xa4'"},
      {"\xff\x80", "'\xff\x80'"},
  };
  for (const auto& [word, quoted] : as_parallel) CHECK(base::shell_quote(word) == quoted);
}

TEST_CASE("a shell reads a joined line back as the same words, whatever their bytes", "[shell_quote]") {
  std::mt19937 random(7);
  std::vector<std::string> words = {"", "'", "a'b", "\n"};
  for (int i = 0; i < 200; ++i) {
    std::string word;
    for (unsigned n = random() % 12; n > 0; --n) word += static_cast<char>(random() % 4 == 0 ? '\'' : 1 + random() % 255);
    words.push_back(word);
  }
  const std::string line = "printf '%s\\0' " + base::shell_join(words);
  FILE* pipe = ::popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string printed;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) printed.append(buffer.data(), n);
  REQUIRE(::pclose(pipe) == 0);
  std::string expected;
  for (const std::string& word : words) expected += word + '\0';
  CHECK(printed == expected);
}

TEST_CASE("every outcome has its name", "[outcome]") {
  std::vector<std::string> names;
  for (std::uint8_t i = 0; i < base::kOutcomes; ++i) names.emplace_back(base::name(static_cast<base::Outcome>(i)));
  CHECK(names == std::vector<std::string>{"ok", "failed", "timeout", "lost", "returned", "cancelled", "superseded", "oom"});
  CHECK(base::name(static_cast<base::Outcome>(200)) == "unknown");
}

}  // namespace
