// Handlers as C++ functions:
//
//   struct Point { double x = 0, y = 0; MSGPACK_DEFINE(x, y) };
//   double length(const std::vector<Point>& path);
//   worker::add_handler(registry, "length", 1, length);
//
// Parameters and result travel as msgpack: wire/typed_value.h says which types there are and what becomes of them.
// One parameter is the argument itself; several are an array of as many; none is whatever comes. A last parameter `const worker::CancelToken&` is not an argument. A
// result of void is nil; a parameter `const msgpack::object&` takes any value. Values are trees: share by id, and let each side look it up.
//
// Arguments of other types are a failed job whose reason names both sides. A handler throws to fail its job.
#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "wire/typed_value.h"
#include "worker/handlers.h"

namespace worker {

namespace detail {

template <typename... P>
struct Parameters {};
template <typename F>
struct Signature : Signature<decltype(&F::operator())> {};
template <typename R, typename... P>
struct Signature<R (*)(P...)> { using Result = R; using List = Parameters<P...>; };
template <typename R, typename C, typename... P>
struct Signature<R (C::*)(P...) const> { using Result = R; using List = Parameters<P...>; };
template <typename R, typename C, typename... P>
struct Signature<R (C::*)(P...)> { using Result = R; using List = Parameters<P...>; };

template <typename P>
inline constexpr bool kIsToken = std::is_same_v<std::remove_cvref_t<P>, CancelToken>;

// The arguments among the parameters, as a tuple of values.
template <typename List>
struct Arguments;
template <typename... P>
struct Arguments<Parameters<P...>> {
  using Tuple = decltype(std::tuple_cat(std::conditional_t<kIsToken<P>, std::tuple<>, std::tuple<std::remove_cvref_t<P>>>()...));
  static constexpr bool kWantsToken = (kIsToken<P> || ...);
};

template <typename Tuple>
std::string wanted() {
  if constexpr (std::tuple_size_v<Tuple> == 1) return wire::TypeName<std::tuple_element_t<0, Tuple>>::text();
  else return wire::TypeName<Tuple>::text();
}

template <typename Tuple>
Tuple convert(const msgpack::object& value) {
  if constexpr (std::tuple_size_v<Tuple> == 0) {
    return {};
  } else if constexpr (std::tuple_size_v<Tuple> == 1) {
    return {value.as<std::tuple_element_t<0, Tuple>>()};
  } else {
    if (value.type != msgpack::type::ARRAY || value.via.array.size != std::tuple_size_v<Tuple>) throw msgpack::type_error();
    return value.as<Tuple>();
  }
}

}  // namespace detail

template <typename F>
void add_handler(HandlerRegistry& registry, const std::string& name, std::uint32_t version, F function) {
  using Signature = detail::Signature<std::decay_t<F>>;
  using Arguments = detail::Arguments<typename Signature::List>;
  using Tuple = typename Arguments::Tuple;
  registry.add(name, version, [function = std::move(function), name, version](std::string_view given, const CancelToken& cancel) -> base::Result<std::string> {
    const auto value = wire::unpack_value(given);
    if (!value) return value.error();
    Tuple arguments;
    try {
      arguments = detail::convert<Tuple>(value->get());
    } catch (const msgpack::type_error&) {
      return base::Error{base::Error::Kind::Usage, "handler '" + name + "' version " + std::to_string(version) + " takes " + detail::wanted<Tuple>() +
                                                       ", the job gives " + wire::describe_value(value->get())};
    }
    const auto call = [&]() -> decltype(auto) {
      return std::apply([&](auto&... argument) -> decltype(auto) {
        if constexpr (Arguments::kWantsToken) return function(argument..., cancel);
        else return function(argument...);
      }, arguments);
    };
    if constexpr (std::is_void_v<typename Signature::Result>) {
      call();
      return wire::pack_value(msgpack::type::nil_t());
    } else {
      return wire::pack_value(call());
    }
  });
}

}  // namespace worker
