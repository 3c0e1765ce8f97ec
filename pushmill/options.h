// The command lines of `pushmill run` and `pushmill resume`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "io/lock.h"
#include "sink/output_writer.h"
#include "ventilator/options_input.h"
#include "ventilator/options_label.h"
#include "ventilator/options_policy.h"
#include "ventilator/options_template.h"

namespace pushmill {

struct RunOptions {
  std::uint32_t slots = 0;  // 0: as many as the surroundings allow
  bool keep_order = false;
  sink::KeepOutput keep_output = sink::KeepOutput::Failed;
  std::string run_directory, joblog;
  ventilator::InputOptions input;
  cli::Work work;
  bool keep_run = false;
  io::TakeOver take_over = io::TakeOver::No;
  base::Duration timeout{0};
  base::TermSeq term_seq;
  bool kill_leftovers = false;
  ventilator::PolicyOptions policy;
  ventilator::LabelOptions label;
  ventilator::ReplacementOptions replacements;
  io::Durability durability = io::Durability::Process;
  std::vector<std::string> words;  // of the command template

  ventilator::WorkOptions job_work() const { return {words, work.call, work.coprocess, work.framing, replacements, label}; }
};

std::optional<cli::Leave> parse_run(const std::vector<std::string>& arguments, RunOptions& options);

struct ResumeOptions {
  std::string run_directory;
  io::TakeOver take_over = io::TakeOver::No;
};

std::optional<cli::Leave> parse_resume(const std::vector<std::string>& arguments, ResumeOptions& options);

}  // namespace pushmill
