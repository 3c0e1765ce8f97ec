// A fuzz target is a file that defines fuzz(): it feeds the bytes to one piece of pushmill and dies (by MUST or a sanitizer) when a property does not hold.
// scripts/fuzz runs it under libFuzzer; replay.cc gives it the inputs that were worth keeping (corpus/NAME.hex) in every test run.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

void fuzz(std::string_view bytes);

#define MUST(condition)                                                               \
  do {                                                                                \
    if (!(condition)) {                                                               \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                   \
    }                                                                                 \
  } while (false)
