"""What a worker decides, as PROTOCOL.md has it: events in, effects out. It knows no socket, clock or process.

Every on_...() takes an event and the time in seconds; take_effects() then gives what is to be done, in order. Numbers in comments are the sections.
"""
import dataclasses
from typing import NamedTuple, Optional, Union

from . import codec
from .codec import Bye, Call, Free, Item, Job, Malformed, NO_GENERATION, NO_RUN, Output, Result, State

CONNECT_TIMEOUT, LEAST_HEARTBEAT = 3.0, 0.001
CONFIRM_PATIENCE = 5.0  # of a worker that was told to stop
MAX_UNCONFIRMED, MAX_UNCONFIRMED_BYTES = 4096, 8 << 20
WINDOW = 1 << 20  # of a stream on its way: a STATE behind it is not to come late
NO_COMMANDS = b"this worker runs calls of Python handlers only: a command needs pushmill's own worker"

STOPPING = b"the worker is stopping"
HALTED = b"the run stops"
OVERDUE = b"ended with its lease: nothing had been heard of the sink"

RUN_COMPLETE, HEAD_NOT_FOUND = 0, 105  # exit statuses


# ---- effects

class Reopen(NamedTuple):
    """Close both sockets without linger and open new ones; on_opened() is the answer."""


class Close(NamedTuple):
    """Close both sockets without linger; a Reopen follows some time."""


class Send(NamedTuple):
    run: bytes
    message: Union[State, Result, Bye, Output]


class Start(NamedTuple):
    slot: int
    call: Call


class Kill(NamedTuple):
    """End what runs in `slot`; on_ended() is the answer."""
    slot: int


class Say(NamedTuple):
    line: str


class Exit(NamedTuple):
    status: int


@dataclasses.dataclass
class Held:
    call: Call
    slot: int
    deadline: Optional[float]
    listed_from: int = 0  # number of the first STATE that lists it
    sent_at: float = 0.0  # of the newest STATE known to have been read that permits it to run
    killed_as: Optional[int] = None  # the outcome, once it is to be killed,
    why: bytes = b""                 # and its reason


@dataclasses.dataclass
class Ahead:
    """A stream that is too long for RESULT: stored up to `freed`, sent up to `sent`."""
    data: bytes
    freed: int = 0
    sent: int = 0

    def take(self):
        """(offset, bytes) of each part that may be sent now."""
        while self.sent < min(len(self.data), self.freed + WINDOW):
            offset, part = self.sent, self.data[self.sent:self.sent + codec.MAX_PART]
            self.sent += len(part)
            yield offset, part

    def free(self, length):
        self.freed = max(self.freed, min(length, len(self.data)))


@dataclasses.dataclass
class Unconfirmed:
    item: Item
    ahead: dict  # {stream: Ahead}; the item has nothing of it
    is_sent: bool = False
    sent_after: int = 0  # the state_seq behind which the last of it was sent

    @property
    def is_due(self):
        return not self.is_sent and all(ahead.sent == len(ahead.data) for ahead in self.ahead.values())

    @property
    def size(self):
        return len(self.item.command) + len(self.item.label) + len(self.item.out) + len(self.item.err) + sum(len(ahead.data) for ahead in self.ahead.values())


