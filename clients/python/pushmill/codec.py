"""Messages, job specs and their bytes, as shared/wire/PROTOCOL.md has them (sections 6 to 9). The only user of msgpack but for values.py."""
import itertools
import shlex
from typing import NamedTuple

import msgpack

from . import values
from .values import MAX_BYTES, MAX_DEPTH, MAX_ITEMS

VERSION = 1
MAX_FRAME, MAX_INLINE, MAX_PART, MAX_TEXT = 16 << 20, 64 << 10, 256 << 10, 256
BATCH_ITEMS, BATCH_BYTES = 512, 128 << 10
NO_RUN = bytes(16)
NO_GENERATION = (0, 0)

OK, FAILED, TIMEOUT, LOST, RETURNED, CANCELLED = range(6)  # outcomes; 7, out of memory, is said of commands only
NO_HALT, SOON, NOW = range(3)  # a halt of the run: start nothing more; end what runs, too
RUNNING, ENDED = 1, 2  # phases of a held attempt


class Malformed(Exception):
    """A frame or spec that is to be dropped or reported, and why."""


# ---- what a worker sends; an attempt is (job, epoch, n), a generation (epoch, g)

class Item(NamedTuple):
    """One result in RESULT."""
    attempt: tuple
    outcome: int
    exit_code: int = 0
    signal: int = 0
    slot: int = 0
    started_at: int = 0
    finished_at: int = 0
    runtime_us: int = 0
    user_us: int = 0
    system_us: int = 0
    max_rss_kb: int = 0
    out: bytes = b""
    err: bytes = b""
    out_bytes: int = 0
    err_bytes: int = 0
    command: bytes = b""
    reason: bytes = b""
    label: bytes = b""


class State(NamedTuple):
    worker: bytes
    session: int
    state_seq: int
    endpoint: str
    key: str
    host: str
    slots: int
    generation: tuple
    limit: int
    held: list  # of (attempt, phase)
    input_limit: int = 0  # this client takes no inputs: it runs no commands


class Result(NamedTuple):
    worker: bytes
    session: int
    generation: tuple
    limit: int
    host: str
    items: list


class Bye(NamedTuple):
    worker: bytes
    session: int


class Output(NamedTuple):
    worker: bytes
    attempt: tuple
    stream: int  # 0: out, 1: err
    offset: int
    bytes: bytes


NUMBERS = {State: 1, Result: 2, Bye: 3, Output: 4}


def encode(run, message):
    return msgpack.packb((VERSION, NUMBERS[type(message)], run, *message))


# ---- what comes to a worker

class Job(NamedTuple):
    worker: bytes
    session: int
    generation: tuple
    limit: int
    first_seq: int
    items: list  # of (attempt, spec)


class Ctrl(NamedTuple):
    worker: bytes
    session: int
    generation: tuple
    limit: int
    state_seq: int
    confirms: list
    complete: bool
    heartbeat: int
    lease: int
    no_overlap: bool
    halt: int = 0  # NO_HALT, SOON, NOW


class Refused(NamedTuple):
    worker: bytes
    reason: bytes


class Free(NamedTuple):
    worker: bytes
    session: int
    generation: tuple
    items: list  # of (attempt, stream, length)


def _integer(least, most):
    def read(value):
        if type(value) is not int or not least <= value <= most:
            raise Malformed("a number that is none or out of range")
        return value
    return read


def _bytes(value):
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if type(value) is not bytes:
        raise Malformed("something else in place of bytes")
    return value


def _id(value):
    value = _bytes(value)
    if len(value) != 16:
        raise Malformed("an id that has not 16 bytes")
    return value


def _text(value):
    if type(value) is not str or len(_bytes(value)) > MAX_TEXT:
        raise Malformed("something else in place of text, or over 256 bytes of it")
    return value


def _bool(value):
    if type(value) is not bool:
        raise Malformed("something else in place of a bool")
    return value


def _list(read):
    def read_list(value):
        if type(value) is not list:
            raise Malformed("something else in place of a list")
        return [read(element) for element in value]
    return read_list


