// How the processes of a job are ended: which signals they get, and how long each of them is waited for.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace base {

// Signal, milliseconds, signal, milliseconds, ... Empty: kDefaultTermSeq. Whatever it is, KILL follows its last wait.
using TermSeq = std::vector<std::uint32_t>;
extern const TermSeq kDefaultTermSeq;  // GNU parallel's

// As a user writes it: TERM,200,KILL,25. Signals by name, with or without SIG, or by number; the last wait may be left out. Errors say what is wrong with which
// word.
Result<TermSeq> parse_term_seq(std::string_view text);
// Whether a list from elsewhere is one: pairs of signals that exist and waits of an hour at most.
bool is_term_seq(const TermSeq& sequence);

}  // namespace base
