// --pipe and --pipe-part: jobs read blocks of the input on stdin. As in GNU parallel 20221122 where nothing else is said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/options.h"
#include "io/database.h"
#include "ventilator/options_input.h"

namespace ventilator {

struct PipeOptions {
  bool pipe = false, pipe_part = false;
  bool regexp = false, strips = false, cat = false, fifo = false, round_robin = false, tee = false;
  std::optional<std::int64_t> block;  // below 0: so many parts for each slot
  std::optional<std::string> record_start, record_end;

  bool is_on() const { return pipe || pipe_part; }
  bool names_files() const { return cat || fifo; }
};

// REQUIRES: `options` lives until the command line is parsed. `check_pipe` goes behind check_input(); it may change what --header means.
void add_pipe(CLI::App& app, PipeOptions& options);
std::optional<cli::Leave> check_pipe(const PipeOptions& options, const InputOptions& input, bool has_command);

// The bytes of blocks that may wait on the disk: `spool`, but not less than the slots have use for.
std::uint64_t blocks_ahead(const PipeOptions& options, std::uint64_t spool, std::uint32_t slots);

// Without a run directory nothing of the input is kept, and --tee does not read it: to see what the jobs are. REQUIRES: options.is_on(), and they were checked.
base::Result<Input> open_blocks(const PipeOptions& options, const InputOptions& input, const std::string& run_directory, io::Durability durability,
                                std::uint32_t slots);

}  // namespace ventilator
