// simulate [--seeds N] [--from S] [--class NAME]: N random schedules of each fault class through the joined cores. Prints what it saw; exit status 1 and
// the seed when an invariant is broken, 2 when it was called wrongly.
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/cluster.h"

namespace {

constexpr std::uint64_t kEnough = 1;  // violations of a class: the rest of it would say the same, and the mutations are to be caught quickly

struct Options {
  std::uint64_t seeds = 300, from = 1;
  std::string only;  // a fault class; empty: all
};

int usage(const std::string& fault) {
  std::string classes;
  for (const support::Faults& faults : support::fault_classes()) classes += std::string(" ") + faults.name;
  std::fprintf(stderr, "simulate: %s\nusage: simulate [--seeds N] [--from S] [--class NAME]\nclasses:%s\n", fault.c_str(), classes.c_str());
  return 2;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// An error is what was wrong.
std::optional<std::string> parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name != "--seeds" && name != "--from" && name != "--class") return "unknown option '" + std::string(name) + "'";
    if (i + 1 == argc) return std::string(name) + " needs a value";
    if (name == "--class") {
      options.only = argv[i + 1];
      bool is_known = false;
      for (const support::Faults& faults : support::fault_classes()) is_known |= options.only == faults.name;
      if (!is_known) return "no fault class is called '" + options.only + "'";
      continue;
    }
    const auto value = number(argv[i + 1]);
    if (!value || (name == "--seeds" && *value == 0)) return std::string(name) + " takes a number" + (name == "--seeds" ? " from 1" : "") + ", not '" + argv[i + 1] + "'";
    (name == "--seeds" ? options.seeds : options.from) = *value;
  }
  return std::nullopt;
}

// The number of violations.
std::uint64_t simulate(const support::Faults& faults, const Options& options) {
  support::Cluster::Counters sum;
  std::uint64_t violations = 0;
  for (std::uint64_t i = 0; i < options.seeds && violations < kEnough; ++i, ++sum.schedules) {
    const std::uint64_t seed = options.from + i;
    support::Cluster cluster(faults, seed);
    try {
      cluster.run();
    } catch (const support::Violation& violation) {
      ++violations;
      std::printf("%s seed %ju: invariant %s\n    again: scripts/simulate --class %s --from %ju --seeds 1\n", faults.name, std::uintmax_t{seed},
                  violation.what(), faults.name, std::uintmax_t{seed});
    }
    const auto& c = cluster.counters();
    sum.ticks += c.ticks, sum.crashes += c.crashes, sum.returned += c.returned, sum.unreached += c.unreached, sum.lost += c.lost;
    sum.superseded += c.superseded, sum.inputs += c.inputs, sum.sessions += c.sessions, sum.taken_back += c.taken_back, sum.results += c.results;
    sum.retried += c.retried, sum.offered_again += c.offered_again, sum.halts += c.halts;
  }
  const auto show = [](const char* what, std::uint64_t count) { std::printf(" %ju %s", std::uintmax_t{count}, what); };
  std::printf("%-10s", faults.name);
  show("schedules,", sum.schedules), show("violations;", violations), show("ticks,", sum.ticks), show("crashes,", sum.crashes), show("results,", sum.results);
  show("returned of which", sum.returned), show("never reached,", sum.unreached), show("lost,", sum.lost), show("taken back,", sum.taken_back);
  show("superseded,", sum.superseded), show("new sessions,", sum.sessions), show("parts of inputs,", sum.inputs), show("retried,", sum.retried), show("inputs offered again,", sum.offered_again), show("halts\n", sum.halts);
  std::fflush(stdout);
  return violations;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto fault = parse(argc, argv, options)) return usage(*fault);
  std::uint64_t violations = 0;
  for (const support::Faults& faults : support::fault_classes()) {
    if (options.only.empty() || options.only == faults.name) violations += simulate(faults, options);
  }
  return violations == 0 ? 0 : 1;
}
