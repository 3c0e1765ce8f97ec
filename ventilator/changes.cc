#include "ventilator/changes.h"

namespace ventilator {
namespace {

constexpr auto kNone = std::string_view::npos;

// Where the last `count` extensions begin, with their dots: none of them holds a slash; they may be empty.
std::size_t extensions_at(std::string_view value, std::uint8_t count) {
  std::size_t end = value.size();
  for (; count > 0; --count) {
    const std::size_t dot = end == 0 ? kNone : value.find_last_of("./", end - 1);
    if (dot == kNone || value[dot] != '.') return kNone;
    end = dot;
  }
  return end;
}

std::string_view without(std::string_view value, std::size_t begin, std::size_t end, std::string& room) {
  if (begin == 0) return value.substr(end);
  if (end == value.size()) return value.substr(0, begin);
  room.assign(value.substr(0, begin));  // safe if `value` lies in it: a prefix is moved to the front first
  return room.append(value.substr(end));
}

// A newline ends what is searched for a mark: the first line that has it loses what stands before its last one, and that.
std::string_view without_all_before(std::string_view value, char mark, std::string& room) {
  const std::size_t first = value.find(mark);
  if (first == kNone) return value;
  const std::size_t line = first == 0 ? kNone : value.rfind('\n', first - 1);
  const std::size_t newline = value.find('\n', first);
  return without(value, line == kNone ? 0 : line + 1, value.rfind(mark, newline) + 1, room);
}

// A newline at the very end is not part of it.
std::string_view without_last_line(std::string_view value, std::string& room) {
  const std::size_t end = value.size() - value.ends_with('\n');
  const std::size_t newline = end == 0 ? kNone : value.rfind('\n', end - 1);
  return without(value, newline == kNone ? 0 : newline + 1, end, room);
}

std::string_view extensions(std::string_view value, std::uint8_t count, std::string& room) {
  if (count == 1) return value.find('.') == kNone ? without_last_line(value, room) : without_all_before(value, '.', room);
  const std::size_t at = extensions_at(value, count);
  if (at == kNone) return without_last_line(value, room);
  const std::size_t newline = at == 0 ? kNone : value.rfind('\n', at - 1);
  return without(value, newline == kNone ? 0 : newline + 1, at + 1, room);
}

// Slashes at the end belong to the name before them.
std::string_view folder(std::string_view value) {
  const std::size_t name = value.find_last_not_of('/');
  if (name == kNone) return value.empty() ? "." : "/";
  const std::size_t slash = value.rfind('/', name);
  if (slash == kNone) return ".";
  const std::size_t last = value.find_last_not_of('/', slash);
  return last == kNone ? "/" : value.substr(0, last + 1);
}

}  // namespace

std::string_view apply(Change change, std::string_view value, std::string& room) {
  switch (change.kind) {
    case Change::Kind::None:
    case Change::Kind::Edit: return value;
    case Change::Kind::NameStem: value = without_all_before(value, '/', room); [[fallthrough]];
    case Change::Kind::Stem: return value.substr(0, extensions_at(value, change.count));
    case Change::Kind::Name: return without_all_before(value, '/', room);
    case Change::Kind::Folder: return folder(value);
    case Change::Kind::BeforeSlash: {
      const std::size_t slash = value.rfind('/');
      return slash == kNone ? without_last_line(value, room) : value.substr(0, slash);
    }
    case Change::Kind::Extensions: return extensions(value, change.count, room);
  }
  return value;
}

}  // namespace ventilator
