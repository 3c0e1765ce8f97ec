// The way of the input: a stream of bytes to records, in whatever pieces they are asked for, and each record through a template to a job.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "fuzz.h"
#include "ventilator/input.h"
#include "ventilator/template.h"
#include "wire/codec.h"

namespace {

std::vector<std::string> records_of(std::string_view stream, std::string_view delimiter) {
  std::vector<std::string> records;
  while (!stream.empty()) {
    const std::size_t end = stream.find(delimiter);
    records.emplace_back(stream.substr(0, end));
    stream.remove_prefix(end == std::string_view::npos ? stream.size() : end + delimiter.size());
  }
  return records;
}

ventilator::Template template_of(unsigned char kind, std::string_view text) {
  const ventilator::JobDefaults defaults{"/bin/sh", "", base::Duration(1)};
  switch (kind % 4) {
    case 0: return ventilator::Template::parse({std::string(text)}, defaults);
    case 1: return ventilator::Template::parse({}, defaults);
    case 2: return ventilator::Template::call("echo", 1, (kind & 4) != 0, defaults);
    default: return ventilator::Template::coprocess(std::string(text), static_cast<base::Framing>((kind >> 2) % 3), defaults);
  }
}

// The same bytes as values of columns, packed and numbered: whatever comes, all of it does.
void read_columns(std::string_view bytes, unsigned char kind, std::size_t most_records, std::size_t most_bytes) {
  auto columns = ventilator::Columns::csv(',', ventilator::Trim::Both);
  if ((kind & 1) == 0) columns = std::move(*ventilator::Columns::split_at((kind & 2) != 0 ? "(,)|\\s*" : ",", ventilator::Trim::Left));
  ventilator::Rows rows;
  columns.add(bytes, rows);
  MUST(rows.size() == 1 && !rows.values.empty());
  std::size_t length = 0;
  for (const std::string_view value : rows.values) length += value.size();
  MUST(length <= bytes.size());

  static const int file = ::memfd_create("csv", MFD_CLOEXEC);
  MUST(::ftruncate(file, 0) == 0 && ::pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()) && ::lseek(file, 0, SEEK_SET) == 0);
  ventilator::Input input(ventilator::JobSource::standard_input(file, {"\n", (kind & 4) != 0 ? std::optional(',') : std::nullopt}));
  auto made = ventilator::Template::parse({"a"}, {});
  input.serve(made, 0);
  if ((kind & 8) != 0) input.pack({true, most_records, false, most_bytes + 1, (kind & 16) != 0 ? 3u : 0u});
  base::JobId number = 0;
  auto state = ventilator::SourceState::More;
  while (state == ventilator::SourceState::More) {
    state = input.read(most_records, most_bytes);
    for (const ventilator::Arguments& job : input.jobs()) MUST(job.number == ++number && !job.values.empty());
  }
  MUST(state == ventilator::SourceState::End || (kind & 4) != 0);
}

}  // namespace

// The first byte says what kind of template, the second how many records, the third how many bytes to ask for, the text of the template ends with a newline.
void fuzz(std::string_view bytes) {
  if (bytes.size() < 3) return;
  const auto kind = static_cast<unsigned char>(bytes[0]);
  const std::size_t most_records = 1 + static_cast<unsigned char>(bytes[1]) % 16, most_bytes = static_cast<unsigned char>(bytes[2]);
  bytes.remove_prefix(3);
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  const auto made = template_of(kind, bytes.substr(0, end));
  bytes.remove_prefix(std::min(end + 1, bytes.size()));

  static const int file = ::memfd_create("input", MFD_CLOEXEC);
  MUST(::ftruncate(file, 0) == 0 && ::pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()) && ::lseek(file, 0, SEEK_SET) == 0);
  const std::string delimiter = (kind & 32) != 0 ? "ab" : "\n";
  auto source = ventilator::JobSource::standard_input(file, {delimiter});
  const std::vector<std::string> expected = records_of(bytes, delimiter);
  std::vector<std::string_view> records;
  std::size_t seen = 0;
  auto state = ventilator::JobSource::State::More;
  while (state == ventilator::JobSource::State::More) {
    state = source.read(most_records, most_bytes, records);
    MUST(records.size() <= most_records);
    for (const std::string_view record : records) {
      MUST(seen < expected.size() && record == expected[seen]);
      std::string spec;
      const base::JobId job = ++seen;
      const auto encoded = made.encode({job, {record}}, spec);
      if (!encoded) {
        MUST(encoded.error().message.starts_with("record " + std::to_string(job) + " "));
        continue;
      }
      const auto composed = made.compose({job, {record}});
      const auto decoded = wire::decode_spec(spec);
      MUST(composed && decoded && *decoded == *composed);
    }
  }
  MUST(state == ventilator::JobSource::State::End && seen == expected.size());
  read_columns(bytes, kind >> 3, most_records, most_bytes);
}