def _structure(*fields):
    """Elements behind those that are known are ignored."""
    def read(value):
        if type(value) is not list or len(value) < len(fields):
            raise Malformed("too few elements")
        return tuple(field(element) for field, element in zip(fields, value))
    return read


_u32, _u64, _period = _integer(0, 2**32 - 1), _integer(0, 2**64 - 1), _integer(1, 10**15)
_attempt, _generation = _structure(_u64, _u64, _u64), _structure(_u64, _u64)

MESSAGES = {
    48: (Job, _structure(_id, _u64, _generation, _u64, _u64, _list(_structure(_attempt, _bytes)))),
    49: (Ctrl, _structure(_id, _u64, _generation, _u64, _u64, _list(_attempt), _bool, _period, _period, _bool, _u32)),
    50: (Refused, _structure(_id, _bytes)),
    51: (Free, _structure(_id, _u64, _generation, _list(_structure(_attempt, _integer(0, 1), _u64)))),
}


def _flat(pairs):
    return tuple(itertools.chain.from_iterable(pairs))


def _unpack(data):
    """An array. Maps become tuples of their keys and values: none has a place in a frame, but unknown fields may hold some."""
    try:
        value = msgpack.unpackb(data, raw=False, unicode_errors="surrogateescape", strict_map_key=False, object_pairs_hook=_flat, max_str_len=MAX_BYTES,
                                max_bin_len=MAX_BYTES, max_ext_len=MAX_BYTES, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS)
    except Exception as error:  # of many types, by what is wrong
        raise Malformed(f"not one msgpack value within the limits: {error}") from None
    if type(value) is not list:
        raise Malformed("not an array")
    if not values.is_shallow(value, MAX_DEPTH):
        raise Malformed("nested deeper than the limit")
    return value


def decode(frame, run):
    """(run id, message) of a frame, or Malformed. `run`: the only one wanted, or NO_RUN for any."""
    if len(frame) > MAX_FRAME:
        raise Malformed("larger than a frame may be")
    value = _unpack(frame)
    if value[:1] != [VERSION]:
        raise Malformed("of another version of the protocol")
    if len(value) < 3:
        raise Malformed("too few elements")
    theirs = _id(value[2])
    if run not in (NO_RUN, theirs):
        raise Malformed("of another run")
    message, read = MESSAGES.get(value[1], (None, None)) if type(value[1]) is int else (None, None)
    if message is None:
        raise Malformed("a message of an unknown number")
    return theirs, message(*read(value[3:]))


# ---- specs of jobs

class Call(NamedTuple):
    handler: str
    version: int
    arguments: bytes
    time_limit: float  # seconds; 0: none
    label: bytes = b""

    def describe(self):
        """The text of the job, for logs."""
        try:
            arguments = values.as_output(values.unpack(self.arguments))
        except ValueError:
            arguments = b"(unreadable arguments)"
        return _bytes(self.handler) + b" " + arguments


class Command(NamedTuple):
    line: bytes
    argv: list
    label: bytes = b""

    def describe(self):
        return b" ".join(shlex.quote(word.decode(errors="surrogateescape")).encode(errors="surrogateescape") for word in self.argv) or self.line


_head = _structure(_u32, _integer(0, 10**15), _bytes)
_command = _structure(_bytes, _list(_bytes), _bytes, _bytes, _bytes, _list(_bytes), _list(_u32), _bool, _list(_u32), _integer(-2**31, 2**31 - 1), _bool,
                      _structure(_bytes, _u64, _u64))
_call = _structure(_text, _u32, _bytes)


def decode_spec(spec):
    """A Call or a Command, or Malformed."""
    value = _unpack(spec)
    kind, limit, label = _head(value)
    if kind == 1:
        return Command(*_command(value[3:])[:2], label)
    if kind == 2:
        return Call(*_call(value[3:]), limit / 1e6, label)
    raise Malformed(f"a job of the unknown kind {kind}")
