#include "ventilator/joblog_reader.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>

namespace ventilator {

namespace {

struct Line {
  base::JobId seq = 0;
  bool is_ok = false;
  std::string_view command;
};

// Seq Host Starttime JobRuntime Send Receive Exitval Signal Command, with tabs between them; the command may hold more of those.
std::optional<Line> parse(std::string_view text) {
  std::string_view fields[8];
  for (std::string_view& field : fields) {
    const std::size_t end = text.find('\t');
    if (end == std::string_view::npos) return std::nullopt;
    field = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  const auto number = [](std::string_view field, auto& value) {
    const auto [stop, fault] = std::from_chars(field.data(), field.data() + field.size(), value);
    return fault == std::errc{} && stop == field.data() + field.size();
  };
  Line line;
  int exit_value = 0, signal = 0;
  if (!number(fields[0], line.seq) || line.seq == 0 || !number(fields[6], exit_value) || !number(fields[7], signal)) return std::nullopt;
  line.is_ok = exit_value == 0 && signal == 0;
  line.command = text;
  return line;
}

}  // namespace

base::Result<JoblogState> read_joblog(const std::string& path, bool with_commands, std::uint64_t bytes) {
  using base::Error;
  std::error_code fault;
  const auto status = std::filesystem::status(path, fault);
  if (!std::filesystem::exists(status)) return Error{Error::Kind::NotFound, "cannot read the joblog " + path + ": " + std::strerror(ENOENT)};
  if (!std::filesystem::is_regular_file(status)) return Error{Error::Kind::Usage, "cannot resume from the joblog " + path + ": it is not a file"};
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{Error::Kind::Io, "cannot read the joblog " + path + ": " + std::strerror(errno)};

  struct Seen {
    base::JobId seq;
    bool is_ok;
  };
  std::vector<Seen> seen;
  std::map<base::JobId, std::string> commands;  // of the jobs whose last line says that they failed
  JoblogState state;
  std::string text;
  for (bool is_first = true; state.bytes < bytes && std::getline(file, text) && !file.eof(); is_first = false) {
    state.bytes += text.size() + 1;
    if (is_first && !text.starts_with("Seq\tHost\t")) return Error{Error::Kind::Usage, path + " is not a joblog: its first line does not begin with Seq and Host"};
    const auto line = is_first ? std::nullopt : parse(text);
    if (!line) continue;
    seen.push_back({line->seq, line->is_ok});
    if (!with_commands) continue;
    if (line->is_ok) {
      commands.erase(line->seq);
    } else {
      std::string& command = commands[line->seq] = line->command;
      std::replace(command.begin(), command.end(), '\0', '\n');  // as joblogs keep them
    }
  }
  if (state.bytes == 0 && !text.empty()) return Error{Error::Kind::Usage, path + " is not a joblog: its first line does not begin with Seq and Host"};
  if (file.bad()) return Error{Error::Kind::Io, "cannot read the joblog " + path + ": " + std::strerror(errno)};
  for (auto last = seen.rbegin(); last != seen.rend(); ++last) {
    if (!state.finished.insert(last->seq)) continue;
    if (last->is_ok) state.succeeded.insert(last->seq);
    else state.failed.push_back(last->seq);
  }
  std::sort(state.failed.begin(), state.failed.end());
  for (auto& [seq, command] : commands) state.commands.push_back(std::move(command));
  return state;
}

}  // namespace ventilator
