#include "io/entropy.h"

#include <sys/random.h>

#include <vector>

#include "base/check.h"

namespace io {

void fill_random(void* bytes, std::size_t size) {
  auto* at = static_cast<unsigned char*>(bytes);
  while (size > 0) {
    const ssize_t got = ::getrandom(at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK_INVARIANT(got > 0);  // cannot fail since Linux 3.17 but by a bad address
    at += got;
    size -= static_cast<std::size_t>(got);
  }
}

std::uint64_t random_seed() {
  std::uint64_t seed;
  fill_random(&seed, sizeof seed);
  return seed;
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> raw(bytes);
  fill_random(raw.data(), raw.size());
  std::string hex;
  for (const unsigned char byte : raw) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

base::RunId new_run_id() {
  base::RunId id;
  fill_random(id.bytes.data(), id.bytes.size());
  return id;
}

base::WorkerId new_worker_id() {
  base::WorkerId id;
  fill_random(id.bytes.data(), id.bytes.size());
  return id;
}

}  // namespace io
