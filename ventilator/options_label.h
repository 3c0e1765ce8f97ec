// The options that say how jobs are shown and where their outputs go, as far as that depends on their arguments: what goes into the labels of the jobs. What
// the sink then does with a label has its options in sink/options_output.h.
#pragma once

#include <optional>
#include <string>

#include "cli/options.h"

namespace ventilator {

struct LabelOptions {
  bool tag = false;                      // --tag: the arguments are the tag
  std::optional<std::string> tagstring;  // a template of the tag
  std::optional<std::string> results;    // a directory, a template of one, or a table
  std::optional<std::string> out;        // a template of the file for the standard output
  bool files = false;                    // print the names of the files with the outputs
  bool json = false;                     // print an object for each job
  bool values = false;                   // the labels carry the arguments: set by check_label() where a table, or --json, needs them

  // --results names one file for all jobs (NAME.csv, .tsv, .json; `-.csv` and so on: standard output).
  bool is_table() const { return results && (results->ends_with(".csv") || results->ends_with(".tsv") || results->ends_with(".json")); }
};

// REQUIRES: `options` lives until the command line is parsed; then check_label().
void add_label(CLI::App& app, LabelOptions& options);
// What does not fit together.
std::optional<cli::Leave> check_label(LabelOptions& options);

}  // namespace ventilator
