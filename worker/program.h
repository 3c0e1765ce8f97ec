// The worker program, for whoever links the worker library to be a worker with handlers of its own:
//
//   int main(int argc, char** argv) {
//     auto registry = worker::built_in_handlers();
//     worker::add_handler(registry, "square", 1, [](double x) { return x * x; });
//     return worker::run_worker(argc, argv, registry);
//   }
#pragma once

#include "worker/handlers.h"

namespace worker {

// Parses the options of `worker`, runs until the run is complete or the worker is stopped, and returns the exit status. Commands need the keeper program
// beside this one.
int run_worker(int argc, char** argv, const HandlerRegistry& handlers);

}  // namespace worker
