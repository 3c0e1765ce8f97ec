#include "worker/direct_exec.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <clocale>
#include <cstdlib>
#include <locale.h>

namespace worker {
namespace {

enum class Shell { Dash, Bash };

// Builtins and keywords of bash 5.2 and dash 0.5.12, and of later ones where known, sorted.
constexpr std::array<std::string_view, 75> kShellWords = {
    "!",       ".",       ":",         "[",        "[[",      "]]",      "alias",   "bg",       "bind",   "break",  "builtin", "caller", "case",
    "cd",      "chdir",   "command",   "compgen",  "complete", "compopt", "continue", "coproc", "declare", "dirs",  "disown",  "do",     "done",
    "echo",    "elif",    "else",      "enable",   "esac",    "eval",    "exec",    "exit",     "export", "false",  "fc",      "fg",     "fi",
    "for",     "function", "getopts",  "hash",     "help",    "history", "if",      "in",       "jobs",   "kill",   "let",     "local",  "logout",
    "mapfile", "popd",    "printf",    "pushd",    "pwd",     "read",    "readarray", "readonly", "return", "select", "set",   "shift",  "shopt",
    "source",  "suspend", "test",      "then",     "time",    "times",   "trap",    "true",     "type",   "typeset"};
constexpr std::array<std::string_view, 9> kMoreShellWords = {"ulimit", "umask", "unalias", "unset", "until", "wait", "while", "{", "}"};

// Variables that a shell reads or sets for itself before it runs anything: passing them on unchanged would not be the same.
constexpr std::array<std::string_view, 19> kShellVariables = {"COMP_WORDBREAKS", "EPOCHREALTIME", "EPOCHSECONDS", "HISTCMD",         "IFS",
                                                              "LINENO",          "OPTARG",        "OPTERR",       "OPTIND",          "POSIXLY_CORRECT",
                                                              "POSIX_PEDANTIC",  "PPID",          "PS4",          "RANDOM",          "SECONDS",
                                                              "SHELLOPTS",       "SRANDOM",       "UID",          "EUID"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_plain(unsigned char c) {
  return std::isalnum(c) != 0 || std::string_view("_./,:=@%+-").find(static_cast<char>(c)) != std::string_view::npos;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::optional<Shell> known_shell(const std::string& shell) {
  const std::string_view name = base_name(shell);
  if (name != "sh" && name != "dash" && name != "bash") return std::nullopt;
  char resolved[PATH_MAX];  // what `sh` is differs between systems
  if (realpath(shell.c_str(), resolved) == nullptr || !is_executable(resolved, {})) return std::nullopt;
  const std::string_view real = base_name(resolved);
  if (real == "dash") return Shell::Dash;
  if (real == "bash") return Shell::Bash;
  return std::nullopt;
}

bool is_identifier(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// bash says so on stderr, once for each command, when LC_ALL names no locale.
bool is_known_locale(const char* name) {
  static std::string last_known = "C";
  if (*name == '\0' || last_known == name) return true;
  const locale_t locale = newlocale(LC_ALL_MASK, name, nullptr);
  if (locale == nullptr) return false;
  freelocale(locale);
  last_known = name;
  return true;
}

bool is_same_directory(const std::string& a, const std::string& b) {
  struct stat x, y;
  return stat(a.c_str(), &x) == 0 && stat(b.c_str(), &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// What the scan of the environment found.
struct Seen {
  const char* path = nullptr;  // values, not entries
  const char* pwd = nullptr;
  const char* shell_level = nullptr;
  bool has_ssh_client = false;
};

// Passes on the entry at once, or keeps it for later in `seen`, or drops it. False: the shell is needed.
bool take_entry(Shell shell, std::string_view first_word, const std::string& directory, const char* entry, Seen& seen, std::vector<const char*>& passed) {
  const std::string_view text(entry);
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = text.substr(0, equals);
  const char* value = entry + equals + 1;
  if (!is_identifier(name)) {
    if (shell == Shell::Dash) return true;  // dash drops it
    constexpr std::string_view kFunction = "BASH_FUNC_", kEnd = "%%";
    if (!name.starts_with(kFunction) || !name.ends_with(kEnd) || name.size() < kFunction.size() + kEnd.size()) return false;
    if (name.substr(kFunction.size(), name.size() - kFunction.size() - kEnd.size()) == first_word) return false;
    // bash writes functions anew; only its own way of writing stays as it is.
    if (!std::string_view(value).starts_with("() {  ") || !text.ends_with("\n}")) return false;
    passed.push_back(entry);
    return true;
  }
  if (contains(kShellVariables, name)) return false;
  if (name == "PWD") return seen.pwd = value, true;
  if (name == "PATH") seen.path = value;
  if (shell == Shell::Bash) {
    if (name.starts_with("BASH")) return false;
    if (name == "SHLVL") return seen.shell_level = value, true;
    if (name == "_" || name == "PS1" || name == "PS2") return true;  // bash sets the first itself and unsets the prompts
    if (name == "LC_ALL" && !is_known_locale(value)) return false;
    if (name == "SSH_CLIENT" || name == "SSH2_CLIENT") seen.has_ssh_client = true;
    struct stat info;
    if (name == "OLDPWD" && (stat(seen_from(directory, value).c_str(), &info) != 0 || !S_ISDIR(info.st_mode))) return true;  // bash unsets it
  }
  passed.push_back(entry);
  return true;
}

// The executable that `name` means, or nothing where the shells might find another or have something to say.
std::optional<std::string> find_executable(const std::string& name, const char* path, const std::string& directory) {
  if (name.find('/') != std::string::npos) return is_executable(name, directory) ? std::optional(name) : std::nullopt;
  if (path == nullptr || std::string_view(path).find('%') != std::string_view::npos) return std::nullopt;  // dash gives % in PATH a meaning
  std::string_view rest(path);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part.empty() || part.front() != '/' || part.back() == '/') return std::nullopt;
    std::string candidate(part);
    candidate += '/';
    candidate += name;
    struct stat info;
    if (stat(candidate.c_str(), &info) == 0) return is_executable(candidate, {}) ? std::optional(candidate) : std::nullopt;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::nullopt;
}

// The value bash passes on: it counts itself, then takes that back when it becomes the command.
std::optional<std::string> shell_level(const Seen& seen) {
  const std::string level = seen.shell_level == nullptr ? "0" : seen.shell_level;
  const bool is_number = !level.empty() && level.size() <= 3 && std::all_of(level.begin(), level.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!is_number || (level[0] == '0' && level != "0") || level == "999") return std::nullopt;
  if (level == "0" && seen.has_ssh_client) return std::nullopt;  // bash takes itself for started by sshd and reads ~/.bashrc
  return level;
}

}  // namespace

std::string seen_from(const std::string& directory, const std::string& path) {
  return directory.empty() || path.starts_with('/') ? path : directory + "/" + path;
}

bool is_executable(const std::string& path, const std::string& directory) {
  const std::string seen = seen_from(directory, path);
  struct stat info;
  return stat(seen.c_str(), &info) == 0 && S_ISREG(info.st_mode) && faccessat(AT_FDCWD, seen.c_str(), X_OK, AT_EACCESS) == 0;
}

std::optional<std::vector<std::string>> plain_words(std::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == ' ' || c == '\t') {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back(), in_word = true;
    if (c == '\'') {
      const std::size_t end = line.find('\'', i + 1);
      if (end == std::string_view::npos) return std::nullopt;
      const std::string_view piece = line.substr(i + 1, end - i - 1);
      // The three bytes that cannot be in an argument or that bash uses as marks of its own.
      if (piece.find_first_of(std::string_view("\0\001\177", 3)) != std::string_view::npos) return std::nullopt;
      words.back() += piece;
      i = end;
    } else if (is_plain(static_cast<unsigned char>(c))) {
      words.back() += c;
    } else {
      return std::nullopt;
    }
  }
  if (words.empty() || words[0].empty()) return std::nullopt;
  return words;
}

std::optional<DirectPlan> direct_plan(std::string_view line, const std::string& shell, const std::vector<const char*>& environment,
                                      const std::string& directory) {
  auto words = plain_words(line);
  if (!words) return std::nullopt;
  const std::string& first = words->front();
  if (first.find('=') != std::string::npos || first.front() == '%' || contains(kShellWords, first) || contains(kMoreShellWords, first))
    return std::nullopt;
  const auto kind = known_shell(shell.empty() ? "/bin/sh" : shell);
  if (!kind) return std::nullopt;

  DirectPlan plan;
  Seen seen;
  plan.environment.reserve(environment.size() + 3);
  plan.added.reserve(3);
  for (const char* entry : environment)
    if (!take_entry(*kind, first, directory, entry, seen, plan.environment)) return std::nullopt;
  auto path = find_executable(first, seen.path, directory);
  if (!path) return std::nullopt;
  plan.path = std::move(*path);

  const std::string here = directory.empty() ? "." : directory;
  if (seen.pwd != nullptr && *seen.pwd == '/' && is_same_directory(seen.pwd, here)) {
    plan.added.push_back(std::string("PWD=") + seen.pwd);
  } else {
    char resolved[PATH_MAX];
    if (realpath(here.c_str(), resolved) == nullptr) return std::nullopt;
    plan.added.push_back(std::string("PWD=") + resolved);
  }
  if (*kind == Shell::Bash) {
    const auto level = shell_level(seen);
    if (!level) return std::nullopt;
    plan.added.push_back("SHLVL=" + *level);
    plan.added.push_back("_=" + plan.path);
  }
  for (const std::string& entry : plan.added) plan.environment.push_back(entry.c_str());
  plan.argv = std::move(*words);
  return plan;
}

}  // namespace worker
