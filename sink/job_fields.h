// What the joblog and the tables of --results say of a job beside its outputs, in GNU parallel's way (20221122). Where pushmill knows more than that can say:
// - the host is ":" for a worker on `local_host` or on an unknown host; nothing is sent, and received is the length of stdout;
// - a job killed by a signal has exit value 0; one that ran into its time limit -1, or its own status if it still exited with one;
// - a lost or cancelled job has -1 and 9: killed, and not by itself;
// - a job that failed though its command did not (say, its output was too large) has 255, so that it never reads as a success.
// Pure.
#pragma once

#include <cstdint>
#include <string>

#include "sink/result_log.h"

namespace sink {

struct JobFields {
  std::uint64_t number = 0;  // as the user counts
  std::string host;
  std::string started, runtime;  // seconds with three decimals
  std::uint64_t received = 0;
  std::int32_t exit_value = 0;
  std::int32_t signal = 0;
};

// `number`: that of its label; 0: the job's own.
JobFields fields_of(const Row& row, std::uint64_t number, const std::string& local_host);

}  // namespace sink
