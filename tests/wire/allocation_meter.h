// Bytes that this program has asked `new` for since it began; nothing is taken off when they are freed.
#pragma once

#include <cstddef>

extern std::size_t allocated_bytes;
