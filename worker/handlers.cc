#include "worker/handlers.h"

#include <exception>
#include <utility>

namespace worker {

void HandlerRegistry::add(const std::string& name, std::uint32_t version, Handler handler) { handlers_[name] = {version, std::move(handler)}; }

base::Result<std::string> HandlerRegistry::run(const base::Call& call) const {
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
    return handler(call.arguments);
  } catch (const std::exception& exception) {
    return base::Error{base::Error::Kind::Io, "handler '" + call.handler + "' threw: " + exception.what()};
  }
}

HandlerRegistry built_in_handlers() {
  HandlerRegistry registry;
  registry.add("echo", 1, [](std::string_view arguments) -> base::Result<std::string> { return std::string(arguments); });
  return registry;
}

}  // namespace worker
