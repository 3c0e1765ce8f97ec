#include "pushmill/defaults.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "pushmill/options.h"

namespace pushmill {

namespace {

base::Error usage(std::string message) { return {base::Error::Kind::Usage, std::move(message)}; }

std::string config_path() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config == '/') return std::string(config) + "/pushmill/config";
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.config/pushmill/config";
}

base::Result<std::vector<std::string>> options_of(std::string_view text, const std::string& where) {
  auto words = split_words(text);
  if (!words) return usage(where + ": " + words.error().message);
  // The word behind them is to be the command. What else is wrong with them shows beside the rest of the command line.
  words->push_back("command");
  const std::size_t end = outline_run(*words).options_end;
  const std::string first_other = end < words->size() ? (*words)[end] : "";
  words->pop_back();
  if (end > words->size()) return usage(where + ": " + words->back() + " has no value");
  if (end < words->size()) return usage(where + ": '" + first_other + "' is no option: only options can be defaults");
  return words;
}

}  // namespace

base::Result<std::vector<std::string>> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool is_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (is_word) words.push_back(std::move(word));
      word.clear();
      is_word = false;
    } else if (c == '#' && !is_word) {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '\'' || c == '"') {
      is_word = true;
      for (++i; i < text.size() && text[i] != c; ++i) {
        const bool is_escape = c == '"' && text[i] == '\\' && i + 1 < text.size() && std::string_view("\"\\$`").find(text[i + 1]) != std::string_view::npos;
        word += text[i += is_escape];
      }
      if (i >= text.size()) return usage(std::string("a quote ") + c + " has no end");
    } else {
      is_word = true;
      if (c == '\\' && i + 1 < text.size()) ++i;
      word += text[i];
    }
  }
  if (is_word) words.push_back(std::move(word));
  return words;
}

base::Result<std::vector<std::string>> with_defaults(const std::vector<std::string>& words) {
  struct Source {
    std::string where, text;
  };
  std::vector<Source> sources;
  const std::string path = config_path();
  if (std::ifstream file(path); !path.empty() && file) {
    std::ostringstream text;
    text << file.rdbuf();
    sources.push_back({path, text.str()});
  }
  if (const char* variable = std::getenv("PUSHMILL")) sources.push_back({"$PUSHMILL", variable});
  if (sources.empty()) return words;
  if (outline_run(words).is_plain) return words;

  std::vector<std::string> all;
  for (const Source& source : sources) {
    auto options = options_of(source.text, source.where);
    if (!options) return options.error();
    all.insert(all.end(), options->begin(), options->end());
  }
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

}  // namespace pushmill
