#include "sink/options_output.h"

#include <CLI/CLI.hpp>

#include "cli/options.h"

namespace sink {

void add_keep_output(CLI::App& app, KeepOutput& keep) {
  cli::add_choice(app, "--keep-output", {"all", "failed", "none"}, [&keep](std::size_t index) { keep = static_cast<KeepOutput>(index); },
                  "whose outputs the run directory keeps once they are written: all, failed (of failed jobs) or none")
      ->default_str(keep == KeepOutput::All ? "all" : "failed");
}

}  // namespace sink