class Core:
    def __init__(self, worker, host, slots, now, sink="", head_timeout=60.0, hold_timeout=3600.0, jitter=lambda: 1.0):
        """`sink`: its name in what is said. `jitter`: gives factors about 1 for the growing wait of 4.8."""
        self.worker, self.host, self.slots, self.sink, self.jitter = worker, host, slots, sink, jitter
        self.head_timeout, self.hold_timeout = head_timeout, hold_timeout
        self.run, self.endpoint = NO_RUN, ""
        self.session, self.state_seq, self.newest_echo = 0, 0, 0
        self.heartbeat, self.lease, self.no_overlap, self.halt = 1.0, 10.0, False, codec.NO_HALT
        self.states, self.echoed_at = {}, float("-inf")  # {state_seq: when it was sent}; when the newest echoed one was
        self.held, self.results = {}, {}
        self.free_slots = list(range(slots, 0, -1))
        self.ignored = 0
        self.heard_at = self.busy_at = now
        self.stop_status, self.leave_at, self.has_left = None, None, False
        self._effects, self._state_due = [], False
        self.wait = self._least_wait()
        self.is_open, self.state_at = False, float("inf")
        self._become_unattached()
        self._reopen(now)

    # ---- events

    def on_opened(self, endpoint, now):
        self.session += 1
        self.endpoint, self.is_open = endpoint, True
        self._become_unattached()
        self._state_due = True

    def on_frame(self, run, message, now):
        if self.has_left:
            return
        self._end_overdue(now)  # first: an echo that is read too late permits nothing
        if self.run not in (NO_RUN, run) or message.worker != self.worker:
            self.ignored += 1
        elif isinstance(message, codec.Refused):
            self._on_refused(run, message, now)
        else:
            self._on_lane(run, message, now)

    def on_ended(self, slot, item, now):
        """`item`: how it ended, but for what the core knows."""
        if self.has_left:
            return
        attempt, held = next((attempt, held) for attempt, held in self.held.items() if held.slot == slot)
        if held.killed_as is not None and item.signal:
            item = item._replace(outcome=held.killed_as, reason=held.why)
        self.free_slots.append(slot)
        self.busy_at = now
        self._end(attempt, held.call, item._replace(slot=slot))

    def on_stop(self, status, now):
        """Section 3: hands in what it holds. Only the first counts."""
        if self.has_left or self.stop_status is not None:
            return
        self.stop_status, self.leave_at = status, now + min(self.lease, CONFIRM_PATIENCE)
        for held in self.held.values():
            self._kill(held, codec.CANCELLED, STOPPING)

    def on_time(self, now):
        if self.has_left:
            return
        self._end_overdue(now)
        for held in self.held.values():
            if held.deadline is not None and now >= held.deadline:
                self._kill(held, codec.TIMEOUT)
        if self.leave_at is not None and now >= self.leave_at:
            self._leave(self.stop_status)
        elif now >= self._silence_ends():
            self._say(f"nothing was heard of the sink at {self.sink} and its ventilator in time; leaving")
            self._leave(HEAD_NOT_FOUND)
        elif now >= self.echo_due:
            self._begin_anew(now)
        elif now >= self.state_at:
            if self.state_seq == 1:
                self._say(f"waiting for the sink at {self.sink} and its ventilator")
            self._state_due = True

    def take_effects(self, now):
        """What follows from the events so far."""
        if self.is_open and not self.has_left:
            self._send(now)
            if self.stop_status is not None and not self.held and not self.results:
                self._leave(self.stop_status)
        effects, self._effects = self._effects, []
        return effects

    def next_deadline(self):
        times = [self.state_at, self.echo_due, self._silence_ends(), *(held.deadline for held in self.held.values() if held.deadline is not None)]
        if self.no_overlap:
            times += [held.sent_at + self.lease for held in self.held.values() if held.killed_as is None]
        return min(times if self.leave_at is None else [*times, self.leave_at])

    # ---- what comes in

    def _on_refused(self, run, refused, now):
        """9.5: without a run there is no room; else what is held belongs to the other run, whose sink may come back, and with nothing it may serve this one."""
        if run == NO_RUN:
            self._say("waiting for room: " + refused.reason.decode(errors="replace"))
            self.heard_at = now
            self._wait_with(Close(), now)
            return
        is_empty = not self.held and not self.results
        self._say(refused.reason.decode(errors="replace") + ("; joining it" if is_empty else "; holding what belongs to the other run"))
        if is_empty:
            self.run = NO_RUN
            self._begin_anew(now)

    def _on_lane(self, run, message, now):
        if message.session != self.session or message.generation < self.generation or message.generation == NO_GENERATION:
            self.ignored += 1
            return
        if message.generation > self.generation:  # 4.5: the first frame of a higher generation ends all lower ones
            if self.run == NO_RUN:
                self._say("serving run " + run.hex())
            self.run, self.generation = run, message.generation
            self.received = self.limit = 0
            self._raise_limit()
            self._state_due = True
        if isinstance(message, Job):
            self._on_job(message, now)
        elif isinstance(message, Free):
            self._on_free(message)
        else:
            self._on_ctrl(message, now)

    def _on_job(self, job, now):
        for number, (attempt, spec) in enumerate(job.items, job.first_seq):
            if not self.received < number <= self.limit:
                self.ignored += 1
                continue
            self.received = number
            if attempt not in self.held and attempt not in self.results:
                self._take(attempt, spec, now)

    def _take(self, attempt, spec, now):
        """There is a slot for it: the limit counts what is held."""
        try:
            job = codec.decode_spec(spec)
        except Malformed as error:
            return self._end(attempt, None, Item(attempt, codec.FAILED, exit_code=126, reason=f"the job cannot be read: {error}".encode(errors="replace")))
        if not isinstance(job, Call):
            self._end(attempt, job, Item(attempt, codec.FAILED, exit_code=126, reason=NO_COMMANDS))
        elif self.stop_status is not None:
            self._end(attempt, job, Item(attempt, codec.RETURNED, reason=STOPPING))
        elif self.halt != codec.NO_HALT:
            self._end(attempt, job, Item(attempt, codec.RETURNED, reason=HALTED))
        elif self.no_overlap and now >= self.echoed_at + self.lease:
            self._end(attempt, job, Item(attempt, codec.RETURNED, reason=OVERDUE))
        else:
            slot = self.free_slots.pop()
            self.held[attempt] = Held(job, slot, now + job.time_limit if job.time_limit else None, self.state_seq + 1, self.echoed_at)
            self._effects.append(Start(slot, job))

    def _on_free(self, free):
        for attempt, stream, length in free.items:
            if attempt in self.results and stream in self.results[attempt].ahead:
                self.results[attempt].ahead[stream].free(length)

    def _on_ctrl(self, ctrl, now):
        self.heartbeat = max(ctrl.heartbeat / 1e6, LEAST_HEARTBEAT)
        self.lease = max(ctrl.lease / 1e6, self.heartbeat)
        self.no_overlap = self.no_overlap or ctrl.no_overlap
        self.state_at = min(self.state_at, now + self.heartbeat)
        self.halt = ctrl.halt  # 4.18
        for held in self.held.values() if self.halt == codec.NOW else ():
            self._kill(held, codec.CANCELLED, HALTED)
        for attempt in ctrl.confirms:
            self.results.pop(attempt, None)
        if ctrl.complete:
            self.results.clear()
            return self._leave(RUN_COMPLETE)
        if not self.newest_echo < ctrl.state_seq <= self.state_seq:
            return
        self.newest_echo, self.heard_at = ctrl.state_seq, now
        self.wait = self._least_wait()
        self.echo_due = now + self.wait
        if ctrl.state_seq in self.states:
            self.echoed_at = self.states[ctrl.state_seq]
            self.states = {seq: at for seq, at in self.states.items() if seq > ctrl.state_seq}
            for held in self.held.values():
                held.sent_at = self.echoed_at if held.listed_from <= ctrl.state_seq else held.sent_at
        for result in self.results.values():  # 4.2, 4.15: sent before the STATE that was read, and not confirmed
            if result.sent_after < ctrl.state_seq:
                result.is_sent = False
                for ahead in result.ahead.values():
                    ahead.sent = ahead.freed

    # ---- jobs

    def _kill(self, held, outcome, why=b""):
        if held.killed_as is None:
            held.killed_as, held.why, held.deadline = outcome, why, None
            self._effects.append(Kill(held.slot))

    def _end_overdue(self, now):
        """4.17: others may soon run them."""
        for held in self.held.values() if self.no_overlap else ():
            if now >= held.sent_at + self.lease:
                self._kill(held, codec.CANCELLED, OVERDUE)

    def _end(self, attempt, job, item):
        self.held.pop(attempt, None)
        command = job.describe() if job else b""
        ahead = {stream: Ahead(data) for stream, data in enumerate((item.out, item.err)) if len(data) > codec.MAX_INLINE}
        item = item._replace(attempt=attempt, command=command[:codec.MAX_BYTES], label=job.label if job else b"", out=b"" if 0 in ahead else item.out, err=b"" if 1 in ahead else item.err)
        self.results[attempt] = Unconfirmed(item, ahead)

    # ---- what the sink is told

    def _raise_limit(self):
        """Section 5, with a window of the slots. Whether the limit was raised."""
        is_full = len(self.results) >= MAX_UNCONFIRMED or sum(result.size for result in self.results.values()) >= MAX_UNCONFIRMED_BYTES
        limit = self.received + self.slots - len(self.held)
        if self.generation == NO_GENERATION or self.stop_status is not None or self.halt != codec.NO_HALT or is_full or limit <= self.limit:
            return False
        self.limit = limit
        return True

    def _send(self, now):
        is_raised = self._raise_limit()
        for attempt, result in self.results.items():
            for stream, ahead in result.ahead.items():
                for offset, part in ahead.take():
                    result.sent_after = self.state_seq
                    self._effects.append(Send(self.run, Output(self.worker, attempt, stream, offset, part)))
        unsent = [result for result in self.results.values() if result.is_due]
        for batch in _batches(unsent):
            for result in batch:
                result.is_sent, result.sent_after = True, self.state_seq
            items = [result.item for result in batch]
            self._effects.append(Send(self.run, Result(self.worker, self.session, self.generation, self.limit, self.host, items)))
        if self._state_due or (is_raised and not unsent):
            self._send_state(now)

    def _send_state(self, now):
        self._state_due, self.state_at = False, now + self.heartbeat
        self.state_seq += 1
        self.states = {seq: at for seq, at in self.states.items() if now - at <= self.lease} | {self.state_seq: now}
        held = [*((attempt, codec.RUNNING) for attempt in self.held), *((attempt, codec.ENDED) for attempt in self.results)]
        self._effects.append(Send(self.run, State(self.worker, self.session, self.state_seq, self.endpoint, "", self.host, self.slots, self.generation,
                                                  self.limit, held[:codec.MAX_ITEMS])))

    # ---- coming and going

    def _become_unattached(self):
        self.generation, self.received, self.limit = NO_GENERATION, 0, 0

    def _begin_anew(self, now):
        self.wait = max(self._least_wait(), min(self.lease, 2 * self.wait * self.jitter()))
        self._reopen(now)

    def _reopen(self, now):
        """Tried again after the wait, should nothing be opened."""
        self._wait_with(Reopen(), now)

    def _wait_with(self, effect, now):
        self.is_open, self.state_at, self.echo_due = False, float("inf"), now + self.wait
        self._effects.append(effect)

    def _least_wait(self):
        return max(3 * self.heartbeat, CONNECT_TIMEOUT + self.heartbeat)  # 4.8

    def _silence_ends(self):
        """When to give up, if nothing is heard: never while something runs."""
        if self.held:
            return float("inf")
        return max(self.heard_at, self.busy_at) + (self.hold_timeout if self.results else self.head_timeout)

    def _leave(self, status):
        self._effects += [Kill(held.slot) for held in self.held.values() if held.killed_as is None]
        if self.is_open:
            self._effects.append(Send(self.run, Bye(self.worker, self.session)))
        self._effects.append(Exit(status))
        self.has_left = True

    def _say(self, line):
        self._effects.append(Say(line))


def _batches(results):
    """Section 11: full with 512 items or 128 KiB."""
    batch, size = [], 0
    for result in results:
        if batch and (len(batch) == codec.BATCH_ITEMS or size + result.size > codec.BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(result)
        size += result.size
    if batch:
        yield batch
