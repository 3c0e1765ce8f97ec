// The option --keep-output, the same wherever a sink is started.
#pragma once

#include "sink/output_writer.h"

namespace CLI {
class App;
}

namespace sink {

void add_keep_output(CLI::App& app, KeepOutput& keep);

}  // namespace sink
