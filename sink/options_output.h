// The options that say how the outputs of jobs are shown and what is kept of them, the same wherever a sink is started.
#pragma once

#include <optional>
#include <string>

#include "cli/options.h"
#include "sink/presentation.h"

namespace sink {

void add_keep_output(CLI::App& app, KeepOutput& keep);

struct OutputOptions {
  bool group = false, ungroup = false, lines = false;
  bool commands = false, trace = false;  // -v, -t
  std::string folder;                    // --tmpdir
  // What depends on the labels of the jobs: options of the ventilator in `pushmill run`, of the sink where it is a program.
  bool tags = false, files = false, json = false, out = false;
  std::string results;  // a table, or anything else: the labels name the files

  bool is_table() const { return !base::table_of(results).empty(); }
  // The file of the table; empty: standard output.
  std::string table() const { return is_table() && results.substr(0, results.rfind('.')) != "-" ? results : std::string(); }
  Presentation presentation() const;
};

// REQUIRES: `options` lives until the command line is parsed; then check_output().
void add_output(CLI::App& app, OutputOptions& options);
void add_labelled_output(CLI::App& app, OutputOptions& options);  // the sink's own, for what the labels say
std::optional<cli::Leave> check_output(const OutputOptions& options);

}  // namespace sink
