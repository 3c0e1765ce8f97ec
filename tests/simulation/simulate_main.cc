// simulate [--seeds N] [--from S] [--class NAME]: N random schedules of each fault class through the joined cores. Prints what it saw; exit status 1 and
// the seed when an invariant is broken.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/support/cluster.h"

int main(int argc, char** argv) {
  std::uint64_t seeds = 300, from = 1;
  std::string only;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = std::strtoull(argv[i + 1], nullptr, 10);
    else if (std::strcmp(argv[i], "--from") == 0) from = std::strtoull(argv[i + 1], nullptr, 10);
    else if (std::strcmp(argv[i], "--class") == 0) only = argv[i + 1];
  }
  bool broken = false;
  std::uint64_t schedules = 0;
  for (const support::Faults& faults : support::fault_classes()) {
    if (!only.empty() && only != faults.name) continue;
    support::Cluster::Counters sum;
    std::uint64_t violations = 0;
    for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
      support::Cluster cluster(faults, seed);
      try {
        cluster.run();
      } catch (const support::Violation& violation) {
        if (++violations <= 3) std::printf("%s seed %llu: invariant %s\n", faults.name, static_cast<unsigned long long>(seed), violation.what());
        broken = true;
      }
      const auto& c = cluster.counters();
      sum.ticks += c.ticks, sum.crashes += c.crashes, sum.returned += c.returned, sum.unreached += c.unreached, sum.lost += c.lost, sum.superseded += c.superseded;
      sum.sessions += c.sessions, sum.taken_back += c.taken_back, sum.results += c.results;
      ++schedules;
    }
    std::printf("%-10s %llu schedules, %llu violations; ticks %llu, crashes %llu, results %llu, returned %llu (%llu never reached), lost %llu, taken back %llu, superseded %llu, new sessions %llu\n",
                faults.name, static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(violations), static_cast<unsigned long long>(sum.ticks),
                static_cast<unsigned long long>(sum.crashes), static_cast<unsigned long long>(sum.results), static_cast<unsigned long long>(sum.returned),
                static_cast<unsigned long long>(sum.lost), static_cast<unsigned long long>(sum.taken_back), static_cast<unsigned long long>(sum.superseded),
                static_cast<unsigned long long>(sum.sessions));
  }
  if (schedules == 0) {
    std::fprintf(stderr, "simulate: no fault class is called '%s'\n", only.c_str());
    return 2;
  }
  return broken ? 1 : 0;
}
