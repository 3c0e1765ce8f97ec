// An edit of a value: what a replacement string of the user's own (--rpl), or one of --plus with text of its own in it ({%.gz}), does to it. Understands the
// part of Perl that such strings are made of: s/EXPRESSION/TEXT/ with $1..$9 and $&, the flags g, i, m, s and x, any delimiter; $_="TEXT"; several, with ; or ||
// between them. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "regex/regex.h"

namespace ventilator {

class Edit {
 public:
  static base::Result<Edit> parse(std::string_view perl);  // Usage: why it is not understood
  // What stands between the braces of one of bash's expansions: `:-TEXT`, `:N`, `:N:M`, `#RE`, `##RE`, `%RE`, `%%RE`, `/RE/TEXT`, `//RE/TEXT`, `^RE`, `^^RE`, `,RE`,
  // `,,RE`. NotFound: it is none of them.
  static base::Result<Edit> expansion(std::string_view text);

  void apply(std::string& value) const;

 private:
  struct Piece {
    int group;  // of the match, 0 the whole; -1: the text
    std::string text;
  };
  struct Step {
    enum class Kind { Substitute, Upper, Lower, Set, Default, Cut } kind = Kind::Set;  // Upper and Lower: what is found, in that case
    std::shared_ptr<const regex::Regex> expression = {};
    std::vector<Piece> pieces = {};
    bool every = false;       // not only the first
    bool unless_done = false;  // only if the step before found nothing
    std::string text = {};
    std::size_t from = 0, length = std::string::npos;  // Cut: what is left
  };
  static base::Status add_substitution(Step::Kind kind, std::string_view expression, std::string_view text, bool every, Edit& edit);
  static base::Result<std::vector<Piece>> pieces_of(std::string_view text);
  static bool substitute(const Step& step, std::string& value);

  std::vector<Step> steps_;
};

}  // namespace ventilator
