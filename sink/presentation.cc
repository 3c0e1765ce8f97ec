#include "sink/presentation.h"

#include <utility>

#include "base/one_line.h"
#include "sink/job_fields.h"
#include "wire/codec.h"

namespace sink {

using wire::OutputStream;

namespace {

void append_json(unsigned char byte, std::string& to) {
  constexpr char kDigits[] = "0123456789abcdef";
  if (byte < ' ') {
    to += "\\u00";
    to += kDigits[byte / 16];
    to += kDigits[byte % 16];
    return;
  }
  if (byte == '"' || byte == '\\') to += '\\';
  to += static_cast<char>(byte);
}

void append_quoted(Dress::Quoting quoting, std::string_view bytes, std::string& to) {
  if (quoting == Dress::Quoting::None) return void(to += bytes);
  for (const char c : bytes) {
    if (quoting == Dress::Quoting::Json) {
      append_json(static_cast<unsigned char>(c), to);
    } else {
      if (c == '"') to += c;
      to += c;
    }
  }
}

// The fields of a line of a table, as far as they are texts that may need quotes.
class TableLine {
 public:
  explicit TableLine(char separator) : separator_(separator) {}
  void add(std::string_view field) {
    if (!line_.empty()) line_ += separator_;
    const bool quotes = needs_quotes(field);
    if (quotes) line_ += '"';
    append_quoted(quotes ? Dress::Quoting::Csv : Dress::Quoting::None, field, line_);
    if (quotes) line_ += '"';
  }
  bool needs_quotes(std::string_view field) const {
    return field.find_first_of(" \"\t\n\r\v\f") != std::string_view::npos || field.find(separator_) != std::string_view::npos;
  }
  std::string take() { return std::move(line_); }

