#include "worker/amount.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "wire/limits.h"

namespace worker {

namespace {

base::Error usage(std::string message) { return {base::Error::Kind::Usage, std::move(message)}; }

// Processes and open files beside those of jobs.
constexpr std::uint64_t kReserve = 64;

std::uint32_t most_slots() {
  std::uint64_t most = wire::kMaxWindow;
  rlimit limit{};
  if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) most = std::min<std::uint64_t>(most, limit.rlim_cur > 2 * kReserve ? limit.rlim_cur - kReserve : 1);
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) most = std::min<std::uint64_t>(most, limit.rlim_max > 2 * kReserve ? (limit.rlim_max - kReserve) / 2 : 1);
  return static_cast<std::uint32_t>(most);
}

}  // namespace

std::optional<Amount> Amount::parse(std::string_view text) {
  Amount amount;
  if (text.starts_with('+')) amount.kind = Kind::More;
  else if (text.starts_with('-')) amount.kind = Kind::Less;
  if (amount.kind != Kind::Number) text.remove_prefix(1);
  if (amount.kind == Kind::Number && text.ends_with('%')) amount.kind = Kind::Percent, text.remove_suffix(1);
  const bool is_number = !text.empty() && text.size() < 9 && std::isdigit(static_cast<unsigned char>(text[0])) != 0 && std::isdigit(static_cast<unsigned char>(text.back())) != 0 &&
                         std::count(text.begin(), text.end(), '.') <= 1 && text.find_first_not_of("0123456789.") == std::string_view::npos;
  if (!is_number) return std::nullopt;
  amount.number = std::strtod(std::string(text).c_str(), nullptr);
  return amount;
}

base::Result<Amount> Amount::of(const std::string& text) {
  if (auto amount = parse(text)) return *amount;
  std::ifstream file(text);
  if (!file) return usage("'" + text + "' is not N, +N, -N, N% or a file that holds one of these");
  std::string word, rest;
  file >> word >> rest;
  auto amount = parse(word);
  if (!amount || !rest.empty()) return usage("the file '" + text + "' does not hold N, +N, -N or N%");
  amount->file = text;
  return *amount;
}

double Amount::value(unsigned cpus) const {
  switch (kind) {
    case Kind::More: return cpus + number;
    case Kind::Less: return cpus - number;
    case Kind::Percent: return cpus * number / 100;
    case Kind::Number: break;
  }
  return number;
}

base::Result<std::uint32_t> slots_of(const Amount& amount, unsigned cpus) {
  const double value = amount.value(cpus);
  if (amount.kind == Amount::Kind::Number) {
    if (amount.number != static_cast<std::uint32_t>(amount.number)) return usage("the number of jobs at a time must be whole");
    if (amount.number == 0) return most_slots();
  }
  if (amount.kind == Amount::Kind::Percent && value > 0) return static_cast<std::uint32_t>(std::clamp(value, 1.0, static_cast<double>(wire::kMaxWindow)));
  if (value < 1) return usage("with " + std::to_string(cpus) + " CPUs that leaves no job to run");
  if (value > wire::kMaxWindow) return usage("at most " + std::to_string(wire::kMaxWindow) + " jobs run at a time");
  return static_cast<std::uint32_t>(value);
}

AmountFile::AmountFile(std::string path) : path_(std::move(path)) { look(); }

bool AmountFile::look() {
  struct stat info{};
  if (path_.empty() || ::stat(path_.c_str(), &info) != 0) return false;
  const std::int64_t now[4] = {static_cast<std::int64_t>(info.st_ino), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
  if (std::equal(std::begin(now), std::end(now), std::begin(marks_))) return false;
  std::copy(std::begin(now), std::end(now), std::begin(marks_));
  return true;
}

std::optional<base::Result<Amount>> AmountFile::changed() {
  if (!look()) return std::nullopt;
  return Amount::of(path_);
}

}  // namespace worker
