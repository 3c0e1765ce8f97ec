// A broken invariant of our own: say where and abort. Never used on what a peer, a user or the system says.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK_INVARIANT(condition)                                                                \
  do {                                                                                            \
    if (!(condition)) {                                                                           \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition);      \
      std::abort();                                                                               \
    }                                                                                             \
  } while (false)
