// What the command lines of all programs share: parsing with one-line errors, and the options that several programs have. With options.cc of each program
// the only user of CLI11.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/job.h"
#include "base/result.h"
#include "base/time.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace cli {

// Why parsing ended the program: help was asked for (status 0, text for stdout) or the command line is wrong (status 102, text for stderr).
struct Leave {
  int status;
  std::string text;
};

// Parses argv[1..]. What stands behind the first word that is no option (the command template) goes to `rest`, if given; otherwise such a word is an error.
std::optional<Leave> parse(CLI::App& app, const std::vector<std::string>& arguments, std::vector<std::string>* rest);

// Of an option that is given more than once the last counts, but for those that are made to be.
void take_last(CLI::App& app);

// The option that is written so, `-x` or `--name`; nullptr: none is. CLI11's own search copies the names of all. REQUIRES: `written` begins with '-'.
const CLI::Option* find_option(const CLI::App& app, std::string_view written);

// How many of the words are options and their values: behind them the command begins.
std::size_t options_end(const CLI::App& app, const std::vector<std::string>& arguments);

// An option whose value, a number, may be left out, and what it stands for then.
struct BareOption {
  std::string name, full;
};
// `arguments` with the values that were left out.
std::vector<std::string> with_values(const CLI::App& app, const std::vector<std::string>& arguments, const std::vector<BareOption>& bare);

// The usage line of the help, and its shape: options under the headings of their groups, each text wrapped beside its option.
void set_usage(CLI::App& app, const std::string& usage);

// The options added from here on stand under this heading of the help.
void begin_group(CLI::App& app, const std::string& heading);

// Options whose values are durations, sizes or counts, with errors in the user's words.
CLI::Option* add_duration(CLI::App& app, const std::string& name, base::Duration& value, const std::string& help);
CLI::Option* add_size(CLI::App& app, const std::string& name, std::uint64_t& value, const std::string& help);
CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint32_t& value, std::uint32_t least, std::uint32_t most, const std::string& help);

// An option whose value is one of these words; the one given goes to `take`.
CLI::Option* add_choice(CLI::App& app, const std::string& name, const std::vector<std::string>& words, const std::function<void(std::size_t)>& take,
                        const std::string& help);

// --take-over: `take` is called when it is given.
void add_take_over(CLI::App& app, const std::function<void()>& take);

// What jobs are when they are not commands: --call, --coprocess and --framing, and what is wrong about them beside each other or the words of a command.
struct Work {
  std::optional<std::string> call;  // HANDLER or HANDLER@VERSION
  std::optional<std::string> coprocess;
  std::optional<base::Framing> framing;  // none: line
};
void add_work(CLI::App& app, Work& work);
std::optional<Leave> check_work(const Work& work, const std::vector<std::string>& words);

// --term-seq and --kill-leftovers: how the processes of a command are ended.
void add_ending(CLI::App& app, base::TermSeq& term_seq, bool& kill_leftovers);

// Prints what `leave` says and returns its status.
int leave(const Leave& leave, const std::string& program);
// Prints the error, named after the program, and returns its exit status.
int fail(const base::Error& error, const std::string& program);

}  // namespace cli
