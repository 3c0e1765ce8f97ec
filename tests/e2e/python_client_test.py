"""clients/python without sockets: its codec against the golden bytes, values in print, and the processes of its slots."""
import pathlib
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))

import msgpack  # noqa: E402

from pushmill import codec, slots, values  # noqa: E402
from pushmill.codec import Bye, Ctrl, Free, Item, Job, Output, Refused, Result, State  # noqa: E402
from pushmill.core import Core, Send  # noqa: E402

RUN, WORKER = bytes(range(0x10, 0x20)), bytes(range(0xa0, 0xb0))


class Golden(unittest.TestCase):
    GOLDEN = {name: bytes.fromhex(text) for name, text in map(str.split, (ROOT / "tests/wire/golden_v1.txt").read_text().splitlines())}

    def test_what_a_worker_sends(self):
        state = State(WORKER, 4, 5, "tcp://10.0.0.7:40123", "K", "node7", 8, (2, 3), 20, [((17, 2, 9), 2), ((18, 2, 10), 1), ((300, 2, 1000), 0)], 1_048_576)
        first = State(WORKER, 1, 1, "tcp://10.0.0.7:40123", "", "node7", 8, (0, 0), 0, [])
        items = [Item((17, 2, 9), codec.FAILED, -7, 15, 4, 1_700_000_000_000_001, 1_700_000_000_250_002, 250_003, 1_004, 505, 70_006, b"out\0\xff\n", b"err\n", 6, 4,
                      b"sort < 'a b'", b"killed", b"a label"),
                 Item((18, 2, 10), codec.OK, slot=1, out=b"ok\n", out_bytes=3)]
        for name, message in (("STATE", state), ("STATE_first", first), ("RESULT", Result(WORKER, 4, (2, 3), 21, "node7", items)), ("BYE", Bye(WORKER, 4)),
                              ("OUTPUT", Output(WORKER, (17, 2, 9), 1, 262_144, b"part\0\xff"))):
            self.assertEqual(codec.encode(RUN, message).hex(), self.GOLDEN[name].hex(), name)

    def test_what_a_worker_reads(self):
        expected = {"JOB": Job(WORKER, 4, (2, 3), 20, 9, [((17, 2, 9), b"spec 17"), ((18, 2, 10), b"\0\xff")]),
                    "CTRL": Ctrl(WORKER, 4, (2, 3), 20, 5, [(17, 2, 9), (18, 2, 10)], True, 500_000, 20_000_000, True),
                    "REFUSED": Refused(WORKER, b"this sink serves another run"),
                    "FREE": Free(WORKER, 4, (2, 3), [((17, 2, 9), 0, 524_288)])}
        for name, message in expected.items():
            self.assertEqual(codec.decode(self.GOLDEN[name], codec.NO_RUN), (RUN, message))

    def test_specs(self):
        self.assertEqual(codec.decode_spec(self.GOLDEN["spec_call"]), codec.Call("echo", 1, b"\xa5hello", 60.0))
        self.assertEqual(codec.decode_spec(self.GOLDEN["spec_line"]).describe(), b"gzip -k 'a b' >out.")
        self.assertEqual(codec.decode_spec(self.GOLDEN["spec_argv"]).describe(), b"""grep -c 'it'"'"'s' ''""")

    def test_the_session_of_the_page(self):
        """Section 12 of PROTOCOL.md: what comes in is read, and what the core then says has these bytes."""
        frames = [bytes.fromhex(text) for text in page_frames()]
        state, opening, second, job = frames[:4]
        self.assertEqual(codec.encode(codec.NO_RUN, State(WORKER, 1, 1, "tcp://10.0.0.7:40001", "", "node7", 2, (0, 0), 0, [])), state)
        worker = Core(WORKER, "node7", 2, 0.0)
        sent = lambda: [codec.encode(effect.run, effect.message) for effect in worker.take_effects(0.0) if isinstance(effect, Send)]  # noqa: E731
        worker.on_opened("tcp://10.0.0.7:40001", 0.0)
        self.assertEqual(sent(), [state])
        worker.on_frame(*codec.decode(opening, codec.NO_RUN), 0.0)
        self.assertEqual(sent(), [second])
        self.assertEqual(codec.decode(job, RUN)[1].items[0][0], (1, 1, 1))
        worker.on_frame(*codec.decode(frames[-2], RUN), 0.0)
        self.assertEqual(sent(), [frames[-1]])


