#include "worker/handlers.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>

#include "worker/typed_handler.h"

namespace {

struct Point {
  double x = 0, y = 0;
  MSGPACK_DEFINE(x, y)
};

struct Named {
  std::string name;
  std::optional<Point> at;
  std::map<std::string, std::vector<std::int64_t>> lists;
  MSGPACK_DEFINE_MAP(name, at, lists)
};

// The handler `function`, called with `arguments`.
template <typename F, typename T>
base::Result<std::string> call(F function, const T& arguments) {
  worker::HandlerRegistry registry;
  worker::add_handler(registry, "f", 3, function);
  return registry.run({"f", 3, wire::pack_value(arguments)}, {});
}

template <typename T>
T value_of(const base::Result<std::string>& packed) {
  REQUIRE(packed);
  return msgpack::unpack(packed->data(), packed->size()).get().as<T>();
}

TEST_CASE("echo gives back its arguments", "[handlers]") {
  const auto value = worker::built_in_handlers().run({"echo", 1, "\xa2hi"}, {});
  REQUIRE(value);
  CHECK(*value == "\xa2hi");
}

TEST_CASE("an unknown handler is an error that names it and what there is", "[handlers]") {
  const auto value = worker::built_in_handlers().run({"ehco", 1, ""}, {});
  REQUIRE_FALSE(value);
  CHECK(value.error().message.find("'ehco'") != std::string::npos);
  CHECK(value.error().message.find("echo") != std::string::npos);
}

TEST_CASE("an unknown version is an error that names both sides", "[handlers]") {
  const auto value = worker::built_in_handlers().run({"echo", 7, ""}, {});
  REQUIRE_FALSE(value);
  CHECK(value.error().message.find("version 7") != std::string::npos);
  CHECK(value.error().message.find("version 1") != std::string::npos);
}

TEST_CASE("a handler that throws is an error with what it said", "[handlers]") {
  worker::HandlerRegistry registry;
  registry.add("bad", 1, [](std::string_view, const worker::CancelToken&) -> base::Result<std::string> { throw std::runtime_error("no luck"); });
  const auto value = registry.run({"bad", 1, ""}, {});
  REQUIRE_FALSE(value);
  CHECK(value.error().message.find("no luck") != std::string::npos);
}

TEST_CASE("one parameter is the argument, several are an array of as many, none takes anything", "[handlers]") {
  CHECK(value_of<int>(call([](int x) { return x + 1; }, 41)) == 42);
  CHECK(value_of<std::string>(call([](const std::string& text, int times) { return text + std::to_string(times); }, std::tuple(std::string("a"), 3))) == "a3");
  CHECK(value_of<bool>(call([] { return true; }, msgpack::type::nil_t())));
  CHECK(*call([](const std::string&) {}, std::string("x")) == "\xc0");
}

TEST_CASE("vectors, maps, optionals and structs come and go as they are", "[handlers]") {
  const Named given{"n", Point{1, -0.0}, {{"a", {1, INT64_MIN, INT64_MAX}}, {"b", {}}}};
  const auto back = value_of<Named>(call([](const Named& named) { return named; }, given));
  CHECK(back.name == "n");
  CHECK(back.at->x == 1);
  CHECK(std::signbit(back.at->y));
  CHECK(back.lists == given.lists);
  CHECK_FALSE(value_of<Named>(call([](Named named) { return named.at.reset(), named; }, given)).at.has_value());
  CHECK(value_of<std::vector<Point>>(call([](const std::vector<Point>& path) { return path; }, std::vector<Point>(3))).size() == 3);
}

TEST_CASE("a number with a fraction of nothing stays a number with a fraction", "[handlers]") {
  CHECK(*call([] { return 1.0; }, 0) == std::string("\xcb\x3f\xf0\0\0\0\0\0\0", 9));
  CHECK(*call([] { return std::numeric_limits<double>::quiet_NaN(); }, 0) == std::string("\xcb\x7f\xf8\0\0\0\0\0\0", 9));
}

TEST_CASE("arguments of other types are an error that names both sides", "[handlers]") {
  const auto message = [](const base::Result<std::string>& result) { return result ? "it went well" : result.error().message; };
  CHECK(message(call([](int) {}, std::string("x"))) == "handler 'f' version 3 takes an integer, the job gives text");
  CHECK(message(call([](unsigned) {}, -1)) == "handler 'f' version 3 takes an integer from 0, the job gives a negative integer");
  CHECK(message(call([](const std::vector<std::int8_t>&) {}, std::vector{1, 300})) == "handler 'f' version 3 takes an array of (an integer), the job gives an array of 2 (an integer, an integer)");
  CHECK(message(call([](std::string, double) {}, std::tuple(std::string("a")))) == "handler 'f' version 3 takes an array of 2 (text, a number), the job gives an array of 1 (text)");
  CHECK(message(call([](const std::map<std::string, bool>&) {}, 7)) == "handler 'f' version 3 takes a map of (text) to (a bool), the job gives an integer");
  CHECK(message(call([](std::optional<Point>) {}, true)) == "handler 'f' version 3 takes a struct or nil, the job gives a bool");
  worker::HandlerRegistry registry;
  worker::add_handler(registry, "f", 1, [](int) {});
  for (const char* bad : {"", "\xc1", "\x01\x01", "\xdd\xff\xff\xff\xff"}) CHECK(message(registry.run({"f", 1, bad}, {})) == "not one msgpack value within the limits");
  CHECK_FALSE(registry.run({"f", 1, std::string(40, '\x91') + "\x01"}, {}));
}

TEST_CASE("a handler may look whether it is still wanted", "[handlers]") {
  worker::CancelToken cancel;
  worker::HandlerRegistry registry = worker::built_in_handlers();
  worker::add_handler(registry, "wanted", 1, [](int, const worker::CancelToken& token) { return !token.is_cancelled(); });
  CHECK(*registry.run({"wanted", 1, "\x01"}, cancel) == "\xc3");
  cancel.cancel();
  CHECK(*registry.run({"wanted", 1, "\x01"}, cancel) == "\xc2");
  CHECK(*registry.run({"sleep", 1, "\xa4" "1000"}, cancel) == "\xc0");
  CHECK_FALSE(registry.run({"sleep", 1, "\xa2" "1x"}, cancel));
  CHECK_FALSE(registry.run({"sleep", 1, "\xff"}, cancel));
}

}  // namespace
