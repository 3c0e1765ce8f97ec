#include "worker/handlers.h"

#include <catch2/catch.hpp>

#include <stdexcept>

namespace {

TEST_CASE("echo gives back its arguments", "[handlers]") {
  const auto value = worker::built_in_handlers().run({"echo", 1, "\xa2hi"});
  REQUIRE(value);
  CHECK(*value == "\xa2hi");
}

TEST_CASE("an unknown handler is an error that names it and what there is", "[handlers]") {
  const auto value = worker::built_in_handlers().run({"ehco", 1, ""});
  REQUIRE_FALSE(value);
  CHECK(value.error().message.find("'ehco'") != std::string::npos);
  CHECK(value.error().message.find("echo") != std::string::npos);
}

TEST_CASE("an unknown version is an error that names both sides", "[handlers]") {
  const auto value = worker::built_in_handlers().run({"echo", 7, ""});
  REQUIRE_FALSE(value);
  CHECK(value.error().message.find("version 7") != std::string::npos);
  CHECK(value.error().message.find("version 1") != std::string::npos);
}

TEST_CASE("a handler that throws is an error with what it said", "[handlers]") {
  worker::HandlerRegistry registry;
  registry.add("bad", 1, [](std::string_view) -> base::Result<std::string> { throw std::runtime_error("no luck"); });
  const auto value = registry.run({"bad", 1, ""});
  REQUIRE_FALSE(value);
  CHECK(value.error().message.find("no luck") != std::string::npos);
}

}  // namespace
