// Durations and sizes as users write them.
#include "cli/durations.h"

#include "fuzz.h"

void fuzz(std::string_view bytes) {
  const auto duration = cli::parse_duration(bytes);
  if (duration) MUST(*duration >= base::Duration::zero());
  else MUST(duration.error().kind == base::Error::Kind::Usage);
  const auto size = cli::parse_size(bytes);
  if (!size) MUST(size.error().kind == base::Error::Kind::Usage);
}
