#include "worker/input_store.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

using base::Attempt;
using worker::InputStore;

const Attempt kFirst{1, 1, 1};

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "input_store.XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

base::Command reading(std::uint64_t length) {
  base::Command command{"cat", {}, "", "head,", "", {}};
  command.input = {"/ventilator/inputs/1", 7, length, 9};
  return command;
}

TEST_CASE("a small input goes to the command with the job, behind what it has for stdin", "[input]") {
  Folder folder;
  InputStore store(folder.path);
  store.keep(kFirst, "ab", "");
  store.keep(kFirst, "cd", "");
  base::Command command = reading(4);
  CHECK(store.give(kFirst, command));
  CHECK(command.stdin_bytes == "head,abcd");
  CHECK(command.input.path.empty());
}

TEST_CASE("a large input is a file without a name, which ends with its attempt", "[input]") {
  Folder folder;
  InputStore store(folder.path);
  std::string all;
  for (int i = 0; i < 5; ++i) {
    const std::string part(InputStore::kInMemory / 2 + 1, static_cast<char>('a' + i));
    store.keep(kFirst, part, "");
    all += part;
  }
  CHECK(std::filesystem::is_empty(folder.path));
  base::Command command = reading(all.size());
  CHECK(store.give(kFirst, command));
  CHECK(command.stdin_bytes == "head,");
  CHECK(command.input.offset == 0);
  CHECK(command.input.length == all.size());
  std::stringstream read;
  read << std::ifstream(command.input.path).rdbuf();
  CHECK(read.str() == all);
  store.drop(kFirst);
  CHECK_FALSE(std::filesystem::exists(command.input.path));
}

TEST_CASE("an input with a fault, or that is not whole, is given to no command", "[input]") {
  Folder folder;
  InputStore store(folder.path);
  base::Command command = reading(4);
  store.keep(kFirst, "abc", "");
  CHECK_FALSE(store.give(kFirst, command));
  store.keep(kFirst, "", "it is gone");
  store.keep(kFirst, "d", "");
  const auto given = store.give(kFirst, command);
  REQUIRE_FALSE(given);
  CHECK(given.error().kind == base::Error::Kind::Io);
  CHECK(given.error().message == "it is gone");
  CHECK(command == reading(4));
}

TEST_CASE("where there is no room for an input, that is said with the place", "[input]") {
  Folder folder;
  InputStore store(folder.path / "none");
  const std::string large(InputStore::kInMemory + 1, 'x');
  store.keep(kFirst, large, "");
  base::Command command = reading(large.size());
  const auto given = store.give(kFirst, command);
  REQUIRE_FALSE(given);
  CHECK(given.error().kind == base::Error::Kind::Full);
  CHECK(given.error().message.find("cannot be kept in " + (folder.path / "none").string()) != std::string::npos);
  CHECK(given.error().message.find("TMPDIR") != std::string::npos);
}

TEST_CASE("an input for which room ends in its midst is spoilt, and what was kept of it is given up", "[input]") {
  Folder folder;
  InputStore store(folder.path);
  rlimit before;
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{2 * InputStore::kInMemory, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const std::string part(InputStore::kInMemory, 'x');
  for (int i = 0; i < 3; ++i) store.keep(kFirst, part, "");
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  store.keep(kFirst, part, "");
  base::Command command = reading(4 * part.size());
  const auto given = store.give(kFirst, command);
  REQUIRE_FALSE(given);
  CHECK(given.error().kind == base::Error::Kind::Full);
  CHECK(command == reading(4 * part.size()));
}

TEST_CASE("a command of which nothing came keeps its own input", "[input]") {
  InputStore store;
  base::Command command = reading(4);
  CHECK(store.give(kFirst, command));
  CHECK(command == reading(4));
}

}  // namespace
