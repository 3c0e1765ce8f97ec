#include "worker/machine.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

namespace worker {

namespace {

// The number behind `key` in a file of lines; 0: it is not there.
std::uint64_t number_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  for (std::uint64_t number = 0; file >> word;) {
    if (word == key && file >> number) return number;
    file.ignore(1 << 12, '\n');
  }
  return 0;
}

// "0.52 0.58 0.59 2/467 12345": those that run, we among them, of all.
double running_processes(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  for (int i = 0; i < 4 && file >> word; ++i) continue;
  const double running = std::atof(word.c_str());
  return running > 0 ? running - 1 : 0;
}

}  // namespace

Machine MachineProbe::look() {
  Machine machine;
  machine.running = running_processes(proc_ + "/loadavg");
  machine.free_memory = number_of(proc_ + "/meminfo", "MemAvailable:") * 1024;
  const std::uint64_t in = number_of(proc_ + "/vmstat", "pswpin"), out = number_of(proc_ + "/vmstat", "pswpout");
  machine.is_swapping = has_looked_ && in > std::exchange(swapped_in_, in) && out > swapped_out_;
  swapped_in_ = in;
  swapped_out_ = out;
  has_looked_ = true;
  return machine;
}

}  // namespace worker
