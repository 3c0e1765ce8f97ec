// scenarios [--record] FILE...: plays the script of each file through the joined cores and compares what was said with the transcript below its line
// "----". With --record the transcript is written anew. Exit status 1 and the first line that differs; 2 when it was called wrongly.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/stage.h"

namespace {

constexpr std::string_view kRule = "----";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool fail(const std::string& file, std::size_t line, const std::string& what) {
  std::fprintf(stderr, "%s:%zu: %s\n", file.c_str(), line, what.c_str());
  return false;
}

bool play(const std::string& file, bool is_recording) {
  std::ifstream in(file);
  const std::vector<std::string> lines = lines_of(std::string(std::istreambuf_iterator<char>(in), {}));
  if (lines.empty() || !lines[0].starts_with("# ")) return fail(file, 1, "begins with lines that say what the story is, each after '# '");
  support::Stage stage;
  std::size_t at = 0;
  for (; at < lines.size() && lines[at] != kRule; ++at) {
    if (lines[at].empty() || lines[at][0] == '#') continue;
    try {
      stage.play(lines[at]);
    } catch (const std::exception& error) {
      for (const std::string& said : stage.transcript()) std::printf("%s\n", said.c_str());
      return fail(file, at + 1, lines[at] + ": " + error.what());
    }
  }
  const std::vector<std::string>& said = stage.transcript();
  if (is_recording) {
    std::ofstream out(file);
    for (std::size_t i = 0; i < at; ++i) out << lines[i] << '\n';
    out << kRule << '\n';
    for (const std::string& line : said) out << line << '\n';
    return out.good() || fail(file, 1, "cannot be written");
  }
  const std::size_t first = at + 1;
  for (std::size_t i = 0; i < said.size() || first + i < lines.size(); ++i) {
    const std::string now = i < said.size() ? said[i] : "(nothing more)", was = first + i < lines.size() ? lines[first + i] : "(nothing more)";
    if (now != was) return fail(file, first + i + 1, "the transcript differs; --record rewrites it\n  recorded: " + was + "\n  now:      " + now);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_recording = argc > 1 && std::string_view(argv[1]) == "--record";
  const int first = is_recording ? 2 : 1;
  if (first >= argc || argv[first][0] == '-') {
    std::fprintf(stderr, "usage: scenarios [--record] FILE...\n");
    return 2;
  }
  bool is_same = true;
  for (int i = first; i < argc; ++i) is_same = play(argv[i], is_recording) && is_same;
  return is_same ? 0 : 1;
}
