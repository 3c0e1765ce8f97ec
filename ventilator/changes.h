// What a replacement string takes of its value: the whole, or a part of a path. Pure. The parts are those of GNU parallel 20221122, also for values that hold
// newlines or are no paths.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ventilator {

struct Change {
  enum class Kind : std::uint8_t {
    None,
    Stem,         // without its last `count` extensions, if it has so many
    Name,         // behind the last slash
    NameStem,     // both
    Folder,       // as dirname(1)
    BeforeSlash,  // what stands before the last slash
    Extensions,   // its last `count` extensions
    Edit,         // as the user's own replacement string says
  } kind = Kind::None;
  std::uint32_t count = 1;  // of extensions; the number of the edit
  bool operator==(const Change&) const = default;
};

// The result may lie in `value` or in `room`, and is valid as long as both are left alone. REQUIRES: no Edit.
std::string_view apply(Change change, std::string_view value, std::string& room);

}  // namespace ventilator
