"""Strangers that connect to what the three programs listen on, while a run is under way: bytes that are no ZMTP, handshakes that are broken or of another
kind, and peers that shake hands as they should and then send frames that nobody may obey. Each job is done once, and nobody falls, swells or floods its log.

What is sent follows from the seed. A frame that a role may rightly obey is not among them: who may connect without keys is trusted to that extent, so frames that
name this run are broken by construction, or of a worker, an epoch or an attempt that there is not.
"""
import contextlib
import os
import pathlib
import re
import socket
import struct
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))

import msgpack  # noqa: E402
from pushmill import codec  # noqa: E402

from support import EndToEnd, PATIENCE, Ring, SLOWNESS, is_finished, peak_megabytes, processor_time, query, wait_until  # noqa: E402

EXAMPLES = (ROOT / "tests/wire/golden_v1.txt").read_text().replace(b"tcp://10.0.0.7:40123".hex(), b"tcp://127.0.0.1:0009".hex())  # nobody, and on this host
GOLDEN = [bytes.fromhex(line.split()[1]) for line in EXAMPLES.splitlines() if not line.startswith("spec")]
TO_SINK, TO_VENTILATOR, TO_WORKER = ([frame for frame in GOLDEN if msgpack.unpackb(frame, raw=True)[1] in numbers]
                                     for numbers in (range(0, 32), range(32, 48), range(48, 64)))
WITHOUT_RUN = [frame for frame in TO_SINK if msgpack.unpackb(frame, raw=True)[1] in (1, 3)]  # STATE and BYE may come without one
NO_RUN, FLOOD, NEWCOMERS, ROUNDS = bytes(16), 4000, 1000, 3
MOST_MEGABYTES = 64 if SLOWNESS == 1 else 1024  # of any role; one that kept what is sent to it would need hundreds. Sanitizers keep what was freed
STRANGERS, MOST_LINES = 10, 60  # workers that there are not, of each of which it may be said now and then why it cannot be reached; and what a role says at most
LISTENING = "0A"  # in /proc/net/tcp
WRONG_KINDS = (b"PULL", b"REP", b"REQ", b"DEALER", b"ROUTER", b"PUB", b"SUB", b"XPUB", b"XSUB", b"PAIR", b"STREAM", b"", b"push", b"PUSH\0", b"?" * 300)
WRONG_MECHANISMS = (b"PLAIN", b"CURVE", b"GSSAPI", b"null", b"", b"NULL2", b"\xff" * 20)
NOWHERE = ("", "garbage", "tcp://", "tcp://*:*", "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999", "tcp://[::1", "ipc:///", "ipc:///dev/null", "inproc://", "inproc://x",
           "inproc://zeromq.zap.01", "pgm://127.0.0.1:9", "tcp://127.0.0.1:9", "tcp://\0:9", "\n" * 250)


def listening_port(pid):
    """The port of 127.0.0.1 that a program listens on; none while a worker begins a new session."""
    inodes = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{pid}/fd/{entry}").removeprefix("socket:[").rstrip("]"))
    rows = [line.split() for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    ports = [int(row[1].partition(":")[2], 16) for row in rows if row[3] == LISTENING and row[9] in inodes]
    return ports[0] if ports else None


def connected(program):
    def attempt():
        port = listening_port(program.pid)
        with contextlib.suppress(ConnectionError):
            return port and socket.create_connection(("127.0.0.1", port), PATIENCE)
    return wait_until(attempt, f"a connection to {program.name}")


# ---- ZMTP 3, as little of it as is needed to speak it, and to speak it wrongly

def greeting(mechanism=b"NULL", version=(3, 0), as_server=0, signature=b"\xff" + bytes(8) + b"\x7f"):
    return signature + bytes(version) + mechanism.ljust(20, b"\0")[:20] + bytes([as_server]) + bytes(31)


def frame(body, flags=0):
    return bytes([flags, len(body)]) + body if len(body) < 256 else bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def command(name, body=b""):
    return frame(bytes([len(name)]) + name + body, 4)


def ready(kind=b"PUSH"):
    return command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind)


