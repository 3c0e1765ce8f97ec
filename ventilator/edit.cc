#include "ventilator/edit.h"

#include <algorithm>
#include <charconv>
#include <cctype>
#include <optional>

namespace ventilator {
namespace {

using base::Error;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || c == '_' || std::isalpha(static_cast<unsigned char>(c)) != 0; }

Error not_understood(std::string_view what) {
  return {Error::Kind::Usage, "'" + std::string(what) + "' is not understood: s/EXPRESSION/TEXT/ and $_=\"TEXT\" are"};
}

void skip_blanks(std::string_view& text) { text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size())); }

// Up to the next `delimiter` that no backslash precedes, which is taken off as well; one behind a backslash loses that.
std::optional<std::string> take_until(char delimiter, std::string_view& text) {
  std::string taken;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == delimiter) {
      text.remove_prefix(i + 1);
      return taken;
    }
    if (text[i] == '\\' && i + 1 < text.size()) {
      if (text[i + 1] != delimiter) taken += '\\';
      ++i;
    }
    taken += text[i];
  }
  return std::nullopt;
}

std::optional<std::size_t> number_of(std::string_view text) {
  std::size_t number = 0;
  const auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || fault != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

base::Result<std::vector<Edit::Piece>> Edit::pieces_of(std::string_view text) {
  std::vector<Piece> pieces{{-1, {}}};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool has_next = i + 1 < text.size();
    if (text[i] == '\\' && has_next) {
      const char next = text[++i];
      if (is_word(next) && next != 'n' && next != 't') return not_understood(text);
      pieces.back().text += next == 'n' ? '\n' : next == 't' ? '\t' : next;
    } else if (text[i] == '$') {
      const bool has_brace = text.substr(i + 1).starts_with('{') && i + 3 < text.size() && text[i + 3] == '}';
      const std::size_t at = i + 1 + has_brace;
      if (at >= text.size() || (!is_digit(text[at]) && text[at] != '&')) return not_understood(text);
      pieces.push_back({text[at] == '&' ? 0 : text[at] - '0', {}});
      pieces.push_back({-1, {}});
      i = at + has_brace;
    } else if (text[i] == '@' && has_next && is_word(text[i + 1])) {
      return not_understood(text);
    } else {
      pieces.back().text += text[i];
    }
  }
  return pieces;
}

base::Status Edit::add_substitution(Step::Kind kind, std::string_view expression, std::string_view text, bool every, Edit& edit) {
  auto compiled = regex::Regex::compile(expression);
  if (!compiled) return compiled.error();
  auto pieces = pieces_of(text);
  if (!pieces) return pieces.error();
  Step step;
  step.kind = kind;
  step.expression = std::make_shared<const regex::Regex>(std::move(*compiled));
  step.pieces = std::move(*pieces);
  step.every = every;
  edit.steps_.push_back(std::move(step));
  return base::ok();
}

base::Result<Edit> Edit::parse(std::string_view perl) {
  base::Result<Edit> edit(Edit{});
  std::string_view rest = perl;
  bool unless_done = false;
  for (skip_blanks(rest); !rest.empty(); skip_blanks(rest)) {
    if (rest.front() == ';') {
      rest.remove_prefix(1);
      continue;
    }
    if (rest.size() > 1 && rest[0] == 's' && std::ispunct(static_cast<unsigned char>(rest[1])) != 0 && std::string_view("{([<#").find(rest[1]) == std::string_view::npos) {
      const char delimiter = rest[1];
      rest.remove_prefix(2);
      const auto expression = take_until(delimiter, rest), text = expression ? take_until(delimiter, rest) : std::nullopt;
      if (!text) return not_understood(perl);
      // What Perl would put into the expression is not known here.
      for (std::size_t at = 0; (at = expression->find('$', at)) != std::string::npos; ++at)
        if (at + 1 < expression->size() && ((*expression)[at + 1] == '$' || is_word((*expression)[at + 1]))) return not_understood(perl);
      std::string flags;
      bool every = false;
      for (; !rest.empty() && is_word(rest.front()); rest.remove_prefix(1)) {
        if (rest.front() == 'g') every = true;
        else if (std::string_view("imsx").find(rest.front()) != std::string_view::npos) flags += rest.front();
        else return not_understood(perl);
      }
      if (auto added = add_substitution(Step::Kind::Substitute, flags.empty() ? *expression : "(?" + flags + ")" + *expression, *text, every, *edit); !added) return added.error();
    } else if (rest.starts_with("$_")) {
      rest.remove_prefix(2);
      skip_blanks(rest);
      if (!rest.starts_with('=')) return not_understood(perl);
      rest.remove_prefix(1);
      skip_blanks(rest);
      if (rest.empty() || (rest.front() != '"' && rest.front() != '\'')) return not_understood(perl);
      const char delimiter = rest.front();
      rest.remove_prefix(1);
      const auto text = take_until(delimiter, rest);
      if (!text) return not_understood(perl);
      std::string plain = *text;
      if (delimiter == '"') {
        const auto pieces = pieces_of(*text);
        if (!pieces || pieces->size() > 1) return not_understood(perl);
        plain = pieces->front().text;
      }
      Step step;
      step.text = std::move(plain);
      edit->steps_.push_back(std::move(step));
    } else {
      return not_understood(perl);
    }
    edit->steps_.back().unless_done = unless_done;
    skip_blanks(rest);
    unless_done = rest.starts_with("||");
    if (unless_done) rest.remove_prefix(2);
    else if (!rest.empty() && rest.front() != ';') return not_understood(perl);
  }
  if (unless_done) return not_understood(perl);
  return edit;
}

