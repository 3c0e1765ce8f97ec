#include "pushmill/options_gnu.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>

#include "cli/exit_status.h"

namespace pushmill {

namespace {

constexpr std::string_view kMachines = "start `pushmill worker` on the other machines (README: On many machines)";
constexpr std::string_view kFiles = "a worker on another machine sees the files of that machine: share a file system, or copy in the command";
constexpr std::string_view kPerl = "there is no Perl here: compute in the command";
constexpr std::string_view kInCommand = "write it in the command, where the shell has it";
constexpr std::string_view kStored = "outputs are kept in the run directory, as they are";
constexpr std::string_view kSplit = "split the input by awk before";
constexpr std::string_view kSemaphore = "use flock(1)";
constexpr std::string_view kDatabase = "the run directory is a database: `pushmill sql`, `pushmill log --json`";
constexpr std::string_view kProcessors = "use nproc(1) or lscpu(1)";
constexpr std::string_view kColour = "`pushmill log --failed` tells what failed";

// An option of GNU parallel: its names, the short ones too; what to do instead, where it is not among ours; and, where its value may be left out, what stands
// for that.
struct GnuOption {
  std::string_view names;
  std::string_view instead = {};
  std::string_view omitted = {};
};
constexpr std::string_view kWithout = " ";  // the option, left out itself
constexpr GnuOption kOptions[] = {
    // Where arguments come from.
    {"arg-file a"},
    {"arg-sep"},
    {"arg-file-sep"},
    {"null 0"},
    {"delimiter d"},
    {"col-sep C"},
    {"csv"},
    {"header"},
    {"trim"},
    {"no-run-if-empty r"},
    {"E"},
    {"eof e", "write -E WORD", kWithout},
    {"shuf"},
    {"skip-first-line"},
    {"link xapply"},
    {"filter", kPerl},
    {"max-args n"},
    {"max-replace-args N"},
    {"L"},
    {"max-lines l", "write -L N", "1"},
    {"max-chars s"},
    {"m"},
    {"X"},
    {"xargs"},
    {"exit x"},
    {"show-limits", "use `getconf ARG_MAX`"},
    {"max-line-length-allowed", "use `getconf ARG_MAX`"},
    // Replacement strings.
    {"I"},
    {"replace i", "write -I WORD", "{}"},
    {"U", "use --er"},
    {"extensionreplace er"},
    {"basenamereplace bnr"},
    {"dirnamereplace dnr"},
    {"basenameextensionreplace bner"},
    {"seqreplace"},
    {"slotreplace"},
    {"plus"},
    {"rpl"},
    {"parens", kPerl},
    {"quote q"},
    {"shell-quote", "use `printf '%q\\n' WORD` of bash"},
    {"template tmpl", kInCommand},
    // Outputs.
    {"group"},
    {"g"},
    {"ungroup u"},
    {"line-buffer line-buffered lb"},
    {"keep-order k"},
    {"no-keep-order no-k nok"},
    {"tag"},
    {"tag-string"},
    {"color colour", kColour},
    {"color-failed colour-failed color-fail colour-fail cf", kColour},
    {"ctag", "use --tag"},
    {"ctag-string", "use --tagstring"},
    {"latest-line ll", "use --line-buffer, or `pushmill status`"},
    {"results result res"},
    {"files output-as-files"},
    {"joblog jl"},
    {"verbose t"},
    {"v"},
    {"dry-run dr"},
    {"silent"},
    {"compress", kStored},
    {"compress-program use-compress-program", kStored},
    {"decompress-program use-decompress-program", kStored},
    {"tmpdir tempdir"},
    {"tmux", "use --line-buffer, or `pushmill status`"},
    {"tmux-pane", "use --line-buffer, or `pushmill status`"},
    {"interactive p", "look with --dry-run first"},
    {"open-tty o", "jobs have no terminal; `pushmill debug JOB` runs one on it"},
    {"tty T", "jobs have no terminal; `pushmill debug JOB` runs one on it"},
    // The input as a stream.
    {"pipe spreadstdin"},
    {"pipe-part"},
    {"block block-size"},
    {"block-timeout bt", "blocks are full or the last: use -N for input that comes slowly"},
    {"recstart"},
    {"recend"},
    {"regexp regex"},
    {"remove-rec-sep rrs"},
    {"round-robin round"},
    {"cat"},
    {"fifo"},
    {"tee"},
    {"bin", kSplit},
    {"shard", kSplit},
    {"group-by", kSplit},
    // How many, when, how often.
    {"jobs max-procs j P"},
    {"delay"},
    {"load"},
    {"noswap"},
    {"memfree"},
    {"memsuspend", "use --memfree"},
    {"limit", "use --load or --memfree"},
    {"nice"},
    {"halt halt-on-error"},
    {"timeout"},
    {"retries"},
    {"term-seq"},
    {"resume"},
    {"resume-failed"},
    {"retry-failed"},
    {"total-jobs total", "the number of jobs is known when the input has been read"},
    {"bar"},
    {"eta"},
    {"progress"},
    {"use-cores-instead-of-threads", "write -j with a number"},
    {"use-sockets-instead-of-threads", "write -j with a number"},
    {"use-cpus-instead-of-cores", "write -j with a number"},
    {"number-of-cpus", kProcessors},
    {"number-of-cores", kProcessors},
    {"number-of-sockets", kProcessors},
    {"number-of-threads", kProcessors},
    // The surroundings of a job.
    {"work-dir wd"},
    {"W"},
    {"env"},
    {"record-env", "`run` gives its whole environment to its jobs"},
    {"session", "`run` gives its whole environment to its jobs"},
    {"process-slot-var", "the variable is PARALLEL_JOBSLOT"},
    {"embed", "the script needs pushmill installed"},
    {"shebang hashbang", "begin a script of commands with #!/bin/sh and `pushmill run <<END`"},
    {"shebang-wrap", "begin a script of commands with #!/bin/sh and `pushmill run <<END`"},
    {"Y", "begin a script of commands with #!/bin/sh and `pushmill run <<END`"},
    {"shell-completion", "it is installed with pushmill, for bash and zsh"},
    {"profile J", "keep the options in a shell alias, or in the variable PUSHMILL"},
    {"plain"},
    {"gnu"},
    {"will-cite nn no-notice"},
    {"help h"},
    {"version V", "use `pushmill --version`"},
    {"min-version", "use `pushmill --version`"},
    {"debug D", "use `pushmill why JOB`"},
    {"bug", "use `pushmill why JOB`"},
    {"tollef"},
    {"ctrl-c"},
    {"no-ctrl-c", "^C stops the run; it can be continued with `pushmill resume`"},
    // Other machines.
    {"sshlogin S", kMachines},
    {"sshloginfile slf", kMachines},
    {"ssh", kMachines},
    {"ssh-delay", kMachines},
    {"controlmaster M", kMachines},
    {"filter-hosts filter-host", kMachines},
    {"hostgroups hostgroup hostgrp hgrp", kMachines},
    {"onall", kMachines},
    {"nonall", kMachines},
    {"transfer", kFiles},
    {"transfer-file transfer-files tf", kFiles},
    {"return", kFiles},
    {"cleanup", kFiles},
    {"trc", kFiles},
    {"basefile bf B", kFiles},
    {"rsync-opts", kFiles},
    {"sql", kDatabase},
    {"sql-master", kDatabase},
    {"sql-worker", kDatabase},
    {"sql-and-worker", kDatabase},
    // sem.
    {"semaphore", kSemaphore},
    {"semaphore-name id", kSemaphore},
    {"semaphore-timeout st", kSemaphore},
    {"fg", kSemaphore},
    {"bg", kSemaphore},
    {"wait", kSemaphore},
};

bool is_number(std::string_view word) { return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos; }

std::string dashed(std::string_view name) { return (name.size() == 1 ? "-" : "--") + std::string(name); }

bool is_hyphen(char c) { return c == '-' || c == '_'; }

std::string without_hyphens(std::string_view name) {
  std::string letters;
  std::remove_copy_if(name.begin(), name.end(), std::back_inserter(letters), is_hyphen);
  return letters;
}

enum class Likeness { Other, Longer, Same };
// Same: `name` is `letters`, its hyphens aside; Longer: it begins so. REQUIRES: `letters` has no hyphens, and is not empty.
Likeness likeness(std::string_view name, std::string_view letters) {
  std::size_t at = 0;
  for (const char c : name) {
    if (is_hyphen(c)) continue;
    if (at == letters.size()) return Likeness::Longer;
    if (c != letters[at++]) return Likeness::Other;
  }
  return at == letters.size() ? Likeness::Same : Likeness::Other;
}

template <typename Act>
void for_each_name(std::string_view names, const Act& act) {
  for (std::size_t at = 0; at < names.size();) {
    const std::size_t end = std::min(names.find(' ', at), names.size());
    act(names.substr(at, end - at));
    at = end + 1;
  }
}

// The option of this name; or else the only one that begins so. Hyphens within do not count, as long names are written with and without.
const GnuOption* find(std::string_view written) {
  const std::string letters = without_hyphens(written);
  if (letters.empty()) return nullptr;
  const GnuOption *exact = nullptr, *only = nullptr;
  int count = 0;
  for (const GnuOption& option : kOptions) {
    bool begins_so = false;
    for_each_name(option.names, [&](std::string_view name) {
      if ((name.size() == 1) != (written.size() == 1)) return;
      const Likeness found = likeness(name, letters);
      if (found == Likeness::Same) exact = &option;
      begins_so |= name.size() > 1 && found != Likeness::Other;
    });
    if (begins_so) only = &option, ++count;
  }
  return exact != nullptr ? exact : count == 1 ? only : nullptr;
}

struct Walk {
  const CLI::App& app;
  std::vector<std::string>& arguments;
  std::size_t at = 0;
  std::optional<cli::Leave> leave;

