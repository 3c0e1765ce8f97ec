"""The processes that run the calls, one for each slot.

A process, not a thread: it uses a processor of its own, can be ended when its time limit is over or the worker is told to stop, and a handler that crashes
takes nothing else with it. It is forked from the worker before there are sockets, so that it has all that the script has imported.
"""
import ctypes
import multiprocessing
import os
import resource
import select
import signal
import sys
import time
import traceback

from . import values
from .codec import FAILED, Item, OK

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_MAX_REASON = 4096
STOPS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Slots:
    """Slots are numbered from 1. An Item of theirs says nothing of attempt, slot and command."""

    def __init__(self, handlers, count):
        self._handlers, self._kept = handlers, open_descriptors()
        self._processes = {slot: _Process(handlers, self._kept) for slot in range(1, count + 1)}

    def descriptors(self):
        """{descriptor: slot} of those to wait for; then collect()."""
        return {fd: slot for slot, process in self._processes.items() for fd in (process.pipe.fileno(), process.pidfd)}

    def start(self, slot, call):
        try:
            self._processes[slot].start(call)
        except OSError:  # it died while it was idle
            self._replace(slot)
            self._processes[slot].start(call)

    def collect(self, slot):
        """What came of the call in `slot`, or None."""
        process = self._processes[slot]
        item = process.collect()
        if process.is_dead:
            self._replace(slot)
        return item

    def kill(self, slot):
        """As collect(), but it ends now."""
        item = self.collect(slot)
        if item is None:
            item = self._processes[slot].end()
            self._replace(slot)
        return item

    def close(self):
        for process in self._processes.values():
            process.end()

    def _replace(self, slot):
        self._processes[slot].end()
        self._processes[slot] = _Process(self._handlers, self._kept)


class _Process:
    def __init__(self, handlers, kept):
        self.started = self.died = None
        self.is_dead = False
        self.pipe, theirs = multiprocessing.Pipe()
        _flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _prepare(parent, kept | {theirs.fileno()})
                _serve(theirs, handlers)
            finally:
                os._exit(1)
        theirs.close()
        self.pidfd = os.pidfd_open(self.pid)

    def start(self, call):
        self.pipe.send(call)
        self.started = time.time(), time.monotonic()

    def collect(self):
        if self.pipe.poll():
            try:
                item, self.started = self.pipe.recv(), None
                return item
            except (EOFError, OSError):
                return self.end()
        return self.end() if select.select([self.pidfd], [], [], 0)[0] else None

    def end(self):
        """An Item of the call that ran, if any."""
        if self.is_dead:
            return None
        self.is_dead = True
        for kill in os.killpg, os.kill:
            try:
                kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        _, status, usage = os.wait4(self.pid, 0)
        self.pipe.close()
        os.close(self.pidfd)
        if self.started is None:
            return None
        number, code = (os.WTERMSIG(status), 0) if os.WIFSIGNALED(status) else (0, os.WEXITSTATUS(status))
        how = f"was ended by signal {number}" if number else f"left with status {code}"
        return _item(self.started, usage, outcome=FAILED, exit_code=code, signal=number, reason=f"the process of the call {how}".encode())


def _item(started, usage, **more):
    started_at, start = started
    runtime = time.monotonic() - start
    return Item(None, started_at=_us(started_at), finished_at=_us(started_at + runtime), runtime_us=_us(runtime), user_us=_us(usage.ru_utime),
                system_us=_us(usage.ru_stime), max_rss_kb=usage.ru_maxrss, **more)


def _us(seconds):
    return max(0, round(seconds * 1e6))


# ---- in the process

def open_descriptors():
    return {int(name) for name in os.listdir("/proc/self/fd")}


def _prepare(parent, kept):
    """Leaves the worker's terminal, signals and sockets alone, and ends with it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in STOPS:
        signal.signal(number, lambda *_: None)  # the worker ends it; programs that it starts get the default
    for fd in open_descriptors() - kept:
        try:
            os.close(fd)
        except OSError:
            pass  # that of the listing itself
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _serve(pipe, handlers):
    while True:
        try:
            call = pipe.recv()
        except EOFError:
            os._exit(0)
        item = run(handlers, call)
        _flush()
        pipe.send(item)


def _flush():
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # None, closed, or without a reader


def run(handlers, call):
    """Calls the handler and says how that went."""
    started, before = (time.time(), time.monotonic()), _usage()
    try:
        out, err, reason = _output(handlers, call), b"", b""
    except Refusal as refusal:
        out, err, reason = b"", b"", _line(str(refusal))
    except BaseException as error:  # SystemExit too: a handler has no say in whether the worker goes on
        out, err, reason = b"", _traceback(error), _line(_summary(error))
    return _item(started, _usage(before), outcome=FAILED if reason else OK, exit_code=1 if reason else 0, out=out, err=err, reason=reason,
                 out_bytes=len(out), err_bytes=len(err))


class Refusal(Exception):
    """The call cannot be made, or its result not be told."""


def _output(handlers, call):
    handler = _find(handlers, call)
    try:
        arguments = values.unpack(call.arguments)
    except ValueError as error:
        raise Refusal(f"the arguments cannot be read: {error}") from None
    result = handler(arguments)
    try:
        result = values.normal(result)
        return values.as_output(result) + (b"" if isinstance(result, bytes) else b"\n")
    except Exception as error:
        raise Refusal(f"the result cannot be told: {error}") from None


def _find(handlers, call):
    versions = {version: handler for (name, version), handler in handlers.items() if name == call.handler}
    if not versions:
        raise Refusal(f"the job calls handler '{call.handler}', this worker has only: {', '.join(sorted({name for name, _ in handlers}))}")
    if call.version not in versions:
        raise Refusal(f"the job calls version {call.version} of handler '{call.handler}', this worker has version {', '.join(map(str, sorted(versions)))}")
    return versions[call.version]


def _summary(error):
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}: (its text cannot be had)"


def _line(text):
    return " ".join(text.split()).encode(errors="surrogateescape")[:_MAX_REASON]


def _traceback(error):
    """As the script's author wants it: without the frames of this file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace)).encode(errors="backslashreplace")
    except Exception:
        return b""


def _usage(before=None):
    """Of this process and its children, since `before`."""
    own, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = own.ru_utime + theirs.ru_utime, own.ru_stime + theirs.ru_stime
    if before is not None:
        user, system = user - before.ru_utime, system - before.ru_stime
    return resource.struct_rusage((user, system, max(own.ru_maxrss, theirs.ru_maxrss), *own[3:]))
