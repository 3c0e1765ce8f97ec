// Job specs: [kind, time limit, label, field...], where kind says whose fields follow; and labels, which are the array of their fields.
#include "wire/codec.h"

#include <algorithm>

#include "wire/reader.h"
#include "wire/writer.h"

namespace wire {
namespace {

using base::Call;
using base::Command;
using base::Error;
using base::Record;

constexpr std::uint64_t kCommand = 1;
constexpr std::uint64_t kCall = 2;
constexpr std::uint64_t kRecord = 3;
constexpr std::size_t kHead = 3;  // kind, time limit, label

template <typename Work>
void write_spec(std::uint64_t kind, const base::JobSpec& spec, const Work& work, Writer& writer) {
  writer.array(kHead + kFieldCount<Work>);
  writer.put(kind);
  writer.put(spec.time_limit);
  writer.put(spec.label);
  writer.put_fields(work);
}

bool is_fine(const Command& command) {
  const auto& marks = command.slot_marks;
  return base::is_term_seq(command.term_seq) && std::is_sorted(marks.begin(), marks.end()) && (marks.empty() || marks.back() <= command.line.size());
}
bool is_fine(const Record& record) { return is_fine(record.program); }
bool is_fine(const Call&) { return true; }

template <typename Work>
void read_work(std::size_t count, Reader& reader, base::JobSpec& spec) {
  if (count < kHead + kFieldCount<Work>) return reader.fail("too few elements");
  Work& work = spec.work.emplace<Work>();
  const std::size_t read = reader.read_fields(work, count - kHead);
  if (!is_fine(work)) reader.fail("a sequence of signals or places for the slot that is none");
  reader.close_array(count, kHead + read);
  reader.expect_end();
}

}  // namespace

void encode_spec(const base::JobSpec& spec, std::string& bytes) {
  bytes.clear();
  Writer writer(bytes);
  if (const auto* command = std::get_if<Command>(&spec.work)) write_spec(kCommand, spec, *command, writer);
  else if (const auto* call = std::get_if<Call>(&spec.work)) write_spec(kCall, spec, *call, writer);
  else write_spec(kRecord, spec, std::get<Record>(spec.work), writer);
}

base::Result<base::JobSpec> decode_spec(std::string_view bytes) {
  if (bytes.size() > kMaxJob) return Error{Error::Kind::Protocol, "a job spec of " + std::to_string(bytes.size()) + " bytes, above the limit"};
  Reader reader(bytes);
  base::Result<base::JobSpec> spec(base::JobSpec{});
  const std::size_t count = reader.open_array(kHead);
  const std::uint64_t kind = reader.read_uint(UINT64_MAX);
  reader.read(spec->time_limit);
  reader.read(spec->label);
  if (reader.ok() && kind == kCommand) read_work<Command>(count, reader, *spec);
  else if (reader.ok() && kind == kCall) read_work<Call>(count, reader, *spec);
  else if (reader.ok() && kind == kRecord) read_work<Record>(count, reader, *spec);
  else if (reader.ok()) return Error{Error::Kind::Protocol, "a job spec of the unknown kind " + std::to_string(kind)};
  if (reader.ok()) return spec;
  return Error{Error::Kind::Protocol, std::string("malformed job spec: ") + reader.fault() + ", at byte " + std::to_string(reader.offset())};
}

void encode_label(const base::Label& label, std::string& bytes) {
  bytes.clear();
  if (label == base::Label{}) return;
  Writer(bytes).put(label);
}

base::Result<base::Label> decode_label(std::string_view bytes) {
  base::Result<base::Label> label(base::Label{});
  if (bytes.empty()) return label;
  Reader reader(bytes);
  reader.read(*label);
  reader.expect_end();
  if (reader.ok()) return label;
  return Error{Error::Kind::Protocol, std::string("malformed label: ") + reader.fault() + ", at byte " + std::to_string(reader.offset())};
}

std::uint64_t number_of_label(std::string_view bytes) {
  Reader reader(bytes);
  return reader.open_array(kFieldCount<base::Label>) > 0 ? reader.read_uint(UINT64_MAX) : 0;
}

namespace {

// Quotes and escapes can make the text longer than any frame takes.
std::string cut(std::string text) {
  if (text.size() > kMaxString) text.resize(kMaxString);
  return text;
}

}  // namespace

std::string describe(const base::JobSpec& spec) {
  const auto text_of = [](const Command& command) { return command.argv.empty() ? command.line : base::shell_join(command.argv); };
  if (const auto* command = std::get_if<Command>(&spec.work)) return cut(text_of(*command));
  if (const auto* record = std::get_if<Record>(&spec.work)) return cut(text_of(record->program) + " <<< " + record->input);
  return describe(std::get<Call>(spec.work));
}

std::string describe(const base::Call& call) {
  const auto value = print_value(call.arguments);
  return cut(call.handler + " " + (value ? *value : "(unreadable arguments)"));
}

}  // namespace wire
