// The template of a run: what makes a job out of a record of the input. A command template works as in GNU parallel 20221122, whose --dry-run lines it
// reproduces byte for byte; a call template hands the record to a handler, a coprocess template to a child that stays. Pure. The shell of the ventilator owns one and puts every record through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/job.h"
#include "base/result.h"
#include "ventilator/arguments.h"
#include "ventilator/labels.h"
#include "ventilator/phrase.h"

namespace ventilator {

// Linux takes no argument of 131,072 bytes or more, its closing NUL counted (MAX_ARG_STRLEN), and `sh -c LINE` passes the line as one.
inline constexpr std::size_t kMaxLine = 131'072 - 1;

// What all jobs of a run have in common.
struct JobDefaults {
  std::string shell;              // absolute path; empty: /bin/sh
  std::string directory;          // empty: the worker's own
  base::Duration time_limit{0};   // of one attempt; 0: none
  base::TermSeq term_seq = {};
  bool kill_leftovers = false;
  bool live = false;              // their outputs are told as they come
  std::int32_t nice = 0;
  std::vector<std::string> environment = {};  // NAME=VALUE, that travels with each job
};

// What a command line says of the jobs' work: one of the three.
struct WorkOptions {
  std::vector<std::string> words;  // the command
  std::optional<std::string> call;  // a handler, or HANDLER@VERSION; version 1 without
  std::optional<std::string> coprocess;
  std::optional<base::Framing> framing;
  ReplacementOptions replacements = {};
  LabelOptions labels = {};
};

class Template {
 public:
  // REQUIRES: check() finds nothing.
  static Template of(const WorkOptions& work, const JobDefaults& defaults);
  // What in the options and the words does not go: one line. Empty: nothing.
  static std::string check(const WorkOptions& work);
  // The words behind the options, joined with single spaces and not quoted again. Replacement strings (replacements.h) stand for values, quoted for the shell.
  // Without any, ` {}` is appended; without words, the record is the line. As in GNU parallel, a replacement string within the command itself (no blank
  // and no `=` before it) turns quoting off in the whole line, so that the records may be whole commands.
  static Template parse(const std::vector<std::string>& words, JobDefaults defaults, const ReplacementOptions& options = {});
  // Each record goes to `handler`: as one string, or as the value that its JSON says.
  static Template call(std::string handler, std::uint32_t version, bool takes_json, JobDefaults defaults);

  // Each record goes to a child of `line`, in which nothing is replaced.
  static Template coprocess(std::string line, base::Framing framing, JobDefaults defaults);

  // The columns of the input have names: {NAME} is the value of one. Before the first job.
  void set_names(const std::vector<std::string>& names);
  // Whether the number of all jobs stands in it, or in the labels: {##}, {0#}. Then it has to be told before the first job is composed.
  bool wants_total() const { return phrase_.has_total() || labels_.wants_total(); }
  void set_total(std::uint64_t jobs);

  // The template as jobs.db keeps it: equal for templates that make equal jobs. For a command without options it parses, as one word, to the same template.
  const std::string& text() const { return text_; }

  // The job that the arguments ask for. An error of kind Usage names the record: it cannot be a job of this template.
  base::Result<base::JobSpec> compose(const Arguments& arguments) const;
  // The same, encoded as it is spooled and sent; `bytes` is overwritten. Also refuses a job over wire::kMaxJob.
  base::Status encode(const Arguments& arguments, std::string& bytes) const;
  // The bytes of the line that they make, however long; of a job that is no command 0.
  std::size_t length(const Arguments& arguments) const;

 private:
  Template(std::string text, JobDefaults defaults) : text_(std::move(text)), defaults_(std::move(defaults)) {}
  base::Command command() const;
  base::Result<base::Command> command(const Arguments& arguments) const;
  base::Result<std::variant<base::Command, base::Call, base::Record>> work(const Arguments& arguments) const;
  void parse_words();

  std::string text_;
  JobDefaults defaults_;
  std::vector<std::string> words_;  // of a command
  ReplacementOptions options_;
  Phrase phrase_;
  Phrase::Quoting quoting_ = Phrase::Quoting::Values;
  Labels labels_;
  std::string handler_;  // of a call; empty: a command
  std::uint32_t version_ = 0;
  bool takes_json_ = false;
  std::optional<base::Record> record_;  // of a coprocess, without its input
};

// The call of `handler` with `record`, any bytes, as its one argument.
base::Call make_call(std::string handler, std::uint32_t version, std::string_view record);

}  // namespace ventilator
