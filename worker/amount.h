// How many jobs at a time, or how much load, as GNU parallel's users write it: N, +N and -N beside the number of CPUs, N% of them, or a file that says it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace worker {

struct Amount {
  enum class Kind : std::uint8_t { Number, More, Less, Percent } kind = Kind::Number;
  double number = 0;
  std::string file;  // where it was read; empty: the command line

  // Nothing: `text` is none of these.
  static std::optional<Amount> parse(std::string_view text);
  // The same, or what the file of that name says. Usage: neither.
  static base::Result<Amount> of(const std::string& text);

  double value(unsigned cpus) const;
};

// Slots at a time; 0 of an amount means as many as the limits of this process allow. Usage: it leaves none.
base::Result<std::uint32_t> slots_of(const Amount& amount, unsigned cpus);

// A file that says an amount, and may say another later.
class AmountFile {
 public:
  explicit AmountFile(std::string path);
  const std::string& path() const { return path_; }
  // What it says, if it has changed since the last call. Usage: nothing that is an amount.
  std::optional<base::Result<Amount>> changed();

 private:
  bool look();  // at the file's marks; true: they have changed
  std::string path_;
  std::int64_t marks_[4] = {};
};

}  // namespace worker
