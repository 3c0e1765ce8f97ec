// JSON from records and coprocesses: what is taken is printed as JSON of the same value.
#include "json/json.h"

#include "fuzz.h"

void fuzz(std::string_view bytes) {
  const auto value = json::parse(bytes);
  if (!value) {
    MUST(value.error().kind == base::Error::Kind::Usage);
    return;
  }
  const auto again = json::parse(json::print(*value));
  MUST(again && json::print(*again) == json::print(*value));
  (void)json::to_msgpack(*value);
  const auto text = json::parse(json::print(json::bytes(bytes)));
  MUST(text && text->is_string() && text->get_ref<const std::string&>() == bytes);
}