class Client:
    def __init__(self, program):
        self.socket = connected(program)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Whether the other side still takes it."""
        try:
            self.socket.sendall(data)
            return True
        except ConnectionError:
            return False

    def greets(self, kind=b"PUSH"):
        """Shakes hands; whether the other side did."""
        heard = b""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(greeting() + ready(kind))
            while b"\x05READY" not in heard:
                part = self.socket.recv(4096)
                if not part:
                    return False
                heard += part
            return True
        return False

    def is_hung_up_on(self):
        """Waits for the other side to hang up."""
        try:
            while self.socket.recv(4096):
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False


class HostileClients(EndToEnd):
    JOBS, BEFORE = 60, 40  # those behind BEFORE wait for the end of the storm

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: self.has_failed and print(f"again: PUSHMILL_E2E_SEED={self.seed}"))

    def client(self, role):
        return Client(self.roles[role])

    # ---- frames that nobody may obey

    def mutated(self, data):
        """Some bytes of it changed, taken out, doubled or cut."""
        data = bytearray(data)
        for _ in range(self.random.randrange(1, 6)):
            at, to = self.random.randrange(len(data) + 1), self.random.randrange(len(data) + 1)
            how = self.random.randrange(5)
            if how == 0 and at < len(data):
                data[at] = self.random.randrange(256)
            elif how == 1 and at < len(data):
                data[at] ^= 1 << self.random.randrange(8)
            elif how == 2:
                data[at:at] = self.random.randbytes(self.random.randrange(1, 10))
            elif how == 3:
                del data[at:at + self.random.randrange(1, 10)]
            elif how == 4:
                data[at:at] = data[min(at, to):max(at, to)]
        return bytes(data)

    def broken(self, data):
        """Malformed by construction, of whatever run and number it is."""
        fields = msgpack.unpackb(data, raw=True, strict_map_key=False)
        at = self.random.randrange(3, len(fields))
        choice = self.random.randrange(6)
        if choice == 0:
            return data[:self.random.randrange(1, len(data))]
        if choice == 1:
            return data + self.random.randbytes(self.random.randrange(1, 40))
        if choice == 2:
            return msgpack.packb([*fields[:at], 1.5, *fields[at + 1:]])
        if choice == 3:
            return msgpack.packb(fields[:at])[:-1] + self.random.choice((b"\xdd", b"\xdb", b"\xc6", b"\xdf")) + b"\xff" * 4
        if choice == 4:
            return msgpack.packb([self.random.choice((0, 2, 255, 1 << 40)), *fields[1:]])
        return msgpack.packb(fields[:at])[:-1] + b"\x91" * 5000

    def with_run(self, data, run):
        was = msgpack.unpackb(data, raw=True, strict_map_key=False)[2]
        return data.replace(was, run, 1)

    def strange_state(self, run):
        """Of a worker that there is not, at a place where nobody is."""
        pick = self.random.choice
        numbers = (0, 1, 1 << 31, (1 << 63) - 1, (1 << 64) - 1)
        held = [((pick(numbers), pick(numbers[2:]), pick(numbers)), pick((0, 1, 2))) for _ in range(pick((0, 1, 50)))]
        return codec.encode(run, codec.State(pick(self.fake_workers), pick(numbers[1:]), pick(numbers), pick(self.places), pick(("", "K" * 200)),
                                             pick(("", "host", "\x1b[2J" * 20)), pick((0, 1, (1 << 32) - 1)), (pick(numbers[2:]), pick(numbers)),
                                             pick(numbers), held, pick(numbers)))

    def frame_for(self, role):
        """One that is not to be obeyed by that role."""
        examples = {"sink": TO_SINK, "ventilator": TO_VENTILATOR, "worker": TO_WORKER}[role]
        example, choice = self.random.choice(examples), self.random.randrange(8)
        if choice == 0:
            return self.random.randbytes(self.random.choice((0, 1, 2, 20, 500)))
        if choice == 1:
            return self.with_run(self.random.choice(GOLDEN), self.random.randbytes(16))  # another run
        if choice == 2:
            return self.mutated(self.with_run(example, self.random.randbytes(16)))
        if choice == 3:
            return self.with_run(self.random.choice([data for data in GOLDEN if data not in WITHOUT_RUN]), NO_RUN)
        if choice == 4 and role == "sink":
            return self.strange_state(self.random.choice((NO_RUN, self.run_id)))
        if choice == 5 and role != "sink":  # of another epoch than the first, or for another worker
            return self.with_run(example, self.run_id)
        if choice == 6 and role == "worker":
            return self.mutated(self.with_run(example, self.run_id))  # for another worker, whatever else becomes of it
        return self.broken(self.with_run(example, self.run_id))

    # ---- what is thrown at a port

    def throw_bytes(self, role):
        """No ZMTP: the other side may wait for more of it."""
        for data in (self.random.randbytes(self.random.randrange(1, 3000)), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                     b"\0" * 1000, b"\xff" * 1000, b"\x01\x00" + self.frame_for("sink")[:100]):  # the last one: ZMTP 1, a length of 1 and no identity
            with self.client(role) as client:
                client.send(data)

    def throw_greetings(self, role):
        for _ in range(10):
            with self.client(role) as client:
                client.send((greeting() + ready())[:self.random.randrange(1, 64)])
            with self.client(role) as client:
                client.send(self.mutated(greeting() + ready()) + self.random.randbytes(30))
        for version in ((0, 0), (1, 0), (2, 0), (3, 1), (3, 255), (255, 255)):
            with self.client(role) as client:
                client.send(greeting(version=version) + ready())

    def throw_handshakes(self, role):
        """Every peer that is of another kind, or wants another mechanism, is hung up on."""
        for kind in WRONG_KINDS:
            with self.client(role) as client:
                client.send(greeting() + ready(kind) + frame(b"x"))
                self.assertTrue(client.is_hung_up_on(), f"a {kind} is not hung up on")
        for mechanism in WRONG_MECHANISMS:
            with self.client(role) as client:
                client.send(greeting(mechanism, as_server=self.random.randrange(2)) + ready() + frame(b"x"))
                self.assertTrue(client.is_hung_up_on(), f"mechanism {mechanism} is not hung up on")
        properties = b"\x0bSocket-Type"
        for body in (b"", properties, properties + b"\xff\xff\xff\xffPUSH", properties + b"\0\0\0\x05PUSH", b"\xff" * 300, b"\0" * 300):
            with self.client(role) as client:
                client.send(greeting() + command(b"READY", body))
        for words in (command(b"ERROR", b"\x05wrong"), command(b"HELLO"), command(b"INITIATE"), command(b"SUBSCRIBE", b"x"), frame(b"x"), b"\x04\x00", b"\x06" + b"\xff" * 8):
            with self.client(role) as client:
                client.send(greeting() + words + ready())

    def throw_frames(self, role):
        with self.client(role) as client:
            self.assertTrue(client.greets(), f"{role} does not shake hands")
            for _ in range(100):
                client.send(frame(self.frame_for(role)))
        with self.client(role) as client:  # several frames of one message, and commands in between
            client.greets()
            for _ in range(20):
                client.send(frame(self.frame_for(role), 1) + frame(self.frame_for(role)) + command(b"PING", b"\xff\xff") + command(b"PONG") + command(b"?" * 50))
        for length in (17 << 20) + 1, 1 << 32, (1 << 63) - 1, (1 << 64) - 1:
            with self.client(role) as client:
                client.greets()
                client.send(b"\x02" + struct.pack(">Q", length) + bytes(1000))
                self.assertTrue(client.is_hung_up_on(), f"a frame of {length} bytes is not hung up on")
        for _ in range(5):  # as much as is allowed, of which little comes
            with self.client(role) as client:
                client.greets()
                client.send(b"\x02" + struct.pack(">Q", 17 << 20) + bytes(100_000))
        with self.client(role) as client:
            client.greets()
            client.send(frame(bytes([0x9e, 1, 1]) + bytes(8 << 20)) + frame(b"\x91" * (4 << 20)))
        with self.client(role) as client:
            client.greets()
            client.send(b"".join(frame(self.frame_for(role)) for _ in range(FLOOD)))

    def throw_newcomers(self):
        """Workers without end that can be reached nowhere, and say that they hold what nobody gave them."""
        with self.client("sink") as client:
            client.greets()
            for n in range(NEWCOMERS):
                held = [((1000 + n, 1, 7), 1)] * (n % 2)
                client.send(frame(codec.encode(NO_RUN, codec.State(self.random.randbytes(16), 1, 1, "garbage", "", "host", 1, (0, 0), 8, held, 0))))

    # ---- the run

    def begin(self, ring):
        self.journal_, (wait, self.go) = self.journal(), self.gate()
        ring.start_sink("--durability", "process")
        ring.start_ventilator("--heartbeat", "500ms", "--lease", "10s", "--durability", "process", self.journal_.job(f"[ {{}} -le {self.BEFORE} ] || {{ {wait}; }}; echo"),
                              records=range(1, self.JOBS + 1))
        for _ in range(2):
            ring.start_worker("-j2")
        wait_until(lambda: self.journal_.starts(), "the first job")
        self.fake_workers = [self.random.randbytes(16) for _ in range(STRANGERS)]
        self.run_id, = query(ring.run, "SELECT value FROM meta WHERE key = 'run'", file="jobs.db")[0]
        self.roles = {"sink": ring.sink, "ventilator": ring.ventilator, "worker": ring.workers[0], "other worker": ring.workers[1]}
        self.places = [*NOWHERE, ring.endpoint, f"tcp://127.0.0.1:{listening_port(ring.ventilator.pid)}"]
        self.begun = time.monotonic()

    def assert_counted(self):
        """The first frame that is dropped is said at once, then how many they were, every ten seconds in which there are more."""
        said = re.compile(r": dropped ([0-9]+) frames, the last one: ")

        def has_counted(role):
            with self.client(role) as client:
                client.greets()
                client.send(frame(b"x"))
            return sum(map(int, said.findall(self.roles[role].err))) > ROUNDS * FLOOD // 2

        for role in "sink", "ventilator", "worker":
            self.roles[role].wait_for(": dropped a frame: ")
            wait_until(lambda: has_counted(role), f"{role} to have said that it dropped most of what was sent")
        self.assertNotIn("dropped", self.roles["other worker"].err, "nobody has sent it anything")

    def end(self, ring):
        for name, program in self.roles.items():
            self.assertTrue(program.is_running(), f"{name} has ended with {program.process.poll()} and said:\n{program.err}")
        wait_until(is_finished(ring.run, self.BEFORE), "the jobs that wait for nothing")
        before, since = {name: processor_time(program.pid) for name, program in self.roles.items()}, time.monotonic()
        wait_until(lambda: time.monotonic() > since + 2, "some time to pass")
        for name, program in self.roles.items():
            self.assertLess((processor_time(program.pid) - before[name]) / (time.monotonic() - since), 0.5 * SLOWNESS, f"{name} spins")
            self.assertLess(peak_megabytes(program.pid), MOST_MEGABYTES, f"{name} has swollen")
        self.go()
        ring.wait()
        for name, program in self.roles.items():
            passed = time.monotonic() - self.begun
            self.assertLess(program.err.count("\n"), MOST_LINES + passed / 10, f"{name} floods its log:\n{program.err[:20000]}")
            self.assertLessEqual(len(re.findall("dropped (a|[0-9]+) frame", program.err)), 1 + passed / 10, f"{name} says too often what it dropped:\n{program.err[:20000]}")
        self.assert_all_ok(ring.run, self.JOBS, self.journal_)
        self.assertEqual(self.journal_.starts(), {job: 1 for job in range(1, self.JOBS + 1)}, "each job is run once")
        self.assertEqual(len(ring.sink.out.splitlines()), self.JOBS, "outputs")

    def test_strangers_at_every_port(self):
        ring = Ring(self, "tcp")
        self.begin(ring)
        for _ in range(ROUNDS):
            for role in self.random.sample(("sink", "ventilator", "worker"), 3):
                throws = self.throw_bytes, self.throw_greetings, self.throw_handshakes, self.throw_frames
                for throw in self.random.sample(throws, len(throws)):
                    throw(role)
            self.throw_newcomers()
        self.assert_counted()
        self.end(ring)


if __name__ == "__main__":
    unittest.main()
