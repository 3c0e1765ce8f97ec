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
#include "ventilator/options_label.h"
#include "ventilator/options_policy.h"
#include "ventilator/options_template.h"
#include "worker/options_starts.h"

namespace pushmill {

struct RunOptions {
  worker::StartOptions starts;
  bool keep_order = false;
  sink::OutputOptions output;
  sink::KeepOutput keep_output = sink::KeepOutput::Failed;
  std::string input_file, run_directory, joblog;
  cli::Work work;
  bool keep_run = false;
  io::TakeOver take_over = io::TakeOver::No;
  ventilator::CommandOptions commands;
  ProgressOptions progress;
  ventilator::PolicyOptions policy;
  ventilator::LabelOptions label;
  ventilator::ReplacementOptions replacements;
  io::Durability durability = io::Durability::Process;
  std::vector<std::string> words;                      // of the command template
  std::optional<std::vector<std::string>> arguments;  // behind :::

  ventilator::WorkOptions job_work() const { return {words, work.call, work.coprocess, work.framing, replacements, label}; }
};

std::optional<cli::Leave> parse_run(const std::vector<std::string>& arguments, RunOptions& options);

struct ResumeOptions {
  std::string run_directory;
  io::TakeOver take_over = io::TakeOver::No;
};

std::optional<cli::Leave> parse_resume(const std::vector<std::string>& arguments, ResumeOptions& options);

}  // namespace pushmill
