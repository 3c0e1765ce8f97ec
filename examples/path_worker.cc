// A worker with handlers of its own: it links the worker library, registers C++ functions, and is a worker like any other.
//
//   path_worker --sink ipc:///tmp/paths &
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "worker/program.h"
#include "worker/typed_handler.h"

namespace {

struct Point {
  double x = 0, y = 0;
  MSGPACK_DEFINE(x, y)
};

struct Path {
  double length = 0;
  std::optional<Point> end;
  MSGPACK_DEFINE_MAP(length, end)
};

// The length of the way through all points, and where it ends.
Path walk(const std::vector<Point>& points) {
  Path path;
  for (std::size_t i = 1; i < points.size(); ++i) path.length += std::hypot(points[i].x - points[i - 1].x, points[i].y - points[i - 1].y);
  if (!points.empty()) path.end = points.back();
  return path;
}

// The longest word of a line: `pushmill ventilator --call longest` gives each line of its input to it.
std::string longest(const std::string& line) {
  if (line.empty()) throw std::invalid_argument("an empty line has no words");
  std::string best, word;
  for (const char c : line + " ") {
    if (c != ' ') word += c;
    else if (word.size() > best.size()) best = std::exchange(word, {});
    else word.clear();
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  auto registry = worker::built_in_handlers();
  worker::add_handler(registry, "walk", 1, walk);
  worker::add_handler(registry, "longest", 1, longest);
  return worker::run_worker(argc, argv, registry);
}