 private:
  const char separator_;
  std::string line_;
};

char separator(const Presentation& how) { return how.form == Presentation::Form::Tsv ? '\t' : ','; }

std::optional<std::string> tag_of(const Presentation& how, const base::Label& label) { return how.tags ? std::optional(label.tag) : std::nullopt; }

std::vector<Part> json(const Presentation& how, const Row& row, const base::Label& label, const std::string& local_host) {
  const JobFields fields = fields_of(row, label.number, local_host);
  const auto quoted = [](std::string_view text) {
    std::string field = "\"";
    append_quoted(Dress::Quoting::Json, text, field);
    return field += '"';
  };
  std::string head = "{ \"Seq\": " + std::to_string(fields.number) + ", \"Host\": " + quoted(fields.host) + ", \"Starttime\": " + fields.started +
                     ", \"JobRuntime\": " + fields.runtime + ", \"Send\": 0, \"Receive\": " + std::to_string(fields.received) +
                     ", \"Exitval\": " + std::to_string(fields.exit_value) + ", \"Signal\": " + std::to_string(fields.signal) +
                     ", \"Command\": " + quoted(row.result.command) + ", \"V\": [ ";
  for (std::size_t i = 0; i < label.values.size(); ++i) head += (i > 0 ? "," : "") + quoted(label.values[i]);
  head += " ], \"Stdout\": \"";
  Dress out(tag_of(how, label), Dress::Quoting::Json);
  const Dress err = out;
  if (how.commands) out.append(row.result.command + "\n", head);
  return {{false, std::move(head), OutputStream::Out, out}, {false, "\", \"Stderr\": \"", OutputStream::Err, err}, {false, "\" }\n"}};
}

// Quotes stand around an output where it needs them; around one that has a file in any case.
std::vector<Part> delimited(const Presentation& how, const Row& row, const base::Label& label, const std::string& local_host) {
  const JobFields fields = fields_of(row, label.number, local_host);
  const wire::Result& result = row.result;
  TableLine line(separator(how));
  for (const std::string& field : {std::to_string(fields.number), fields.host, fields.started, fields.runtime, std::string("0"),
                                   std::to_string(fields.received), std::to_string(fields.exit_value), std::to_string(fields.signal), result.command}) {
    line.add(field);
  }
  for (const std::string& value : label.values) line.add(value);
  const auto needs_quotes = [&](const std::string& text, bool has_file) { return has_file || line.needs_quotes(text) || (how.tags && !text.empty()); };
  const bool out_quotes = needs_quotes(result.out, !row.out_file.empty()) || how.commands;
  const bool err_quotes = needs_quotes(result.err, !row.err_file.empty());
  std::string head = line.take() + separator(how) + (out_quotes ? "\"" : "");
  Dress out(tag_of(how, label), Dress::Quoting::Csv);
  const Dress err = out;
  if (how.commands) out.append(result.command + "\n", head);
  return {{false, std::move(head), OutputStream::Out, out},
          {false, std::string(out_quotes ? "\"" : "") + separator(how) + (err_quotes ? "\"" : ""), OutputStream::Err, err},
          {false, err_quotes ? "\"\n" : "\n"}};
}

std::vector<Part> outputs(const Presentation& how, const Row& row, const base::Label& label, bool has_begun) {
  Dress out = live_dress(how, label), err = out;
  std::string out_head, err_head;
  if (!has_begun) {
    out_head = live_head(how, OutputStream::Out, row.result.command, out);
    err_head = live_head(how, OutputStream::Err, row.result.command, err);
  }
  std::vector<Part> parts;
  if (how.form == Presentation::Form::Outputs) parts.push_back({false, std::move(out_head), OutputStream::Out, out});
  else parts.push_back({false, std::move(out_head)});
  parts.push_back({true, std::move(err_head), OutputStream::Err, err});
  return parts;
}

}  // namespace

Dress::Dress(std::optional<std::string> tag, Quoting quoting) : quoting_(quoting) {
  if (tag) append_quoted(quoting, *tag + '\t', tag_);
}

void Dress::append(std::string_view bytes, std::string& to) {
  if (tag_.empty()) return append_quoted(quoting_, bytes, to);
  while (!bytes.empty()) {
    if (is_at_line_start_) to += tag_;
    const std::size_t end = bytes.find_first_of("\n\r");  // a line that is written again on a terminal is one more
    is_at_line_start_ = end != std::string_view::npos;
    const std::string_view line = bytes.substr(0, is_at_line_start_ ? end + 1 : bytes.size());
    append_quoted(quoting_, line, to);
    bytes.remove_prefix(line.size());
  }
}

std::vector<Part> present(const Presentation& how, const Row& row, const base::Label& label, const std::string& local_host, bool has_begun,
                          const std::string& name) {
  std::vector<Part> parts;
  switch (how.form) {
    case Presentation::Form::Json: parts = json(how, row, label, local_host); break;
    case Presentation::Form::Csv:
    case Presentation::Form::Tsv: parts = delimited(how, row, label, local_host); break;
    case Presentation::Form::Outputs:
    case Presentation::Form::Out: parts = outputs(how, row, label, has_begun); break;
    case Presentation::Form::Folders:
      if (!how.names) break;
      [[fallthrough]];
    case Presentation::Form::Names: {
      std::string line;
      live_dress(how, label).append(name + "\n", line);
      parts.push_back({false, std::move(line)});
      break;
    }
  }
  if (how.trace && how.form != Presentation::Form::Outputs && how.form != Presentation::Form::Out) parts.push_back({true, row.result.command + "\n"});
  if (std::string line = notice(row.result); !line.empty()) parts.push_back({true, std::move(line)});
  return parts;
}

std::string table_head(const Presentation& how, const base::Label& label) {
  if (how.form != Presentation::Form::Csv && how.form != Presentation::Form::Tsv) return {};
  TableLine line(separator(how));
  for (const char* name : {"Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"}) line.add(name);
  std::string_view names = label.destination;
  for (std::size_t i = 1; i <= label.values.size(); ++i) {
    const std::size_t end = names.find('\0');
    line.add(end == std::string_view::npos ? "V" + std::to_string(i) : std::string(names.substr(0, end)));
    names.remove_prefix(end == std::string_view::npos ? names.size() : end + 1);
  }
  line.add("Stdout");
  line.add("Stderr");
  return line.take() + "\n";
}

Dress live_dress(const Presentation& how, const base::Label& label) { return {tag_of(how, label), Dress::Quoting::None}; }

std::string live_head(const Presentation& how, OutputStream stream, const std::string& command, Dress& dress) {
  std::string head;
  if (how.commands && stream == OutputStream::Out) dress.append(command + "\n", head);
  if (how.trace && stream == OutputStream::Err) head += command + "\n";
  return head;
}

std::string misfit(const Presentation& how, const base::Label& label) {
  const bool wants_name = how.form == Presentation::Form::Folders || how.form == Presentation::Form::Out;
  const bool has_name = !label.destination.empty() && label.destination.back() != '\0';
  const char* const kBoth = " its output, which goes to standard output: --out or --results is for ventilator and sink together";
  if (wants_name && !has_name) return std::string("the ventilator has named no file for") + kBoth;
  if (how.form == Presentation::Form::Outputs && has_name) return std::string("the ventilator has named a file for") + kBoth;
  return "";
}

std::string notice(const wire::Result& result) {
  if (result.outcome == base::Outcome::Ok) return {};
  std::string why = result.reason;
  if (why.empty() && result.outcome == base::Outcome::Timeout) why = "it was over its time limit";
  if (why.empty()) return {};
  const bool is_in_line = !result.err.empty() && result.err.back() != '\n';
  return (is_in_line ? "\npushmill: job " : "pushmill: job ") + std::to_string(result.attempt.job) + ": " + base::one_line(why) + "\n";
}

base::Label label_of(const std::string& encoded) {
  auto label = wire::decode_label(encoded);
  return label ? std::move(*label) : base::Label{};
}

}  // namespace sink
