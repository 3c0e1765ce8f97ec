#include "pushmill/options_gnu.h"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

using Words = std::vector<std::string>;

namespace {

struct Some {
  CLI::App app;
  std::string text;
  bool flag = false;

  Some() {
    app.add_flag("-k,--keep-order", flag);
    app.add_flag("--keep-run", flag);
    app.add_flag("--dry-run", flag);
    app.add_flag("--link", flag);
    app.add_flag("--resume", flag);
    app.add_flag("--resume-failed", flag);
    app.add_option("-j,--jobs", text);
    app.add_option("-E", text);
    app.add_option("--colsep,-C", text);
    app.add_option("--tagstring", text);
    app.add_option("-l,--max-lines", text);
    app.add_option("--eof,-e", text);
  }

  Words settled(Words words) const {
    const auto leave = pushmill::settle_gnu_options(app, words);
    REQUIRE_FALSE(leave);
    return words;
  }

  std::string refused(Words words) const {
    const auto leave = pushmill::settle_gnu_options(app, words);
    REQUIRE(leave);
    CHECK(leave->status == 102);
    CHECK(std::count(leave->text.begin(), leave->text.end(), '\n') == 1);
    return leave->text.substr(0, leave->text.find(" of GNU parallel is not supported"));
  }
};

}  // namespace

TEST_CASE("options of GNU parallel are known by their beginnings, without hyphens and by their other names", "[options]") {
  const Some some;
  CHECK(some.settled({"--keep", "--dryrun", "--xapply", "echo"}) == Words{"--keep-order", "--dry-run", "--link", "echo"});
  CHECK(some.settled({"--max-procs", "3", "--col-sep=,", "--tag-string", "x"}) == Words{"--jobs", "3", "--colsep=,", "--tagstring", "x"});
  CHECK(some.settled({"--resume", "--dr"}) == Words{"--resume", "--dry-run"});
}

TEST_CASE("a value that looks like an option stays the value of the option before it", "[options]") {
  const Some some;
  CHECK(some.settled({"-j", "-1", "-k", "echo"}) == Words{"-j-1", "-k", "echo"});
  CHECK(some.settled({"-kj", "-1", "echo"}) == Words{"-kj-1", "echo"});
  CHECK(some.settled({"--max-procs", "-1", "echo"}) == Words{"--jobs=-1", "echo"});
  CHECK(some.settled({"-E", "--", "-C", "-", "echo"}) == Words{"-E--", "-C", "-", "echo"});
}

TEST_CASE("a value may be left out where the next word can be none: what it stands for is put in", "[options]") {
  const Some some;
  CHECK(some.settled({"-l", "wc", "-l"}) == Words{"-l1", "wc", "-l"});
  CHECK(some.settled({"-l3", "--max-lines", "--max-lines=2", "wc"}) == Words{"-l3", "--max-lines=1", "--max-lines=2", "wc"});
  CHECK(some.settled({"-kl", "wc"}) == Words{"-kl1", "wc"});
  CHECK(some.settled({"-eSTOP", "-k", "-e", "--eof", "STOP", "-e"}) == Words{"-eSTOP", "-k", "--eof", "STOP"});
  CHECK(some.settled({"-ke", "-k", "--eof", "-ke"}) == Words{"-k", "-k", "-k"});
}

TEST_CASE("the words of the command are left alone", "[options]") {
  const Some some;
  CHECK(some.settled({"-j", "2", "ssh", "-S", "--keep"}) == Words{"-j", "2", "ssh", "-S", "--keep"});
  CHECK(some.settled({"--", "-S"}) == Words{"--", "-S"});
  CHECK(some.settled({"-j2", "-E", "sem", "ssh", "-S"}) == Words{"-j2", "-E", "sem", "ssh", "-S"});
}

TEST_CASE("what there is not is refused under the name that was written", "[options]") {
  const Some some;
  CHECK(some.refused({"--sshlogin", "host", "echo"}) == "--sshlogin");
  CHECK(some.refused({"-k", "--sshlogin=host", "echo"}) == "--sshlogin");
  CHECK(some.refused({"-kS", "host", "echo"}) == "-S");
  CHECK(some.refused({"-j", "2", "--sqlm", "x", "echo"}) == "--sqlm");
  CHECK(some.refused({"--tmux", "echo"}) == "--tmux");
}

TEST_CASE("a word that no program knows, or several, is left to the parser", "[options]") {
  const Some some;
  CHECK(some.settled({"--no-such", "echo"}) == Words{"--no-such", "echo"});
  CHECK(some.settled({"--re", "echo"}) == Words{"--re", "echo"});
  CHECK(some.settled({"-=", "echo"}) == Words{"-=", "echo"});
  CHECK(some.settled({"--=", "echo"}) == Words{"--=", "echo"});
}
