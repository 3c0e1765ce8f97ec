#include "ventilator/origin.h"

#include "ventilator/spool.h"

namespace ventilator {

std::string Origin::encode() const {
  std::string text = shell + '\0' + directory + '\0';
  for (const std::string& argument : arguments) text += argument + '\0';
  return text;
}

Origin Origin::decode(std::string_view text) {
  std::vector<std::string> fields;
  for (std::size_t end; (end = text.find('\0')) != std::string_view::npos; text.remove_prefix(end + 1)) fields.emplace_back(text.substr(0, end));
  Origin origin;
  if (fields.size() < 2) return origin;
  origin.shell = fields[0];
  origin.directory = fields[1];
  origin.arguments.assign(fields.begin() + 2, fields.end());
  return origin;
}

base::Result<std::optional<Origin>> origin_of(const std::string& directory) {
  const auto summary = Spool::peek(directory);
  if (!summary) {
    if (summary.error().kind == base::Error::Kind::NotFound) return std::optional<Origin>();
    return summary.error();
  }
  if (!summary->template_text) return std::optional<Origin>();
  return std::optional<Origin>(Origin::decode(summary->origin));
}

}  // namespace ventilator