def page_frames():
    """The indented hex of section 12."""
    section = (ROOT / "shared/wire/PROTOCOL.md").read_text().partition("## 12.")[2]
    frames, open_ = [], False
    for line in section.splitlines():
        is_hex = line.startswith("    ") and set(line) <= set("0123456789abcdef ")
        if is_hex:
            frames[-1:] = [frames[-1] + line] if open_ else [*frames[-1:], line]
        open_ = is_hex
    return frames


class Frames(unittest.TestCase):
    CTRL = [1, 49, RUN, WORKER, 1, [1, 1], 0, 0, [], False, 1_000_000, 10_000_000, False, 0]

    def refuse(self, frame, run=codec.NO_RUN):
        with self.assertRaises(codec.Malformed):
            codec.decode(frame if isinstance(frame, bytes) else msgpack.packb(frame), run)

    def changed(self, index, value):
        return [*self.CTRL[:index], value, *self.CTRL[index + 1:]]

    def test_elements_behind_the_known_ones_are_ignored(self):
        for more in ([1, "x"], [{"a": {1: None}}], [{(1, 2): 3}]):
            self.assertIsInstance(codec.decode(msgpack.packb(self.CTRL + more), RUN)[1], Ctrl)

    def test_a_free_that_does_not_fit_is_dropped_whole(self):
        def free(*items):
            return [1, 51, RUN, WORKER, 1, [1, 1], list(items)]
        good = [[1, 1, 1], 1, 2**64 - 1]
        self.assertEqual(codec.decode(msgpack.packb(free(good + ["more"])), RUN)[1].items, [((1, 1, 1), 1, 2**64 - 1)])
        for item in ([], [[1, 1, 1], 0], [[1, 1], 0, 1], [[1, 1, 1], 2, 1], [[1, 1, 1], True, 1], [[1, 1, 1], -1, 1], [[1, 1, 1], 0, -1], [[1, 1, 1], 0, 1.0],
                     [[1, 1, 1], 0, None], [None, 0, 1], 7):
            self.refuse(free(good, item))
        self.refuse(free(*[good] * 8193))
        self.refuse(free()[:-1])
        frame = msgpack.packb(free(good))
        for size in range(len(frame)):
            self.refuse(frame[:size])
        for at in range(len(frame)):
            for value in (0x00, 0x91, 0xc0, 0xdd, 0xff):
                try:
                    codec.decode(frame[:at] + bytes([value]) + frame[at + 1:], RUN)
                except codec.Malformed:
                    pass

    def test_str_is_taken_for_bytes_and_bin_not_for_text(self):
        self.assertEqual(codec.decode(msgpack.packb([1, 50, RUN, WORKER, "why"]), RUN)[1].reason, b"why")
        with self.assertRaises(codec.Malformed):
            codec.decode_spec(msgpack.packb([2, 0, b"", b"handler", 1, b"\xc0"]))

    def test_what_does_not_fit_is_dropped_whole(self):
        for frame in (b"", b"\xc1", b"\xdd\xff\xff\xff\xff", msgpack.packb(self.CTRL) + b"\0", self.CTRL[:-1], {}, "text", self.changed(0, 2), self.changed(1, 52),
                      self.changed(1, "CTRL"), self.changed(2, b"short"), self.changed(4, -1), self.changed(4, 1.0), self.changed(5, [1]), self.changed(8, [[1, 2]]),
                      self.changed(8, [[1, 2, 3]] * 8193), self.changed(9, 1), self.changed(10, 0), self.changed(11, 10**15 + 1), self.changed(12, 1), self.CTRL + [nested(16)]):
            self.refuse(frame)
        self.refuse(self.CTRL, run=bytes(15) + b"x")
        self.assertTrue(codec.decode(msgpack.packb(self.CTRL + [nested(15)]), RUN))


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


