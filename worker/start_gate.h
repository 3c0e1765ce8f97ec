// Whether a job may start now, where the user has asked for care: time between starts, a greatest load, a least free memory. Pure: the shell measures.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace worker {

struct Machine {  // as measured
  double running = 0;             // processes that run or want to, but for the one that measures
  std::uint64_t free_memory = 0;  // bytes that programs could have
  bool is_swapping = false;       // out and in since the measure before
  std::optional<double> load;     // StartRules::load, where it comes from a file
};

struct StartRules {
  base::Duration delay{0};        // between two starts
  std::optional<double> load;     // start while fewer processes run
  std::uint64_t free_memory = 0;  // bytes: start while so many are free; with less than half of them the youngest job is to go. 0: no such rule
  bool no_swap = false;
  bool needs_measures() const { return load || free_memory > 0 || no_swap; }
  bool is_none() const { return delay == base::Duration::zero() && !needs_measures(); }
};

class StartGate {
 public:
  explicit StartGate(const StartRules& rules) : rules_(rules) {}
  const StartRules& rules() const { return rules_; }

  void note(const Machine& machine, base::TimePoint now);
  void note_started(base::TimePoint now);
  bool wants_measure(base::TimePoint now) const { return rules_.needs_measures() && now >= measure_at_; }
  base::TimePoint measure_at() const { return rules_.needs_measures() ? measure_at_ : base::kNever; }

  // How many jobs may start now.
  std::uint32_t room(base::TimePoint now) const;
  // When a closed gate may have become an open one.
  base::TimePoint opens_at(base::TimePoint now) const;
  // So little memory is left that a job has to go; said once a measure.
  bool take_shortage();

 private:
  StartRules rules_;
  std::optional<Machine> machine_;
  base::TimePoint measure_at_{};   // the next one
  base::TimePoint delayed_until_{};
  std::uint32_t started_ = 0;      // since the last measure
  bool is_short_ = false;
};

}  // namespace worker
