// One example of each message with every field set to a value of its own, and ways to treat the three directions alike.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "wire/codec.h"

namespace examples {

using AnyMessage = std::variant<wire::ToSink, wire::ToVentilator, wire::ToWorker>;

struct Example {
  std::string name;
  AnyMessage message;
};

base::RunId run();
std::vector<Example> messages();
std::vector<std::pair<std::string, base::JobSpec>> specs();

// The short session that PROTOCOL.md shows: a worker comes, runs one job and leaves.
std::vector<std::pair<std::string, wire::Frame>> session();

std::string hex(std::string_view bytes);
std::string unhex(std::string_view digits);

wire::Frame encoded(const AnyMessage& message);
// Decodes as a message of the same direction as `like`.
base::Result<AnyMessage> decoded(std::string_view frame, const AnyMessage& like, const base::RunId& expected);

}  // namespace examples
