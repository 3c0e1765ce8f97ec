// What can happen to the sink and what it can want done. Its core turns one into the other; its shell carries out the effects in order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "wire/messages.h"

namespace sink {

// ---- events

struct OutputsEmitted { std::uint64_t jobs; };  // so many jobs' outputs have been written out since the run began
struct FeedbackBroken {};                // the connection to the ventilator
struct VentilatorComes {};               // one has the run directory, and has said nothing yet
struct Stop {};                          // commit and confirm what is there
struct Turn { bool drained; };           // the loop has handed over what had arrived; drained: nothing more was waiting

using Event = std::variant<wire::State, wire::Results, wire::Bye, wire::Output, wire::Open, wire::Assign, wire::Gone, wire::Close, OutputsEmitted, FeedbackBroken, VentilatorComes, Stop, Turn>;

// ---- effects

// Rows for the next Commit.
struct LogResult { wire::Result result; base::WorkerId worker; std::string host; std::uint64_t ordinal; };   // the job is finished
struct LogAttempt { wire::Result result; base::WorkerId worker; std::string host; std::uint64_t ordinal; bool counted; bool alone; };
struct UncountLoss { base::Attempt attempt; bool revived; };  // the worker lives after all; revived: the attempt has not ended
struct LogPolicy { wire::Policy policy; };
struct LogEmitted { std::uint64_t jobs; };
struct LogEnded { std::uint64_t total; std::uint64_t failed; bool cut; std::optional<std::uint32_t> status = {}; };  // status: that of a halt, with which the last job came
// A halt is in force, or over; then the jobs finished so far count towards no other.
struct LogHalt { wire::Halt halt; bool is_over = false; std::uint64_t finished = 0; std::uint64_t failed = 0; };
struct TakeBackEnd {};  // the run goes on
// At the end of that output's file, at once: durable with the next Commit.
struct WriteOutput { base::Attempt attempt; wire::OutputStream stream; std::uint64_t offset; std::string bytes; };
struct Commit {};  // all rows since the last one, in one transaction, and what was written; before any effect behind it
struct DropOutput { base::Attempt attempt; wire::OutputStream stream; };  // its file is of no use

struct OpenFeedback { std::string endpoint; };
struct SendToVentilator { wire::ToVentilator message; };
struct Exit {};

using Effect = std::variant<LogResult, LogAttempt, UncountLoss, LogPolicy, LogEmitted, LogEnded, LogHalt, TakeBackEnd, WriteOutput, Commit, DropOutput, OpenFeedback, SendToVentilator, Exit>;
using Effects = std::vector<Effect>;

}  // namespace sink
