#include "ventilator/template.h"

#include <charconv>
#include <utility>

#include "json/json.h"
#include "wire/codec.h"
#include "wire/limits.h"

namespace ventilator {

namespace {

base::Error refused(base::JobId job, const std::string& why) {
  return {base::Error::Kind::Usage, "record " + std::to_string(job) + " " + why};
}

// HANDLER@VERSION
std::pair<std::string_view, std::uint32_t> split_version(std::string_view call) {
  const std::size_t at = call.rfind('@');
  std::uint32_t version = 1;
  if (at == std::string_view::npos) return {call, version};
  const char* const end = call.data() + call.size();
  const auto [stop, fault] = std::from_chars(call.data() + at + 1, end, version);
  if (fault != std::errc{} || stop != end) return {call, 1};
  return {call.substr(0, at), version};
}

// The words quoted whole, and joined. The number of the slot stands between quotes, so that its place is known before it is.
bool append_quoted(const std::vector<Phrase::Word>& words, base::Command& command) {
  std::string& line = command.line;
  for (const Phrase::Word& word : words) {
    if (&word != words.data()) line += ' ';
    std::size_t done = 0;
    for (const std::uint32_t mark : word.marks) {
      if (mark > done) base::append_shell_quoted(std::string_view(word.text).substr(done, mark - done), line);
      command.slot_marks.push_back(static_cast<std::uint32_t>(line.size()));
      done = mark;
    }
    if (word.marks.empty() || done < word.text.size()) base::append_shell_quoted(std::string_view(word.text).substr(done), line);
    if (line.size() > kMaxLine) return false;
  }
  return true;
}

}  // namespace

Template Template::parse(const std::vector<std::string>& words, JobDefaults defaults, const ReplacementOptions& options) {
  Template made({}, std::move(defaults));
  made.words_ = words;
  made.options_ = options;
  made.parse_words();
  return made;
}

void Template::parse_words() {
  auto replacements = Replacements::make(options_);
  if (!replacements) replacements = Replacements::make({});
  const std::string* const appended = options_.is_filter && !words_.empty() ? nullptr : &options_.value;
  phrase_ = Phrase::parse(words_, std::move(*replacements), options_.many, appended);
  quoting_ = phrase_.begins_with_value() ? Phrase::Quoting::None : Phrase::Quoting::Values;
  const std::string options = options_.text();
  text_ = options.empty() ? "" : options + "\n";
  const bool is_apart = options_.quote || options_.argv;  // the borders of the words count
  for (std::size_t i = 0; i < words_.size(); ++i) text_ += (i > 0 ? " " : "") + (is_apart ? base::shell_quote(words_[i]) : words_[i]);
  if (appended != nullptr && (!phrase_.has_replacements() || words_.empty())) text_ += (words_.empty() ? "" : " ") + options_.value;
}

void Template::set_names(const std::vector<std::string>& names) {
  labels_.set_names(names);
  if (!handler_.empty() || record_) return;
  options_.names = names;
  parse_words();
}

void Template::set_total(std::uint64_t jobs) {
  labels_.set_total(jobs);
  if (!handler_.empty() || record_) return;
  options_.total = jobs;
  parse_words();
}

std::string Template::check(const WorkOptions& work) {
  const ReplacementOptions& options = work.replacements;
  auto replacements = Replacements::make(options);
  if (!replacements) return replacements.error().message;
  if (std::string why = Labels::check(work.labels, *replacements); !why.empty()) return why;
  if (work.call || work.coprocess) {
    if (options.quote || options.argv) return std::string(options.quote ? "--quote" : "--argv") + " is for commands: it does not go with --call and --coprocess";
    return "";
  }
  if (std::string why = Phrase::check(work.words, *replacements); !why.empty()) return why;
  if (!options.argv) return "";
  if (options.quote) return "--argv and --quote exclude each other: without a shell nothing is quoted";
  if (work.words.empty()) return "--argv needs a command: without one each line is one, for the shell";
  const Phrase phrase = Phrase::parse(work.words, *replacements, options.many, &options.value);
  if (phrase.has_slot()) return "the number of the slot cannot be put into the words of --argv: the command finds it in $PUSHMILL_SLOT";
  if (phrase.has_variable()) return "--argv has no shell, which {slot}, {host}, {sshlogin}, {hgrp} and {agrp} need";
  return "";
}

Template Template::of(const WorkOptions& work, const JobDefaults& defaults) {
  const auto made = [&] {
    if (work.coprocess) return coprocess(*work.coprocess, work.framing.value_or(base::Framing::Line), defaults);
    if (!work.call) return parse(work.words, defaults, work.replacements);
    const auto [handler, version] = split_version(*work.call);
    return call(std::string(handler), version, work.framing == base::Framing::Json, defaults);
  };
  Template result = made();
  result.labels_ = Labels(work.labels, work.replacements);
  return result;
}

Template Template::call(std::string handler, std::uint32_t version, bool takes_json, JobDefaults defaults) {
  // No replacement string in it, so no text of a command is the same.
  Template made("--call " + handler + "@" + std::to_string(version) + (takes_json ? " --framing json" : ""), std::move(defaults));
  made.takes_json_ = takes_json;
  made.handler_ = std::move(handler);
  made.version_ = version;
  return made;
}

Template Template::coprocess(std::string line, base::Framing framing, JobDefaults defaults) {
  // Unlike any text of a command, for the newline.
  Template made("--coprocess --framing " + std::string(base::name(framing)) + "\n" + line, std::move(defaults));
  base::Record& record = made.record_.emplace();
  record.program = made.command();
  record.program.line = std::move(line);
  record.framing = framing;
  return made;
}

base::Command Template::command() const {
  base::Command command;
  command.shell = defaults_.shell;
  command.directory = defaults_.directory;
  command.term_seq = defaults_.term_seq;
  command.kill_leftovers = defaults_.kill_leftovers;
  command.live = defaults_.live;
  command.nice = defaults_.nice;
  command.environment = defaults_.environment;
  return command;
}

base::Result<base::Command> Template::command(const Arguments& arguments) const {
  for (const std::string_view value : arguments.values)
    if (value.find('\0') != std::string_view::npos) return refused(arguments.number, "holds a NUL byte, which no command line can carry: take it out");
  base::Command made = command();
  bool fits = true;
  if (!options_.quote && !options_.argv) {
    fits = phrase_.line(arguments, quoting_, kMaxLine, made.line, phrase_.has_slot() ? &made.slot_marks : nullptr);
  } else {
    std::vector<Phrase::Word> words;
    fits = phrase_.words(arguments, kMaxLine, words);
    if (options_.argv) for (Phrase::Word& word : words) made.argv.push_back(std::move(word.text));
    else fits = fits && append_quoted(words, made);
  }
  if (!fits) return refused(arguments.number, "makes a command line of more than " + std::to_string(kMaxLine) + " bytes, which Linux cannot pass to a shell: put the data in a file");
  return made;
}

std::size_t Template::length(const Arguments& arguments) const {
  if (!handler_.empty() || record_) return 0;
  if (!options_.quote && !options_.argv) return phrase_.length(arguments, quoting_);
  std::vector<Phrase::Word> words;
  (void)phrase_.words(arguments, wire::kMaxJob, words);
  base::Command quoted;
  std::size_t length = 0;
  for (const Phrase::Word& word : words) length += word.text.size() + 1;
  if (!options_.quote) return length - 1;
  append_quoted(words, quoted);
  return quoted.line.size() + quoted.slot_marks.size();
}

base::Result<std::variant<base::Command, base::Call, base::Record>> Template::work(const Arguments& arguments) const {
  using Work = std::variant<base::Command, base::Call, base::Record>;
  if (handler_.empty() && !record_) {
    auto made = command(arguments);
    if (!made) return made.error();
    return Work(std::move(*made));
  }
  std::string columns;
  std::string_view record = arguments.values.empty() ? std::string_view() : arguments.values.front();
  if (arguments.values.size() > 1) {
    for (const std::string_view value : arguments.values) (columns += value) += '\t';
    columns.pop_back();
    record = columns;
  }
  if (takes_json_) {
    const auto value = json::parse(record, wire::kMaxDepth);
    if (!value) return refused(arguments.number, "is not JSON: " + value.error().message);
    return Work(base::Call{handler_, version_, json::to_msgpack(*value)});
  }
  if (!handler_.empty()) return Work(make_call(handler_, version_, record));
  base::Record made = *record_;
  made.input = record;
  return Work(std::move(made));
}

base::Result<base::JobSpec> Template::compose(const Arguments& arguments) const {
  auto made = work(arguments);
  if (!made) return made.error();
  base::JobSpec spec{std::move(*made), defaults_.time_limit};
  if (labels_.is_wanted() || arguments.has_own_number) wire::encode_label(labels_.make(arguments), spec.label);
  if (auto* command = std::get_if<base::Command>(&spec.work)) {
    command->stdin_bytes = arguments.stdin_bytes;
    if (arguments.input != nullptr) command->input = *arguments.input;
  }
  return spec;
}

base::Status Template::encode(const Arguments& arguments, std::string& bytes) const {
  const auto spec = compose(arguments);
  if (!spec) return spec.error();
  wire::encode_spec(*spec, bytes);
  if (bytes.size() > wire::kMaxJob)
    return refused(arguments.number, "makes a job of " + std::to_string(bytes.size()) + " bytes; the most is " + std::to_string(wire::kMaxJob));
  return base::ok();
}

base::Call make_call(std::string handler, std::uint32_t version, std::string_view record) {
  return {std::move(handler), version, wire::pack_bytes(record)};
}

}  // namespace ventilator
