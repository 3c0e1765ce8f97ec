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

}  // namespace

struct Template::Replacement {
  std::string_view name;
  Part::Kind kind;
};

// No name may be the beginning of a later one: the first that fits is taken.
const Template::Replacement Template::kReplacements[] = {
    {"{#}", Part::Kind::JobNumber},
    {"{}", Part::Kind::Record},
};

const Template::Replacement* Template::replacement_at(std::string_view rest) {
  for (const Replacement& replacement : kReplacements)
    if (rest.starts_with(replacement.name)) return &replacement;
  return nullptr;
}

Template Template::parse(const std::vector<std::string>& words, JobDefaults defaults, bool is_filter) {
  std::string text;
  for (const std::string& word : words) {
    if (&word != words.data()) text += ' ';
    text += word;
  }
  Template made(std::move(text), std::move(defaults));

  std::size_t literal = 0;  // where the text not yet in a part begins
  const auto add = [&](std::size_t at, std::size_t length, Part::Kind kind) {
    if (at > literal) made.parts_.push_back({Part::Kind::Literal, made.text_.substr(literal, at - literal)});
    made.parts_.push_back({kind, {}});
    made.uses_record_ |= kind == Part::Kind::Record;
    literal = at + length;
  };
  for (std::size_t at = made.text_.find('{'); at != std::string::npos; at = made.text_.find('{', at)) {
    const Replacement* replacement = replacement_at(std::string_view(made.text_).substr(at));
    if (replacement == nullptr) {
      ++at;
    } else {
      add(at, replacement->name.size(), replacement->kind);
      at = literal;
    }
  }
  if (made.parts_.empty() && is_filter) {
    made.parts_.push_back({Part::Kind::Literal, made.text_});
  } else if (made.parts_.empty()) {
    if (!words.empty()) made.text_ += ' ';  // an empty word is a template too
    made.text_ += "{}";
    add(made.text_.size() - 2, 2, Part::Kind::Record);
  } else if (literal < made.text_.size()) {
    made.parts_.push_back({Part::Kind::Literal, made.text_.substr(literal)});
  }
  const Part& first = made.parts_.front();
  made.quotes_ = first.kind == Part::Kind::Literal && first.literal.find_first_of(" \t\n=") != std::string::npos;
  return made;
}

Template Template::of(const WorkOptions& work, const JobDefaults& defaults) {
  if (work.coprocess) return coprocess(*work.coprocess, work.framing.value_or(base::Framing::Line), defaults);
  if (work.call) {
    const auto [handler, version] = split_version(*work.call);
    return call(std::string(handler), version, work.framing == base::Framing::Json, defaults);
  }
  return parse(work.words, defaults, work.is_filter);
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
  record.program = made.command(std::move(line));
  record.framing = framing;
  return made;
}

base::Command Template::command(std::string line) const {
  base::Command command;
  command.line = std::move(line);
  command.shell = defaults_.shell;
  command.directory = defaults_.directory;
  command.term_seq = defaults_.term_seq;
  command.kill_leftovers = defaults_.kill_leftovers;
  return command;
}

base::Result<std::string> Template::line(base::JobId job, std::string_view record) const {
  if (record.find('\0') != std::string_view::npos) return refused(job, "holds a NUL byte, which no command line can carry: take it out");
  const auto too_long = [job] {
    return refused(job, "makes a command line of more than " + std::to_string(kMaxLine) + " bytes, which Linux cannot pass to a shell: put the data in a file");
  };
  // Before quoting: what follows costs no more than a few lines, however long the record and however often it is used.
  if (uses_record_ && record.size() > kMaxLine) return too_long();
  std::string quoted;
  if (uses_record_ && quotes_) {
    quoted = base::shell_quote(record);
    record = quoted;
  }
  std::string line;
  line.reserve(text_.size() + record.size());
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Part::Kind::Literal: line += part.literal; break;
      case Part::Kind::Record: line += record; break;
      case Part::Kind::JobNumber: {
        char digits[20];
        line.append(digits, std::to_chars(digits, digits + sizeof digits, job).ptr);
        break;
      }
    }
    if (line.size() > kMaxLine) return too_long();
  }
  return line;
}

std::size_t Template::length(const Arguments& arguments) const {
  std::size_t bytes = text_.size() - 3;
  for (const std::string_view value : arguments.values) bytes += base::shell_quote(value).size() + 1;
  return bytes;
}

base::Result<base::JobSpec> Template::compose(const Arguments& arguments) const {
  const base::JobId job = arguments.number;
  std::string joined;
  for (const std::string_view& value : arguments.values) joined += (&value == arguments.values.data() ? "" : " ") + std::string(value);
  const std::string_view record = joined;
  if (takes_json_) {
    const auto value = json::parse(record, wire::kMaxDepth);
    if (!value) return refused(job, "is not JSON: " + value.error().message);
    return base::JobSpec{base::Call{handler_, version_, json::to_msgpack(*value)}, defaults_.time_limit};
  }
  if (!handler_.empty()) return base::JobSpec{make_call(handler_, version_, record), defaults_.time_limit};
  if (record_) {
    base::JobSpec spec{*record_, defaults_.time_limit};
    std::get<base::Record>(spec.work).input = record;
    return spec;
  }
  auto composed = line(job, record);
  if (!composed) return composed.error();
  base::JobSpec spec{command(std::move(*composed)), defaults_.time_limit};
  auto& command = std::get<base::Command>(spec.work);
  command.stdin_bytes = arguments.stdin_bytes;
  if (arguments.input != nullptr) command.input = *arguments.input;
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
