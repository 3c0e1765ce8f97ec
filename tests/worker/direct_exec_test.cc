// Which shell lines run without their shell, and that nobody can tell: every case is compared with what the real shell does.
#include "worker/direct_exec.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

using Entries = std::vector<std::string>;

std::vector<const char*> pointers(const Entries& entries) {
  std::vector<const char*> found;
  for (const std::string& entry : entries) found.push_back(entry.c_str());
  return found;
}

// Everything the program writes to both its outputs, its lines sorted (each shell has its own order of variables), and its wait status.
std::string run(const std::string& path, const Entries& argv, const std::vector<const char*>& environment, const std::string& directory) {
  int out[2];
  REQUIRE(pipe(out) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], 1);
    dup2(out[1], 2);
    close(out[0]);
    close(out[1]);
    close(0);
    open("/dev/null", O_RDONLY);
    if (!directory.empty() && chdir(directory.c_str()) != 0) _exit(99);
    std::vector<char*> words, entries;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    for (const char* entry : environment) entries.push_back(const_cast<char*>(entry));
    words.push_back(nullptr);
    entries.push_back(nullptr);
    execve(path.c_str(), words.data(), entries.data());
    _exit(98);
  }
  close(out[1]);
  std::string text;
  char chunk[4096];
  for (ssize_t n; (n = read(out[0], chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<std::size_t>(n));
  close(out[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  text = "status " + std::to_string(status) + "\n";
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

struct Case {
  std::string line = "/usr/bin/env";
  Entries environment{"PATH=/usr/bin:/bin", "HOME=/root"};
  std::string directory = "/tmp";
};

// Whether the line goes direct; if it does, that it gives what the shell gives.
bool goes_direct(const std::string& shell, const Case& c) {
  const auto environment = pointers(c.environment);
  const auto plan = worker::direct_plan(c.line, shell, environment, c.directory);
  if (!plan) return false;
  INFO(shell << " -c " << c.line);
  CHECK(run(plan->path, plan->argv, plan->environment, c.directory) == run(shell, {shell, "-c", c.line}, environment, c.directory));
  return true;
}

// A directory with `sh` linked to bash, for systems where that is so, and some programs.
struct Place {
  Place() {
    char name[] = "/tmp/pushmill-direct-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
    std::filesystem::create_directory(path + "/bin");
    std::filesystem::create_symlink("/bin/bash", path + "/sh");
  }
  ~Place() { std::filesystem::remove_all(path); }
  void file(const std::string& name, const std::string& text, mode_t mode) const {
    std::ofstream(path + "/" + name) << text;
    REQUIRE(chmod((path + "/" + name).c_str(), mode) == 0);
  }
  std::vector<std::string> shells() const { return {"/bin/sh", "/bin/dash", "/bin/bash", path + "/sh"}; }
  std::string path;
};

}  // namespace

TEST_CASE("plain words and single quotes are split, anything else is left to the shell") {
  using Words = std::vector<std::string>;
  CHECK(worker::plain_words("a b") == Words{"a", "b"});
  CHECK(worker::plain_words("  a\t 'b c'd''e '' ") == Words{"a", "b cde", ""});
  CHECK(worker::plain_words("x 'a\nb' '$HOME' '*' '\"' '\xff'") == Words{"x", "a\nb", "$HOME", "*", "\"", "\xff"});
  CHECK(worker::plain_words("gzip -9 a_b/c.d,e:f=g@h%i+j-k") == Words{"gzip", "-9", "a_b/c.d,e:f=g@h%i+j-k"});
  for (const char* line : {"", " ", "a;b", "a|b", "a&", "a>b", "a<b", "a $b", "a `b`", "a \"b\"", "a b\\ c", "a *", "a ?", "a [b]", "a ~", "a {b,c}", "a #b", "! a", "a\nb",
                           "a 'b", "(a)", "a ^b", "a \xff", "a '\x01'", "a '\x7f'", "'' a", "a\rb"})
    CHECK_FALSE(worker::plain_words(line));
}

TEST_CASE("a program by name or path runs without any of the known shells") {
  const Place place;
  for (const std::string& shell : place.shells()) {
    CHECK(goes_direct(shell, {}));
    CHECK(goes_direct(shell, {.line = "env"}));
    CHECK(goes_direct(shell, {.line = "ls -d '/usr/bin' /no-such-file"}));
    CHECK(goes_direct(shell, {.line = "expr 1 = 2"}));
    CHECK(goes_direct(shell, {.line = "cat /proc/self/cmdline /proc/self/comm"}));
    CHECK(goes_direct(shell, {.line = "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status"}));
  }
}

TEST_CASE("other shells are never replaced") {
  const Place place;
  place.file("zsh", "#!/bin/sh\n", 0755);
  place.file("dash", "#!/bin/sh\n", 0644);
  CHECK_FALSE(goes_direct(place.path + "/zsh", {}));
  CHECK_FALSE(goes_direct(place.path + "/dash", {}));
  CHECK_FALSE(goes_direct("/no/such/sh", {}));
}

TEST_CASE("the environment is what the shell would pass on") {
  const Place place;
  const std::vector<Entries> environments = {
      {},
      {"PWD=/tmp"},
      {"PWD=/nowhere", "OLDPWD=/nowhere"},
      {"PWD=tmp", "OLDPWD=/usr"},
      {"PWD=/tmp/../tmp", "OLDPWD=/etc/passwd"},
      {"PWD=/tmp/", "OLDPWD=."},
      {"SHLVL=1", "_=/usr/bin/something"},
      {"SHLVL=12", "PS1=$ ", "PS2=> ", "PS3=x"},
      {"SHLVL=0"},
      {"SHLVL=", "A="},
      {"SHLVL=-3"},
      {"SHLVL=998"},
      {"SHLVL=999"},
      {"SHLVL=01"},
      {"SHLVL=text"},
      {"LC_ALL=C.UTF-8", "LANG=xx_YY"},
      {"LC_ALL=xx_YY.UTF-8"},
      {"LC_ALL="},
      {"SHLVL=1", "SSH_CLIENT=1.2.3.4 5 6"},
      {"SSH_CLIENT=1.2.3.4 5 6", "HOME=/tmp"},
      {"odd.name=1", "1x=2", "A=1"},
      {"noequals", "A=1"},
      {"SHLVL=1", "BASH_FUNC_f%%=() {  echo hi\n}"},
      {"SHLVL=1", "BASH_FUNC_f%%=() { echo hi; }"},
      {"BASH_FUNC_env%%=() {  echo not env\n}"},
      {"ENV=/nowhere", "CDPATH=/usr", "TERM=dumb", "COLUMNS=10", "LINES=5", "MAIL=/x", "TMOUT=3", "HISTFILE=/x", "GLOBIGNORE=*"},
      {"BASH_ENV=/nowhere"},
      {"SHELLOPTS=xtrace"},
      {"BASHOPTS=extglob"},
      {"POSIXLY_CORRECT=1"},
      {"IFS=x"},
      {"PS4=x"},
      {"OPTIND=4"},
      {"PPID=4"},
      {"RANDOM=4"},
      {"LINENO=4"},
      {"UID=4"},
      {"BASH=x"},
      {"BASH_XTRACEFD=1"},
      {"BASH_COMPAT=99"},
      {"HOSTNAME=x", "HOSTTYPE=x", "MACHTYPE=x", "OSTYPE=x", "SHELL=/bin/false", "LOGNAME=x", "USER=y", "FUNCNAME=q", "DIRSTACK=q", "GROUPS=q", "PIPESTATUS=q"}};
  std::size_t direct = 0;
  for (const std::string& shell : place.shells()) {
    for (const Entries& given : environments) {
      for (const char* line : {"/usr/bin/env", "env"}) {
        Case c{.line = line, .environment = given};
        c.environment.push_back("PATH=/usr/bin:/bin");
        INFO((given.empty() ? "" : given[0]));
        if (goes_direct(shell, c)) ++direct;
      }
    }
  }
  CHECK(direct > 160);
}

TEST_CASE("each variable that bash sets for itself comes out as bash passes it on, or bash is run") {
  const Place place;
  const auto environment = pointers({"PATH=/usr/bin:/bin"});
  std::istringstream names(run("/bin/bash", {"bash", "-c", "compgen -v"}, environment, "/"));
  for (std::string name; names >> name;) {
    if (name == "status" || std::isdigit(static_cast<unsigned char>(name[0])) != 0 || name == "PATH") continue;
    for (const std::string& shell : place.shells())
      for (const char* value : {"7", "/tmp", "junk"}) goes_direct(shell, {.environment = {"PATH=/usr/bin:/bin", name + "=" + value}});
  }
}

TEST_CASE("functions that bash exported are passed on as bash writes them") {
  const std::string lines = run("/bin/bash",
                                {"bash", "-c",
                                 "f() { for i in a 'b c'; do if [ $i = a ]; then echo \"$i\" | cat; else case x in x|y) echo $((1+2));; esac; fi; done; }; "
                                 "export -f f; exec env"},
                                pointers({"PATH=/usr/bin:/bin"}), "/");
  CHECK_THAT(lines, Catch::Contains("BASH_FUNC_f%%=() {  for i in a"));
  // The same through the real thing: the value as the environment holds it.
  const std::string value = "BASH_FUNC_f%%=() {  for i in a 'b c';\n do\n if [ $i = a ]; then\n echo \"$i\" | cat;\n fi;\n done\n}";
  CHECK(goes_direct("/bin/bash", {.environment = {"PATH=/usr/bin:/bin", "SHLVL=1", value}}));
  CHECK_FALSE(goes_direct("/bin/bash", {.line = "f", .environment = {"PATH=/usr/bin:/bin", "SHLVL=1", value}}));
}

TEST_CASE("builtins, keywords, assignments and job specs are left to the shell") {
  const Place place;
  for (const std::string& shell : place.shells())
    for (const char* line : {"echo a", "true", "test a", ": a", ". a", "time ls", "if a", "exec env", "cd /", "A=1 env", "A+=1", "%1", "kill 1", "printf a", "'echo' a"})
      CHECK_FALSE(worker::direct_plan(line, shell, pointers({"PATH=/usr/bin:/bin"}), "/tmp"));
}

TEST_CASE("every builtin and keyword of bash is known") {
  std::istringstream words(run("/bin/bash", {"bash", "-c", "compgen -b; compgen -k"}, pointers({"PATH=/usr/bin:/bin"}), "/"));
  const Place place;
  std::string word;
  words >> word >> word;  // the status
  int count = 0;
  while (words >> word) {
    if (!worker::plain_words(word)) continue;
    place.file("bin/" + word, "#!/bin/sh\n", 0755);
    CHECK_FALSE(worker::direct_plan(word, "/bin/bash", pointers({"PATH=" + place.path + "/bin"}), "/tmp"));
    ++count;
  }
  CHECK(count > 60);
}

TEST_CASE("what is not a plain executable file is left to the shell") {
  const Place place;
  place.file("bin/denied", "#!/bin/sh\n", 0644);
  place.file("bin/there", "#!/bin/sh\necho $0 $1\n", 0755);
  std::filesystem::create_directory(place.path + "/bin/folder");
  const std::string path = "PATH=" + place.path + "/bin:/usr/bin";
  for (const std::string& shell : place.shells()) {
    for (const char* line : {"denied", "folder", "missing", "bin/denied", "bin/folder", "./missing", "/no/such"})
      CHECK_FALSE(goes_direct(shell, {.line = line, .environment = {path}, .directory = place.path}));
    CHECK(goes_direct(shell, {.line = "there a", .environment = {path}, .directory = place.path}));
    CHECK(goes_direct(shell, {.line = "bin/there b", .environment = {path}, .directory = place.path}));
    CHECK(goes_direct(shell, {.line = place.path + "/bin/there c", .environment = {}, .directory = ""}));
    for (const char* odd : {"PATH=bin", "PATH=", "PATH=:/usr/bin", "PATH=~/bin:/usr/bin", "PATH=/a%b:/usr/bin"})
      CHECK_FALSE(goes_direct(shell, {.line = "env", .environment = {odd}, .directory = place.path}));
    CHECK_FALSE(goes_direct(shell, {.line = "env", .environment = {}}));
  }
}
