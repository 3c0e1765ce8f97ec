// What --load, --memfree and --noswap know of a machine: files of the kernel's form stand for its own.
#include "worker/machine.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/io/support.h"

namespace {

struct Proc : test::TemporaryDirectory {
  void running(int count) const { std::ofstream(*this / "loadavg") << "0.52 0.58 9.59 " << count << "/467 12345\n"; }
  void free_kib(int kib) const { std::ofstream(*this / "meminfo") << "MemTotal:       8000000 kB\nMemFree:             7 kB\nMemAvailable:   " << kib << " kB\n"; }
  void swapped(int in, int out) const { std::ofstream(*this / "vmstat") << "pgpgout 99\npswpin " << in << "\npswpout " << out << "\n"; }
};

}  // namespace

TEST_CASE("those that run are counted without the one that counts, and memory is what programs could have", "[machine]") {
  const Proc proc;
  proc.running(5);
  proc.free_kib(3);
  worker::MachineProbe probe(proc.path());
  const worker::Machine machine = probe.look();
  CHECK(machine.running == 4);
  CHECK(machine.free_memory == 3072);
  proc.running(0);
  CHECK(probe.look().running == 0);
}

TEST_CASE("a machine swaps if it did in both directions since the last look", "[machine]") {
  const Proc proc;
  worker::MachineProbe probe(proc.path());
  const auto swaps = [&](int in, int out) {
    proc.swapped(in, out);
    return probe.look().is_swapping;
  };
  CHECK_FALSE(swaps(10, 20));  // since it was started
  CHECK_FALSE(swaps(10, 20));
  CHECK(swaps(11, 21));
  CHECK_FALSE(swaps(12, 21));
  CHECK_FALSE(swaps(12, 22));
  CHECK(swaps(13, 23));
}

TEST_CASE("the kernel's own files have what is looked for", "[machine]") { CHECK(worker::MachineProbe().look().free_memory > 0); }