base::Result<Edit> Edit::expansion(std::string_view text) {
  base::Result<Edit> edit(Edit{});
  const auto rest = [text](std::size_t from) { return std::string(text.substr(from)); };
  const auto substitution = [&](Step::Kind kind, const std::string& expression, std::string_view by, bool every) -> base::Result<Edit> {
    if (auto added = add_substitution(kind, expression, by, every, *edit); !added) return added.error();
    return edit;
  };
  const Error none{Error::Kind::NotFound, "no expansion"};
  if (text.size() < 2) return none;
  const bool is_doubled = text[0] == text[1] && text.size() > 2;
  if (text[0] == text[1] && !is_doubled && text[0] != '^' && text[0] != ',') return none;
  switch (text[0]) {
    case ':': {
      Step step;
      if (text[1] == '-') {
        step.kind = Step::Kind::Default;
        step.text = rest(2);
        if (step.text.empty()) return none;
      } else {
        const std::size_t colon = text.find(':', 1);
        const auto from = number_of(text.substr(1, colon == std::string_view::npos ? colon : colon - 1));
        const auto length = colon == std::string_view::npos ? std::optional(std::string::npos) : number_of(text.substr(colon + 1));
        if (!from || !length) return none;
        step.kind = Step::Kind::Cut;
        step.from = *from;
        step.length = *length;
      }
      edit->steps_.push_back(std::move(step));
      return edit;
    }
    case '#': return is_doubled ? substitution(Step::Kind::Substitute, "^" + rest(2), "", false) : substitution(Step::Kind::Substitute, "^(?U)" + rest(1) + "(?-U)(.*)", "$1", false);
    case '%': return is_doubled ? substitution(Step::Kind::Substitute, rest(2) + "$", "", false) : substitution(Step::Kind::Substitute, "(.*)(?U)" + rest(1) + "$", "$1", false);
    case '^': return substitution(Step::Kind::Upper, is_doubled ? rest(2) : "^(?:" + rest(1) + ")", "", is_doubled);
    case ',': return substitution(Step::Kind::Lower, is_doubled ? rest(2) : "^(?:" + rest(1) + ")", "", is_doubled);
    case '/': {
      const std::size_t begin = 1 + is_doubled, slash = text.find('/', begin + 1);
      if (slash == std::string_view::npos) return none;
      return substitution(Step::Kind::Substitute, std::string(text.substr(begin, slash - begin)), text.substr(slash + 1), is_doubled);
    }
    default: return none;
  }
}

bool Edit::substitute(const Step& step, std::string& value) {
  std::string edited;
  std::size_t copied = 0, from = 0;
  bool has_found = false;
  while (const auto found = step.expression->find(value, from)) {
    has_found = true;
    edited.append(value, copied, found->begin - copied);
    if (step.kind == Step::Kind::Substitute) {
      const auto groups = step.expression->groups();
      for (const Piece& piece : step.pieces) {
        if (piece.group < 0) edited += piece.text;
        else if (piece.group == 0) edited.append(value, found->begin, found->end - found->begin);
        else if (const auto group = static_cast<std::size_t>(piece.group) - 1; group < groups.size()) edited.append(value, groups[group].begin, groups[group].end - groups[group].begin);
      }
    } else {
      const auto change = step.kind == Step::Kind::Upper ? [](unsigned char c) { return std::toupper(c); } : [](unsigned char c) { return std::tolower(c); };
      for (std::size_t i = found->begin; i < found->end; ++i) edited += static_cast<char>(change(static_cast<unsigned char>(value[i])));
    }
    copied = found->end;
    from = found->end + (found->end == found->begin);
    if (!step.every) break;
  }
  if (has_found) value = std::move(edited.append(value, copied));
  return has_found;
}

void Edit::apply(std::string& value) const {
  bool has_done = false;
  for (const Step& step : steps_) {
    if (step.unless_done && has_done) continue;
    switch (step.kind) {
      case Step::Kind::Set: value = step.text; has_done = !value.empty() && value != "0"; break;
      case Step::Kind::Default: if (value.empty() || value == "0") value = step.text; break;  // what is false in Perl
      case Step::Kind::Cut: value = step.from < value.size() ? value.substr(step.from, step.length) : std::string(); break;
      default: has_done = substitute(step, value);
    }
  }
}

}  // namespace ventilator
