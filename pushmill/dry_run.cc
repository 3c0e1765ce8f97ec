#include "pushmill/dry_run.h"

#include <poll.h>

#include <cstdio>

#include "cli/exit_status.h"
#include "cli/standard_output.h"
#include "io/entropy.h"
#include "pushmill/skip_done.h"
#include "sink/presentation.h"
#include "ventilator/template.h"
#include "wire/codec.h"

namespace pushmill {

namespace {

constexpr std::size_t kJobsPerTurn = 4096, kBytesPerTurn = 1u << 20;

// Slots are taken in turn.
std::string line_of(base::JobSpec& spec, std::uint32_t slot) {
  auto* command = std::get_if<base::Command>(&spec.work);
  if (command == nullptr) return wire::describe(spec) + '\n';
  base::put_in_slot(*command, slot);
  return (command->argv.empty() ? command->line : base::shell_join(command->argv)) + '\n';
}

}  // namespace

base::Result<int> dry_run(const RunOptions& options, const std::string& shell) {
  const std::uint32_t slots = options.slots();
  auto input = options.open_input("");
  if (!input) return input.error();
  std::optional<ventilator::DoneJobs> done;
  if (options.skip_done) {
    auto now = done_now(options.run_directory);
    if (!now) return now.error();
    done = std::move(*now);
  }
  auto made = ventilator::Template::of(options.job_work(), ventilator::defaults_of(options.commands, shell));
  input->serve(made, io::random_seed());
  auto state = ventilator::SourceState::More;
  const bool tags = options.output.presentation().tags;
  std::uint32_t count = 0;
  while (state == ventilator::SourceState::More) {
    if (pollfd ready{input->fd(), POLLIN, 0}; ready.fd >= 0 && ::poll(&ready, 1, -1) <= 0) continue;
    state = input->read(kJobsPerTurn, kBytesPerTurn);
    for (const ventilator::Arguments& arguments : input->jobs()) {
      auto spec = made.compose(arguments);
      if (!spec) return std::fflush(stdout), spec.error();
      if (done && done->take(*spec)) continue;
      std::string line;
      sink::Dress(tags ? std::optional(sink::label_of(spec->label).tag) : std::nullopt, sink::Dress::Quoting::None).append(line_of(*spec, 1 + count++ % slots), line);
      if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) break;
    }
    if (auto written = cli::flush(stdout); !written) return written.error();
  }
  if (state == ventilator::SourceState::Error) return input->error();
  return cli::kExitOk;
}

}  // namespace pushmill
