// The handlers of calls that this worker has, by name and version. A call runs in the worker's own process, on the thread of a slot.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/job.h"
#include "base/result.h"

namespace worker {

class HandlerRegistry {
 public:
  // Takes the arguments and returns the result, each one msgpack value. An error is a failed job with its message as the reason.
  using Handler = std::function<base::Result<std::string>(std::string_view arguments)>;

  void add(const std::string& name, std::uint32_t version, Handler handler);
  // A handler or version that is not here is an error that names what was asked for and what there is.
  base::Result<std::string> run(const base::Call& call) const;

 private:
  std::map<std::string, std::pair<std::uint32_t, Handler>> handlers_;
};

// Those every worker has: echo, version 1, gives back its arguments.
HandlerRegistry built_in_handlers();

}  // namespace worker
