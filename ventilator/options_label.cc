#include "ventilator/options_label.h"

#include <CLI/CLI.hpp>

#include "cli/exit_status.h"

namespace ventilator {

void add_label(CLI::App& app, LabelOptions& options) {
  const auto text = [&app](const std::string& names, std::optional<std::string>& value, const std::string& help) {
    return app.add_option_function<std::string>(names, [&value](const std::string& given) { value = given; }, help);
  };
  app.add_flag("--tag", options.tag, "begin each line of output with the arguments of its job and a tab");
  text("--tagstring", options.tagstring, "begin each line of output with TEXT, in which replacement strings stand for the arguments, and a tab")->type_name("TEXT");
  text("--results,--res", options.results,
       "keep outputs in NAME/1/ARGUMENT/stdout, stderr and seq; in the files that NAME is a template of; or in the table NAME.csv, NAME.tsv or NAME.json")
      ->type_name("NAME");
  text("--out", options.out, "write the standard output of each job to the file that NAME is a template of, which appears when the job has succeeded")->type_name("NAME");
  app.add_flag("--files,--output-as-files", options.files, "print the names of files that hold the outputs, not the outputs");
  app.add_flag("--json", options.json, "print a JSON object for each job: its command, arguments, times, exit status and outputs");
}

std::optional<cli::Leave> check_label(LabelOptions& options) {
  const auto wrong = [](const char* what) { return cli::Leave{cli::kExitUsage, what}; };
  if (options.results && options.results->empty()) return wrong("--results: the name is empty\n");
  if (options.out && options.out->empty()) return wrong("--out: the name is empty\n");
  if (options.results && options.out) return wrong("--results and --out exclude each other: both say where the outputs go\n");
  if (options.json && options.files) return wrong("--json and --files exclude each other: both say what is printed\n");
  options.values = options.json || options.is_table();
  return std::nullopt;
}

}  // namespace ventilator
