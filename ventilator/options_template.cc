#include "ventilator/options_template.h"

#include <CLI/CLI.hpp>

#include "cli/exit_status.h"

namespace ventilator {

void add_template(CLI::App& app, ReplacementOptions& options) {
  const auto renamed = [&app](const std::string& names, std::string& value) {
    const std::string was = value;
    app.add_option_function<std::string>(names, [&value, names](const std::string& text) {
      if (text.empty()) throw CLI::ValidationError(names.substr(0, names.find(',')) + ": the replacement string is empty", CLI::ExitCodes::ValidationError);
      value = text;
    }, "write STRING instead of " + was)->type_name("STRING");
  };
  renamed("-I", options.value);
  app.add_option_function<std::string>("-i,--replace", [&options](const std::string& text) { options.value = text.empty() ? "{}" : text; }, "as -I; without STRING {}")
      ->type_name("STRING")->expected(0, 1);
  renamed("--er,--extensionreplace", options.stem);
  renamed("--bnr,--basenamereplace", options.name);
  renamed("--dnr,--dirnamereplace", options.folder);
  renamed("--bner,--basenameextensionreplace", options.name_stem);
  renamed("--seqreplace", options.number);
  renamed("--slotreplace", options.slot);
  app.add_flag("--plus", options.plus, "more replacement strings: {+/} {+.} {..} {/..} {##} {0#} {slot}, and with text of your own {%.gz} {#TEXT} {/TEXT/TEXT} {:-TEXT} {:N} {^a}");
  app.add_option_function<std::string>("--rpl", [&options](const std::string& text) { options.own.push_back(text); },
                                       "a replacement string of your own: STRING, a blank, and what it does to the value: s/EXPRESSION/TEXT/ or $_=\"TEXT\"; may be given again")
      ->type_name("'STRING EDIT'")->trigger_on_parse();
  app.add_flag("-q,--quote", options.quote, "quote the words of the command for the shell, too");
  app.add_flag("--argv", options.argv, "run the command without a shell: each of its words is an argument, as it is");
  app.add_option_function<std::string>("--parens", [](const std::string&) {
    throw CLI::ValidationError("--parens: {= PERL =} is not supported; --plus and --rpl change values without Perl", CLI::ExitCodes::ValidationError);
  }, "")->group("");
  app.add_flag_callback("-U", [] { throw CLI::ValidationError("-U has been retired by GNU parallel: use --er", CLI::ExitCodes::ValidationError); })->group("");
}

std::optional<cli::Leave> check_template(const WorkOptions& work) {
  if (std::string why = Template::check(work); !why.empty()) return cli::Leave{cli::kExitUsage, why + "\n"};
  return std::nullopt;
}

}  // namespace ventilator
