// What can happen to the ventilator and what it can want done. Its core turns one into the other; its shell carries out the effects in order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "wire/messages.h"

namespace ventilator {

struct Dispatch { base::Attempt attempt; base::WorkerId worker; };

// ---- events

struct InputAccepted { base::JobId through; };  // every job up to here is durable in jobs.db
struct InputEnded { bool cut; };                // and there will be no more; that, too, is durable
// Answers a SendJobs to a worker that takes inputs: what is to be sent of them, in the order of the jobs.
struct InputDue { base::Attempt attempt; std::uint64_t length; };
struct InputsDue { base::WorkerId worker; base::Generation generation; std::vector<InputDue> items; };
struct InputFaulty { base::WorkerId worker; base::Generation generation; base::Attempt attempt; };  // it cannot be read; the worker has been told
struct LaneBroken { base::WorkerId worker; base::Generation generation; };
struct SinkHasEnded { std::uint64_t failed; bool cut; wire::Halt halt = {}; };  // the sink is gone and has left its mark: the run is complete
struct DispatchesRecalled { std::vector<Dispatch> items; };  // answers RecallDispatches: the newest of each job that has one
struct Stop {};  // hand out nothing more
struct Drain {};  // the same; what runs is finished, and then the run stops before its end
struct Turn {};  // the loop has handed over what had arrived

using Event = std::variant<InputAccepted, InputEnded, wire::Worker, wire::Done, wire::Requeue, wire::Snapshot, wire::End, wire::Alive, wire::Stored, InputsDue, InputFaulty, LaneBroken, SinkHasEnded, DispatchesRecalled, Stop, Drain, Turn>;

// ---- effects

struct SendToSink { wire::ToSink message; };
struct OpenLane { base::WorkerId worker; std::uint64_t session; base::Generation generation; std::string endpoint; std::string key; };
struct CloseLane { base::WorkerId worker; base::Generation generation; };
// The jobs go out as JOB frames; the shell adds the specs and splits where a frame is full. Numbers in the generation follow on from `first_seq`. `takes_inputs`:
// answer with InputsDue if any of them has an input.
struct SendJobs { base::WorkerId worker; std::uint64_t session; base::Generation generation; std::uint64_t limit; std::uint64_t first_seq; std::vector<base::Attempt> attempts; bool takes_inputs = false; };
// These bytes of the attempt's input, as INPUT frames; `sent`: those sent before them in the generation. What cannot be read is said
// to the worker, and answered with InputFaulty; it counts as sent.
struct SendInput { base::WorkerId worker; std::uint64_t session; base::Generation generation; std::uint64_t sent; base::Attempt attempt; std::uint64_t offset; std::uint64_t length; };
struct SendCtrl { wire::Ctrl message; };
struct SendFree { wire::Free message; };
struct RaiseHorizon { base::JobId through; };  // commit before any effect behind it
struct CommitDispatches { std::vector<Dispatch> items; };       // before any effect behind it; each takes the place of the job's earlier one
struct RecallDispatches { std::vector<base::JobId> jobs; };  // answer with DispatchesRecalled
struct CommitEnded { std::uint64_t total; std::uint64_t failed; bool cut; std::optional<std::uint32_t> status = {}; };  // status: that of a halt, with which the last job came
struct CommitHaltsOver { std::uint64_t number; };  // halts up to this one: the run has stopped, and who starts it again has it go on
struct RenewUplink {};  // the sink is silent: its connection may be dead for good. Close it, frames and all, and open another
struct LookForEnd {};  // the sink is silent: if it is gone and has left its mark, answer with SinkHasEnded
struct Exit {};

using Effect = std::variant<SendToSink, OpenLane, CloseLane, SendJobs, SendInput, SendCtrl, SendFree, RaiseHorizon, CommitDispatches, RecallDispatches, CommitEnded, CommitHaltsOver, RenewUplink, LookForEnd, Exit>;
using Effects = std::vector<Effect>;

}  // namespace ventilator