  const CLI::Option* ours(std::string_view name) const { return cli::find_option(app, dashed(name)); }

  void refuse(std::string_view written) {
    const GnuOption* option = find(written);
    if (option == nullptr) return;
    const std::string instead = option->instead.empty() ? "" : ": " + std::string(option->instead);
    leave = cli::Leave{cli::kExitUsage, dashed(written) + " of GNU parallel is not supported" + instead + "\n"};
  }

  // The name that our parser has for what is written so; empty: none.
  std::string known_as(std::string_view written) const {
    if (ours(written) != nullptr) return std::string(written);
    std::string known;
    if (const GnuOption* option = find(written)) {
      for_each_name(option->names, [&](std::string_view name) {
        for (const std::string& spelling : {std::string(name), without_hyphens(name)}) {
          if (known.empty() && ours(spelling) != nullptr) known = spelling;
        }
      });
    }
    return known;
  }

  // Whether the value of this option is left out, for the next word can be none: an option, or no number where it is one. What it stands for is put in.
  bool is_left_out(std::string_view name, std::string& word, std::string_view joint) {
    const GnuOption* option = find(name);
    if (option == nullptr || option->omitted.empty()) return false;
    if (at + 1 < arguments.size() && (is_number(option->omitted) ? is_number(arguments[at + 1]) : !arguments[at + 1].starts_with('-'))) return false;
    if (option->omitted != kWithout) {
      word.append(joint).append(option->omitted);
    } else if (word[1] != '-' && word.size() > 2) {
      word.pop_back();  // those before it stay
    } else {
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(at));
      --at;
    }
    return true;
  }

