#include "sink/options_output.h"

#include <CLI/CLI.hpp>

#include "cli/exit_status.h"

namespace sink {

void add_keep_output(CLI::App& app, KeepOutput& keep) {
  cli::add_choice(app, "--keep-output", {"all", "failed", "none"}, [&keep](std::size_t index) { keep = static_cast<KeepOutput>(index); },
                  "whose outputs the run directory keeps once they are written: all, failed (of failed jobs) or none")
      ->default_str(keep == KeepOutput::All ? "all" : "failed");
}

void add_output(CLI::App& app, OutputOptions& options) {
  app.add_flag("--group", options.group, "write the outputs of a job when it has ended, standard output first: the default");
  app.add_flag("-u,--ungroup", options.ungroup, "write outputs as they come, though jobs mix in one line");
  app.add_flag("--line-buffer,--linebuffer,--lb", options.lines, "write whole lines as they come");
  app.add_flag("-v", options.commands, "print the command of each job before its standard output");
  app.add_flag("-t,--verbose", options.trace, "print the command of each job on standard error");
  app.add_option("--tmpdir", options.folder, "where --files puts the files; default: $TMPDIR or /tmp")->type_name("DIR");
}

void add_labelled_output(CLI::App& app, OutputOptions& options) {
  app.add_flag("--tag", options.tags, "begin each line of output with the tag that the ventilator has given the job, and a tab");
  app.add_flag("--files", options.files, "print the names of files that hold the outputs, not the outputs");
  app.add_flag("--json", options.json, "print a JSON object for each job: its command, arguments, times, exit status and outputs");
  app.add_option("--results", options.results,
                 "write the table NAME.csv, NAME.tsv or NAME.json; any other NAME: the files that the ventilator has named for each job")
      ->type_name("NAME");
  app.add_flag("--out", options.out, "write the standard output of each job that succeeds to the file that the ventilator has named");
}

std::optional<cli::Leave> check_output(const OutputOptions& options) {
  const auto wrong = [](const char* what) { return cli::Leave{cli::kExitUsage, what}; };
  if (options.group + options.ungroup + options.lines > 1) return wrong("--group, --ungroup and --line-buffer exclude each other\n");
  if (options.json && !options.results.empty()) {
    return wrong("--json and --results exclude each other: --results -.json prints the objects, --results NAME.json keeps them\n");
  }
  if (options.out && (options.json || options.files || !options.results.empty())) {
    return wrong("--out goes with none of --json, --files and --results: each says where outputs go\n");
  }
  if (options.files && options.is_table()) return wrong("--files and a table of --results exclude each other\n");
  return std::nullopt;
}

Presentation OutputOptions::presentation() const {
  Presentation how;
  how.tags = tags;
  how.commands = commands;
  how.trace = trace;
  how.names = files;
  using Form = Presentation::Form;
  if (out) how.form = Form::Out;
  else if (json || base::table_of(results) == "json") how.form = Form::Json;
  else if (is_table()) how.form = base::table_of(results) == "csv" ? Form::Csv : Form::Tsv;
  else if (!results.empty()) how.form = Form::Folders;
  else if (files) how.form = Form::Names;
  if (how.form == Form::Outputs && (ungroup || lines)) how.live = ungroup ? Presentation::Live::Bytes : Presentation::Live::Lines;
  if (ungroup) how.tags = false;  // there are no lines to begin
  return how;
}

}  // namespace sink
