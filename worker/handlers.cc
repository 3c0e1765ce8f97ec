#include "worker/handlers.h"

#include <charconv>
#include <exception>
#include <stdexcept>
#include <utility>

#include "worker/typed_handler.h"

namespace worker {

void HandlerRegistry::add(const std::string& name, std::uint32_t version, Handler handler) { handlers_[name] = {version, std::move(handler)}; }

base::Result<std::string> HandlerRegistry::run(const base::Call& call, const CancelToken& cancel) const {
  const auto it = handlers_.find(call.handler);
  if (it == handlers_.end()) {
    std::string known;
    for (const auto& [name, entry] : handlers_) known += (known.empty() ? "" : ", ") + name;
    return base::Error{base::Error::Kind::NotFound, "the job calls handler '" + call.handler + "', this worker has only: " + known};
  }
  const auto& [version, handler] = it->second;
  if (version != call.version) {
    return base::Error{base::Error::Kind::NotFound, "the job calls version " + std::to_string(call.version) + " of handler '" + call.handler +
                                                        "', this worker has version " + std::to_string(version)};
  }
  try {
    return handler(call.arguments, cancel);
  } catch (const std::exception& exception) {
    return base::Error{base::Error::Kind::Io, "handler '" + call.handler + "' threw: " + exception.what()};
  } catch (...) {
    return base::Error{base::Error::Kind::Io, "handler '" + call.handler + "' threw something that is no std::exception"};
  }
}

namespace {

// Seconds as a number or as its text, as `--call sleep` has it.
void sleep_for(const msgpack::object& seconds, const CancelToken& cancel) {
  double value = 0;
  if (seconds.type == msgpack::type::STR) {
    const std::string text = seconds.as<std::string>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) throw std::invalid_argument("'" + text + "' is not a number of seconds");
  } else {
    value = seconds.as<double>();
  }
  if (!(value >= 0 && value < 1e9)) throw std::invalid_argument("not a number of seconds");
  cancel.wait_for(base::Duration(static_cast<std::int64_t>(value * 1e6)));
}

}  // namespace

HandlerRegistry built_in_handlers() {
  HandlerRegistry registry;
  registry.add("echo", 1, [](std::string_view arguments, const CancelToken&) -> base::Result<std::string> { return std::string(arguments); });
  add_handler(registry, "sleep", 1, sleep_for);
  return registry;
}

}  // namespace worker
