// Gives a fuzz target every input of a corpus: a file with one input a line, in hexadecimal.
#include <cstdio>
#include <fstream>
#include <string>

#include "fuzz.h"

namespace {

int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

bool decode(const std::string& line, std::string& bytes) {
  bytes.clear();
  for (std::size_t i = 0; i + 1 < line.size(); i += 2) {
    if (digit(line[i]) < 0 || digit(line[i + 1]) < 0) return false;
    bytes += static_cast<char>(digit(line[i]) << 4 | digit(line[i + 1]));
  }
  return line.size() % 2 == 0;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) return std::fprintf(stderr, "usage: %s CORPUS\n", words[0]), 2;
  std::ifstream corpus(words[1]);
  std::string line, bytes;
  int inputs = 0;
  for (; std::getline(corpus, line); ++inputs) {
    if (!decode(line, bytes)) return std::fprintf(stderr, "%s:%d: not hexadecimal\n", words[1], inputs + 1), 1;
    fuzz(bytes);
  }
  std::printf("%d inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
