"""The loop of a worker: carries frames, signals and ended calls to its core, and the effects out."""
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time

import zmq

from . import codec, core, endpoints
from .slots import STOPS, Slots

_FRAMES_A_TURN = 256
_LINGER_MS = 300
_MOST_SAID = 1000


class Shell:
    def __init__(self, name, options):
        self._name, self._options, self._sink = name, options, options.sink
        self._pull = self._push = None
        self._said = set()

    def run(self, handlers):
        """Until the worker leaves: its exit status. endpoints.Mistake or OSError if it cannot begin."""
        self._slots = Slots(handlers, self._options.jobs)
        self._context = zmq.Context()
        self._directory = tempfile.mkdtemp(prefix="pushmill-", dir=_runtime_directory())
        wakeup, self._wakeup = socket.socketpair()
        for end in wakeup, self._wakeup:
            end.setblocking(False)
        restore = _catch_stops(wakeup.fileno())
        try:
            self._core = core.Core(secrets.token_bytes(16), socket.gethostname()[:codec.MAX_TEXT], self._options.jobs, time.monotonic(), self._sink,
                                   self._options.head_timeout, self._options.hold_timeout, lambda: random.uniform(0.8, 1.2))
            return self._loop()
        finally:
            restore()
            self._slots.close()
            self._close(_LINGER_MS)
            self._context.term()
            shutil.rmtree(self._directory, ignore_errors=True)
            wakeup.close()
            self._wakeup.close()

    def _loop(self):
        while True:
            status = self._carry_out()
            if status is not None:
                return status
            ready = self._wait()
            if self._pull in ready:
                self._receive()
            slots = self._slots.descriptors()
            for slot in sorted({slots[fd] for fd in ready if fd in slots}):
                item = self._slots.collect(slot)
                if item is not None:
                    self._core.on_ended(slot, item, time.monotonic())
            if self._wakeup.fileno() in ready:  # behind the calls that have ended: there is nothing to kill any more
                for number in self._wakeup.recv(64):
                    self._core.on_stop(128 + number, time.monotonic())
            self._core.on_time(time.monotonic())

    def _wait(self):
        wanted = [*self._slots.descriptors(), self._wakeup.fileno(), *([self._pull] if self._pull else [])]
        milliseconds = max(0, (self._core.next_deadline() - time.monotonic()) * 1000)
        return [source for source, _ in zmq.zmq_poll([(source, zmq.POLLIN) for source in wanted], int(min(milliseconds, 1e6)) + 1)]

    def _receive(self):
        for _ in range(_FRAMES_A_TURN):
            try:
                frames = self._pull.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            try:
                if len(frames) > 1:
                    raise codec.Malformed("in several parts")
                run, message = codec.decode(frames[0], self._core.run)
                self._core.on_frame(run, message, time.monotonic())
            except codec.Malformed as fault:
                self._say(f"dropped a frame: {fault}")

    def _carry_out(self):
        """The exit status, if the worker is to leave."""
        while effects := self._core.take_effects(time.monotonic()):
            for effect in effects:
                if isinstance(effect, core.Exit):
                    return effect.status
                self._do(effect)
        return None

    def _do(self, effect):
        if isinstance(effect, core.Send):
            try:
                self._push.send(codec.encode(effect.run, effect.message), zmq.DONTWAIT)
            except zmq.Again:
                pass  # as lost as any frame may be
        elif isinstance(effect, core.Start):
            self._slots.start(effect.slot, effect.call)
        elif isinstance(effect, core.Kill):
            self._core.on_ended(effect.slot, self._slots.kill(effect.slot), time.monotonic())
        elif isinstance(effect, core.Reopen):
            self._reopen()
        elif isinstance(effect, core.Close):
            self._close(0)
        else:
            self._say(effect.line)

    def _reopen(self):
        """Only the first session has to succeed: later ones are tried again."""
        self._close(0)
        try:
            self._core.on_opened(self._open(), time.monotonic())
        except OSError as error:
            self._close(0)
            if self._core.session == 0:
                raise endpoints.CannotListen(str(error)) from None
            self._say(f"{error}; trying again")

    def _open(self):
        self._pull, self._push = self._context.socket(zmq.PULL), self._context.socket(zmq.PUSH)
        for opened in self._pull, self._push:
            opened.linger, opened.connect_timeout, opened.handshake_ivl = 0, 3000, 8000
            opened.tcp_keepalive, opened.tcp_keepalive_idle, opened.tcp_keepalive_intvl, opened.tcp_keepalive_cnt = 1, 15, 5, 3
        self._pull.maxmsgsize = 17 << 20
        self._push.reconnect_ivl, self._push.reconnect_ivl_max = 100, 2000
        self._push.ipv6 = endpoints.is_ipv6(self._sink)
        self._push.connect(self._sink)
        place = endpoints.to_bind(self._options.listen, self._sink, self._directory)
        self._pull.ipv6 = endpoints.is_ipv6(place)
        try:
            self._pull.bind(place)
        except zmq.ZMQError as error:
            raise OSError(f"cannot listen on {self._options.listen or place}: {error.strerror}") from None
        return endpoints.reachable(self._pull.last_endpoint.rstrip(b"\0").decode(), self._sink)

    def _close(self, linger):
        if self._pull:
            bound = self._pull.last_endpoint.rstrip(b"\0").decode()
            self._pull.close(0)
            self._push.close(linger)
            if bound.startswith("ipc://") and os.path.exists(bound[6:]):
                os.unlink(bound[6:])
        self._pull = self._push = None

    def _say(self, line):
        """Once each, for what repeats itself every heartbeat."""
        if line not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(line)
            print(f"{self._name}: {line}", file=sys.stderr, flush=True)


def _runtime_directory():
    """Short, for the path of a socket."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return runtime if os.path.isabs(runtime) and os.access(runtime, os.W_OK | os.X_OK) else "/tmp"


def _catch_stops(descriptor):
    """Signals that stop write their number there; what undoes that."""
    wakeup = signal.set_wakeup_fd(descriptor)
    before = {number: signal.getsignal(number) for number in STOPS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda *_: None)

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
    return restore
