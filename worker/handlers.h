// The handlers of calls that a worker has, by name and version. A call runs in the worker's own process, on the thread of a slot; several run at a time, so
// handlers must be safe to be called from several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/job.h"
#include "base/result.h"
#include "worker/cancel_token.h"

namespace worker {

class HandlerRegistry {
 public:
  // Takes the arguments and returns the result, each one msgpack value. An error is a failed job with its message as the reason; so is an exception.
  // See worker/typed_handler.h for handlers with C++ types.
  using Handler = std::function<base::Result<std::string>(std::string_view arguments, const CancelToken& cancel)>;

  // One version of a name; a later one replaces it.
  void add(const std::string& name, std::uint32_t version, Handler handler);
  // A handler or version that is not here is an error that names what was asked for and what there is.
  base::Result<std::string> run(const base::Call& call, const CancelToken& cancel) const;

 private:
  std::map<std::string, std::pair<std::uint32_t, Handler>> handlers_;
};

// Those every worker has, both version 1: `echo` gives back its arguments; `sleep` sleeps for a number of seconds, which may be given as text, and gives nil.
HandlerRegistry built_in_handlers();

}  // namespace worker
