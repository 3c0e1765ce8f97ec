// What can happen to a worker and what it can want done. Its core turns one into the other; its shell carries out the effects in order.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "wire/messages.h"
#include "worker/start_gate.h"

namespace worker {

// ---- events

struct SessionOpened { std::string endpoint; std::string key; };  // answers OpenSession
// More of an output of an attempt that runs. One that has any of these gives all of that stream so, and nothing of it in its result.
struct OutputRead { base::Attempt attempt; wire::OutputStream stream; std::string bytes; };
// An attempt that was started. slot_is_lost: its slot can run nothing more; lacks_room: its input found no room here, and it is returned.
struct Ended { wire::Result result; bool slot_is_lost = false; bool lacks_room = false; };
// An attempt that was killed, of which a process does not end. Its end is waited for, but not by a worker that was told to leave.
struct Stuck { base::Attempt attempt; };
struct Slots { std::uint32_t slots; };  // run so many at a time from now on
struct Measured { Machine machine; };  // answers LookAtMachine
struct NoRoom {};  // REFUSED, said to one that knows no run yet: the run has as many workers as it can have
struct Stop {};  // start nothing more, end what runs, hand in what is held
struct Turn {};  // the loop has handed over what had arrived

using Event = std::variant<SessionOpened, wire::Job, wire::Ctrl, wire::Refused, wire::Free, wire::Input, NoRoom, OutputRead, Ended, Stuck, Slots, Measured, Stop, Turn>;

// ---- effects

struct OpenSession { std::uint64_t session; };  // close both sockets if there are any, open new ones, answer with SessionOpened
struct CloseSession {};  // close both sockets; an OpenSession follows some time
struct SendState { wire::State message; };
// RESULT frames with these results, to be read off Core::unconfirmed(); the shell splits where a frame is full.
struct SendResults { std::uint64_t session; base::Generation generation; std::uint64_t limit; std::vector<base::Attempt> attempts; };
// Of the output kept for `attempt` as from `offset`, one OUTPUT: Core::output() has the bytes.
struct SendOutput { base::Attempt attempt; wire::OutputStream stream; std::uint64_t offset; };
struct Grant { base::Attempt attempt; wire::OutputStream stream; std::uint64_t length; };  // read on, up to this length
// Of the attempt's input: goes on from what was kept before. A fault: there will be no more, and the attempt fails with it when it is started.
struct KeepInput { base::Attempt attempt; std::string bytes; std::string fault; };
struct DropInput { base::Attempt attempt; };  // what is kept of it, if anything is: the attempt is not started here. Otherwise it goes with its end
struct SendBye { wire::Bye message; };
struct Start { base::Attempt attempt; std::uint32_t slot; std::string spec; };
struct Kill { base::Attempt attempt; };
struct RunUntil { base::TimePoint at; };  // whatever becomes of this process: what runs, or is started behind this, ends then. kNever: no such time
struct LookAtMachine {};  // answer with Measured
struct Exit { enum class Why { RunComplete, Stopped, HeadNotFound, SlotLost } why; };

using Effect = std::variant<OpenSession, CloseSession, SendState, SendResults, SendOutput, Grant, KeepInput, DropInput, SendBye, Start, Kill, RunUntil, LookAtMachine, Exit>;
using Effects = std::vector<Effect>;

}  // namespace worker