class Values(unittest.TestCase):
    def test_in_print(self):
        """As tests/wire/value_test.cc has them."""
        for value, text in ((0, "0"), (-2**63, "-9223372036854775808"), (2**64 - 1, "18446744073709551615"), (0.1, "0.1"), (1.0, "1.0"), (-0.0, "-0.0"), (1e300, "1e+300"),
                            (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"), (1e5, "1e+05"), (123456.0, "123456.0"), (0.0001, "1e-04"),
                            (0.00012, "0.00012"), (2.0**70, "1180591620717411303424.0"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"), (float("nan"), "NaN"),
                            (None, "null"), (True, "true"), ([], "[]"), ({}, "{}"), ([1, 'a"\n', False], '[1,"a\\"\\n",false]'),
                            ({"k": [None], 5: 6, b'\xff"': 7}, '{"k":[null],"5":6,"\\u00ff\\"":7}'), ([b"\0\xe9z", "é"], '["\\u0000\\u00e9z","é"]'),
                            (["\udcff"], '["\\u00ff"]'), (msgpack.ExtType(5, b"\7"), '{"ext":5,"data":"\\u0007"}'),
                            (msgpack.Timestamp(1), '{"ext":-1,"data":"\\u0000\\u0000\\u0000\\u0001"}'), ("a\nb", "a\nb"), ({None: 1.5}, '{"null":1.5}')):
            self.assertEqual(values.as_output(value), text.encode(), value)
        self.assertEqual(values.as_output(b"\0\xff"), b"\0\xff")
        self.assertEqual(values.as_output("\udcff"), b"\xff")

    def test_what_cannot_be_printed(self):
        self.assertTrue(values.as_output(nested(16)))
        for value in (nested(17), {(1, 2): 3}):
            with self.assertRaises(ValueError):
                values.as_output(value)
        self.assertEqual(codec.Call("f", 1, b"\x92", 0).describe(), b"f (unreadable arguments)")


class SlotsTest(unittest.TestCase):
    def setUp(self):
        self.slots = slots.Slots({("sleep", 1): time.sleep, ("pid", 1): lambda _: slots.os.getpid(), ("times", 1): lambda n: "x" * n}, 1)
        self.addCleanup(self.slots.close)

    def call(self, handler, argument):
        self.slots.start(1, codec.Call(handler, 1, argument, 0))
        return self.wait

    def wait(self):
        while (item := self.slots.collect(1)) is None:
            slots.select.select(list(self.slots.descriptors()), [], [], 10)
        return item

    def test_a_slot_keeps_its_process(self):
        self.assertEqual(self.call("pid", b"\xc0")().out, self.call("pid", b"\xc0")().out)

    def test_a_killed_call_ends_now_and_the_slot_goes_on(self):
        self.call("sleep", msgpack.packb(1000))
        item = self.slots.kill(1)
        self.assertEqual((item.outcome, item.signal), (codec.FAILED, 9))
        self.assertEqual(self.call("sleep", b"\x00")().out, b"null\n")

    def test_a_process_that_dies_idle_is_replaced(self):
        first = int(self.call("pid", b"\xc0")().out)
        slots.os.kill(first, 9)
        slots.select.select(list(self.slots.descriptors()), [], [], 10)
        self.assertNotEqual(int(self.call("pid", b"\xc0")().out), first)

    def test_a_result_of_any_size_comes_whole(self):
        item = self.call("times", msgpack.packb(10_000_000))()
        self.assertEqual((item.outcome, item.out, item.out_bytes), (codec.OK, b"x" * 10_000_000 + b"\n", 10_000_001))

    def test_arguments_that_cannot_be_read(self):
        item = self.call("pid", b"\x92")()
        self.assertEqual(item.outcome, codec.FAILED)
        self.assertTrue(item.reason.startswith(b"the arguments cannot be read: not one msgpack value"), item.reason)


if __name__ == "__main__":
    unittest.main()