  // Steps over the value that is the next word. One that looks like an option is joined with the name, so that the parser takes it for what it is.
  void take_value(const CLI::Option& option, std::string& word, std::string_view joint) {
    if (option.get_items_expected_max() == 0 || option.get_items_expected_min() == 0 || at + 1 >= arguments.size()) return;
    const std::string& value = arguments[at + 1];
    if (value.size() > 1 && value[0] == '-') {
      word.append(joint).append(value);
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    } else {
      ++at;
    }
  }

  void long_option() {
    std::string& word = arguments[at];
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string written = word.substr(2, equals - 2), known = known_as(written);
    if (known.empty()) return refuse(written);
    const bool has_value = equals < word.size();
    word = dashed(known) + word.substr(equals);
    const std::string_view joint = known.size() == 1 ? "" : "=";
    if (!has_value && !is_left_out(written, word, joint)) take_value(*ours(known), word, joint);
  }

  // -kj4: flags, and at the end perhaps one that takes the rest, or the next word.
  void short_options() {
    for (std::size_t i = 1; i < arguments[at].size(); ++i) {
      const std::string_view name = std::string_view(arguments[at]).substr(i, 1);
      const CLI::Option* option = ours(name);
      if (option == nullptr) return refuse(name);
      if (option->get_items_expected_max() == 0) continue;
      std::string& word = arguments[at];
      if (i + 1 == word.size() && !is_left_out(name, word, "")) take_value(*option, word, "");
      return;
    }
  }

  void run() {
    for (; at < arguments.size() && !leave; ++at) {
      const std::string& word = arguments[at];
      if (word.size() < 2 || word[0] != '-' || word == "--") return;  // the command begins
      if (word[1] == '-') long_option();
      else short_options();
    }
  }
};

}  // namespace

std::optional<cli::Leave> settle_gnu_options(const CLI::App& app, std::vector<std::string>& arguments) {
  Walk walk{app, arguments, 0, std::nullopt};
  walk.run();
  return walk.leave;
}

}  // namespace pushmill
