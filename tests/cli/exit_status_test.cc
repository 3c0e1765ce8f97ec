#include "cli/exit_status.h"

#include <csignal>

#include <catch2/catch.hpp>

using cli::exit_status;
using Kind = base::Error::Kind;

TEST_CASE("a run's exit status counts its failures up to a hundred", "[exit_status]") {
  CHECK(exit_status(0, false) == 0);
  CHECK(exit_status(1, false) == 1);
  CHECK(exit_status(100, false) == 100);
  CHECK(exit_status(101, false) == 101);
  CHECK(exit_status(1'000'000'000'000, false) == 101);
}

TEST_CASE("a run with cut input does not claim success", "[exit_status]") {
  CHECK(exit_status(0, true) == 104);
  CHECK(exit_status(5, true) == 104);
}

TEST_CASE("each kind of error has the status its meaning asks for", "[exit_status]") {
  CHECK(exit_status(Kind::Usage) == 102);
  CHECK(exit_status(Kind::NotFound) == 102);
  CHECK(exit_status(Kind::Conflict) == 102);
  CHECK(exit_status(Kind::Full) == 103);
  CHECK(exit_status(Kind::Io) == 103);
  CHECK(exit_status(Kind::Corrupt) == 103);
  CHECK(exit_status(Kind::Busy) == 106);
  CHECK(exit_status(Kind::Protocol) == 255);
}

TEST_CASE("signals have the status that shells show", "[exit_status]") {
  CHECK(cli::exit_status_of_signal(SIGINT) == cli::kExitInterrupted);
  CHECK(cli::exit_status_of_signal(SIGTERM) == cli::kExitTerminated);
}
