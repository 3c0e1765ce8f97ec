// How the outputs of a job are shown: from its row and its label to the bytes that are written, in GNU parallel's way (20221122). Pure: the writer carries the
// bytes, and brings those of outputs that have files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/job.h"
#include "sink/result_log.h"

namespace sink {

struct Presentation {
  enum class Form : std::uint8_t {
    Outputs,  // stdout and stderr as they are
    Names,    // names of files that hold them
    Json,     // an object a job
    Csv,      // a line a job, below a line with the names of the columns
    Tsv,
    Folders,  // files that the label names, and nothing else
    Out,      // stdout in the file that the label names
  };
  Form form = Form::Outputs;
  bool tags = false;      // the label's tag and a tab stand before each line
  bool commands = false;  // the command stands before its stdout
  bool trace = false;     // the command stands before its stderr
  bool names = false;     // with Form::Folders: the name of the file with its stdout is printed
  enum class Live : std::uint8_t { No, Lines, Bytes };  // whether a job's outputs are shown while it runs: whole lines, or as they come
  Live live = Live::No;

  bool is_table() const { return form == Form::Json || form == Form::Csv || form == Form::Tsv; }
  bool has_file_a_job() const { return form == Form::Names || form == Form::Folders || form == Form::Out; }
  bool is_plain() const { return form == Form::Outputs && !tags && !commands && !trace; }
  // A job without any output is to be seen as well.
  bool shows_silent() const { return form != Form::Outputs || commands || trace; }
};

// What becomes of the bytes of one output on their way, piece by piece: a tag before each line, and what the table asks for.
class Dress {
 public:
  enum class Quoting : std::uint8_t { None, Json, Csv };  // within the quotes
  Dress() = default;
  Dress(std::optional<std::string> tag, Quoting quoting);
  bool is_none() const { return tag_.empty() && quoting_ == Quoting::None; }
  void append(std::string_view bytes, std::string& to);

 private:
  std::string tag_;  // with its tab, and quoted
  Quoting quoting_ = Quoting::None;
  bool is_at_line_start_ = true;
};

// One step of showing a job: a text, or one of its outputs.
struct Part {
  bool to_err = false;  // on stderr; else on stdout, or in the table's file
  std::string text = {};
  std::optional<wire::OutputStream> stream = {};  // behind the text
  Dress dress = {};                          // of that output
};

// What is shown of a job on stdout and stderr, or in the table. `has_begun`: its first live output is out. With a file a job, `name` is that of its stdout.
std::vector<Part> present(const Presentation& how, const Row& row, const base::Label& label, const std::string& local_host, bool has_begun,
                          const std::string& name);
// The first line of a table of jobs with such a label; empty: it has none.
std::string table_head(const Presentation& how, const base::Label& label);

// The dress of an output of `job` in Form::Outputs, and what stands before it.
Dress live_dress(const Presentation& how, const base::Label& label);
std::string live_head(const Presentation& how, wire::OutputStream stream, const std::string& command, Dress& dress);

// Why a job with such a label is shown as Form::Outputs whatever was asked for: ventilator and sink were told different things. Empty: it is not.
std::string misfit(const Presentation& how, const base::Label& label);

// Why a job failed, as a line, where that is not for its command to say.
std::string notice(const wire::Result& result);

// An encoded label; one that cannot be read says nothing.
base::Label label_of(const std::string& encoded);

}  // namespace sink
