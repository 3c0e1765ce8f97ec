// The command lines of `pushmill run` and `pushmill resume`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "io/lock.h"
#include "pushmill/progress_line.h"
#include "sink/options_output.h"
#include "ventilator/options_commands.h"
#include "ventilator/options_input.h"
#include "ventilator/options_label.h"
#include "ventilator/options_pipe.h"
#include "ventilator/options_policy.h"
#include "ventilator/options_template.h"
#include "ventilator/template.h"
#include "worker/options_starts.h"

namespace pushmill {

struct RunOptions {
  worker::StartOptions starts;
  bool keep_order = false;
  sink::OutputOptions output;
  sink::KeepOutput keep_output = sink::KeepOutput::Failed;
  std::string run_directory, joblog;
  ventilator::InputOptions input;
  ventilator::PipeOptions pipe;
  std::uint64_t spool_bytes = 256u << 20;
  cli::Work work;
  bool keep_run = false;
  bool skip_done = false;
  io::TakeOver take_over = io::TakeOver::No;
  ventilator::CommandOptions commands;
  ProgressOptions progress;
  ventilator::PolicyOptions policy;
  ventilator::LabelOptions label;
  ventilator::ReplacementOptions replacements;
  io::Durability durability = io::Durability::Process;
  std::vector<std::string> words;  // of the command template

  ventilator::WorkOptions job_work() const {
    ventilator::WorkOptions made{words, work.call, work.coprocess, work.framing, replacements, label};
    made.replacements.is_filter = pipe.is_on() && !pipe.names_files();
    made.replacements.slots = slots();
    if (pipe.is_on()) made.replacements.total.reset();
    if (input.repeats_words()) made.replacements.many = ventilator::Many::Repeat;
    return made;
  }
  std::uint32_t slots() const;
  // `directory`: of the run, for blocks of --pipe; empty: none is made.
  base::Result<ventilator::Input> open_input(const std::string& directory) const;
};

// What a command line of `run` looks like before it is parsed: where its options and their values end, and whether they say --plain.
struct RunOutline {
  std::size_t options_end = 0;
  bool is_plain = false;
};
RunOutline outline_run(const std::vector<std::string>& arguments);

std::optional<cli::Leave> parse_run(const std::vector<std::string>& arguments, RunOptions& options);

// The same in two steps, for a caller that parses many command lines with one app. REQUIRES: `options` are those that the app was made with, and as new.
void add_run(CLI::App& app, RunOptions& options);
std::optional<cli::Leave> parse_run(CLI::App& app, const std::vector<std::string>& arguments, RunOptions& options);

struct ResumeOptions {
  std::string run_directory;
  io::TakeOver take_over = io::TakeOver::No;
};

std::optional<cli::Leave> parse_resume(const std::vector<std::string>& arguments, ResumeOptions& options);

}  // namespace pushmill
