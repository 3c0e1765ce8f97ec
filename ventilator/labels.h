// How the jobs of a run are to be shown, as far as that depends on their arguments: the tag of their output, and where it goes. Pure. Part of the template.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/job.h"
#include "ventilator/arguments.h"
#include "ventilator/phrase.h"

namespace ventilator {

struct LabelOptions {
  bool tag = false;                      // --tag: the arguments are the tag
  std::optional<std::string> tagstring;  // a template of the tag; an empty one is no tag
  std::optional<std::string> results;    // a directory, a template of one, or a table
  std::optional<std::string> out;        // a template of the file for the standard output
  bool files = false;                    // print the names of the files with the outputs
  bool json = false;                     // print an object for each job
  bool values = false;                   // the labels carry the arguments: set by check_label() where a table, or --json, needs them
  bool operator==(const LabelOptions&) const = default;

  // --results names one file for all jobs (NAME.csv, .tsv, .json; `-.csv` and so on: standard output).
  bool is_table() const { return results && !base::table_of(*results).empty(); }
};

class Labels {
 public:
  Labels() = default;
  // REQUIRES: check() finds nothing.
  Labels(const LabelOptions& options, const ReplacementOptions& replacements);
  static std::string check(const LabelOptions& options, const Replacements& replacements);

  void set_names(const std::vector<std::string>& names);
  bool wants_total() const { return tag_.has_total() || destination_.has_total(); }
  void set_total(std::uint64_t jobs);

  // Jobs need labels; otherwise only one that has a number of its own does.
  bool is_wanted() const { return options_ != LabelOptions{}; }

  // The destination is that of --out, or that of --results: a directory, then it ends with a slash; or a file, beside which FILE.err and FILE.seq belong; or
  // the names of the columns of a table.
  base::Label make(const Arguments& arguments) const;

 private:
  void parse();
  std::string folder(const Arguments& arguments) const;

  LabelOptions options_;
  ReplacementOptions replacements_;
  Phrase tag_, destination_;
};

}  // namespace ventilator
