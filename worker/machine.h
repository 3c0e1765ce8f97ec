// What StartGate has to know of this machine, from /proc.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "worker/start_gate.h"

namespace worker {

class MachineProbe {
 public:
  explicit MachineProbe(std::string proc = "/proc") : proc_(std::move(proc)) {}
  Machine look();

 private:
  std::string proc_;
  std::uint64_t swapped_in_ = 0, swapped_out_ = 0;
  bool has_looked_ = false;
};

}  // namespace worker
