#include "sink/options_output.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

namespace sink {

void add_keep_output(CLI::App& app, KeepOutput& keep) {
  static const std::map<std::string, KeepOutput> kWords{{"all", KeepOutput::All}, {"failed", KeepOutput::Failed}, {"none", KeepOutput::None}};
  const auto now = std::find_if(kWords.begin(), kWords.end(), [&](const auto& word) { return word.second == keep; });
  app.add_option("--keep-output", keep, "whose outputs the run directory keeps once they are written: all, failed (of failed jobs) or none")
      ->transform(CLI::CheckedTransformer(kWords))->default_str(now->first)->type_name("WHICH");
}

}  // namespace sink
