"""The core of clients/python, event by event."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))

import msgpack  # noqa: E402

from pushmill import codec  # noqa: E402
from pushmill.codec import Bye, Ctrl, Free, Item, Job, Output, Refused, Result  # noqa: E402
from pushmill.core import WINDOW, Close, Core, Exit, Kill, Reopen, Say, Send, Start  # noqa: E402

RUN, WORKER = bytes(range(0x10, 0x20)), bytes(range(0xa0, 0xb0))


def call(arguments="x", handler="f", version=1, limit=0, label=b""):
    return msgpack.packb([2, limit, label, handler, version, msgpack.packb(arguments)])


# A stream, its parts that a window has, and the others.
DATA, PART = bytes(n * 7 % 251 for n in range(1_500_000)), codec.MAX_PART
FIRST = [(n * PART, PART) for n in range(4)]
REST = [(4 * PART, PART), (5 * PART, len(DATA) - 5 * PART)]


class CoreTest(unittest.TestCase):
    """The core with two slots; time stands still unless a test moves it."""

    def setUp(self):
        self.now = 100.0
        self.core = Core(WORKER, "host", 2, self.now, head_timeout=60, hold_timeout=3600)
        self.assertEqual(self.effects(), [Reopen()])
        self.opened()

    def opened(self):
        self.core.on_opened("ipc://here", self.now)
        (state,) = self.sent()
        self.assertEqual((state.generation, state.limit), ((0, 0), 0))
        return state

    def effects(self):
        return [effect for effect in self.core.take_effects(self.now) if not isinstance(effect, Say)]

    def sent(self):
        effects = self.effects()
        self.assertEqual({type(effect) for effect in effects} - {Send}, set(), effects)
        return [effect.message for effect in effects]

    def ctrl(self, generation=(1, 1), echo=0, confirms=(), complete=False, limit=0, heartbeat=1.0, lease=10.0, session=None, run=RUN, no_overlap=False,
             halt=codec.NO_HALT):
        message = Ctrl(WORKER, session or self.core.session, generation, limit, echo, list(confirms), complete, int(heartbeat * 1e6), int(lease * 1e6), no_overlap, halt)
        self.core.on_frame(run, message, self.now)

    def job(self, *attempts, first=None, generation=(1, 1), spec=None, session=None):
        items = [(attempt, call() if spec is None else spec) for attempt in attempts]
        first = self.core.received + 1 if first is None else first
        self.core.on_frame(RUN, Job(WORKER, session or self.core.session, generation, 0, first, items), self.now)

    def attach(self):
        self.ctrl(echo=1)
        (state,) = self.sent()
        self.assertEqual((state.generation, state.limit), ((1, 1), 2))

    def run_jobs(self, *attempts):
        """Given to an attached core, started."""
        self.job(*attempts)
        self.assertEqual([type(effect) for effect in self.effects()], [Start] * len(attempts))

    def end(self, slot, **more):
        self.core.on_ended(slot, Item(None, **{"outcome": codec.OK, "out": b"1\n", "out_bytes": 2, **more}), self.now)

    def pass_time(self, seconds):
        self.now += seconds
        self.core.on_time(self.now)

    # ---- generations, limits

    def test_a_state_each_heartbeat(self):
        first = self.core.state_seq
        self.pass_time(0.9)
        self.assertEqual(self.sent(), [])
        self.pass_time(0.1)
        (state,) = self.sent()
        self.assertEqual(state.state_seq, first + 1)
        self.ctrl(heartbeat=0.25)
        self.sent()
        self.pass_time(0.25)
        self.assertEqual(len(self.sent()), 1)

    def test_a_job_starts_and_its_result_asks_for_the_next(self):
        self.attach()
        self.job((1, 1, 1), spec=call(label=b"l"))
        self.assertEqual(self.effects(), [Start(1, codec.decode_spec(call(label=b"l")))])
        self.end(1)
        (result,) = self.sent()
        self.assertEqual((result.limit, result.generation), (3, (1, 1)))
        self.assertEqual(result.items, [Item((1, 1, 1), codec.OK, slot=1, out=b"1\n", out_bytes=2, command=b"f x", label=b"l")])

    def test_a_slot_serves_one_job_after_another(self):
        self.attach()
        self.run_jobs((1, 1, 1), (2, 1, 2))
        for n in range(3, 9):
            self.end(1 + n % 2)
            self.sent()
            self.run_jobs((n, 1, n))

    def test_a_job_that_is_the_first_of_a_higher_generation_is_taken(self):
        self.attach()
        self.job((1, 2, 1), generation=(2, 1), first=1)
        self.assertEqual([type(effect) for effect in self.effects()], [Start, Send])

    def test_jobs_that_are_repeated_or_were_not_asked_for_are_ignored(self):
        self.attach()
        self.run_jobs((1, 1, 1), (2, 1, 2))
        self.job((1, 1, 1), (2, 1, 2), first=1)
        self.job((3, 1, 3), first=3)  # above the limit
        self.assertEqual(self.effects(), [])
        self.assertEqual(self.core.ignored, 3)

    def test_an_attempt_that_is_held_is_counted_and_not_run_twice(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.job((1, 1, 1))
        (state,) = self.sent()
        self.assertEqual((self.core.received, state.limit, state.held), (2, 3, [((1, 1, 1), codec.RUNNING)]))
        self.end(1)
        self.sent()
        self.job((1, 1, 1))  # ended, and not confirmed
        (state,) = self.sent()
        self.assertEqual(state.held, [((1, 1, 1), codec.ENDED)])

    def test_frames_of_others_are_ignored(self):
        self.attach()
        self.ctrl(generation=(0, 9), confirms=[(1, 1, 1)])
        self.ctrl(session=7, complete=True)
        self.ctrl(run=bytes(15) + b"x", complete=True)
        self.core.on_frame(RUN, Ctrl(bytes(16), 1, (9, 9), 0, 0, [], True, 1, 1, False), self.now)
        self.assertEqual(self.effects(), [])
        self.assertEqual(self.core.ignored, 4)

    def test_a_higher_generation_begins_at_zero_and_is_answered_at_once(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.ctrl(generation=(1, 2))
        (state,) = self.sent()
        self.assertEqual((state.generation, state.limit, state.held), ((1, 2), 1, [((1, 1, 1), codec.RUNNING)]))
        self.job((2, 1, 2), generation=(1, 1))
        self.assertEqual(self.effects(), [])
        self.job((3, 2, 1), generation=(1, 2))
        self.assertEqual([type(effect) for effect in self.effects()], [Start])

    def test_with_results_that_nobody_confirms_no_more_is_asked_for(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.end(1, out=b"x" * (8 << 20))
        self.sent()
        self.free(1, 0, 8 << 20)  # stored, but the result is not
        self.assertEqual(self.sent()[-1].limit, 2)
        self.ctrl(confirms=[(1, 1, 1)])
        (state,) = self.sent()
        self.assertEqual(state.limit, 3)

    def test_results_go_in_batches(self):
        self.attach()
        self.run_jobs((1, 1, 1), (2, 1, 2))
        self.end(1, out=b"x" * 60_000, err=b"x" * 10_000)
        self.end(2, out=b"x" * 65_536)
        self.assertEqual([len(result.items) for result in self.sent()], [1, 1])

    # ---- echoes and confirms

    def test_a_result_is_sent_again_only_when_a_later_state_is_echoed(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.end(1)
        self.assertEqual(len(self.sent()), 1)
        self.ctrl(echo=2)  # the STATE before it
        self.assertEqual(self.sent(), [])
        self.pass_time(1)
        (state,) = self.sent()
        self.assertEqual((state.state_seq, state.held), (3, [((1, 1, 1), codec.ENDED)]))
        self.ctrl(echo=4)  # not said yet: no echo
        self.assertEqual(self.sent(), [])
        self.ctrl(echo=3)
        (again,) = self.sent()
        self.assertEqual(again.items[0].attempt, (1, 1, 1))
        self.ctrl(echo=3)
        self.assertEqual(self.sent(), [])

    def test_a_confirm_comes_before_the_echo_beside_it(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.end(1)
        self.sent()
        self.pass_time(1)
        self.sent()
        self.ctrl(echo=3, confirms=[(1, 1, 1), (9, 9, 9)])
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.core.results, {})

    # ---- outputs that go ahead

    def free(self, job, stream, length, generation=(1, 1), session=None):
        self.core.on_frame(RUN, Free(WORKER, session or self.core.session, generation, [((job, 1, job), stream, length)]), self.now)

    def outputs(self):
        """(offset, length) of each part of DATA that is sent, None for a RESULT, nothing for a STATE."""
        found = []
        for message in self.sent():
            if isinstance(message, Result):
                found.append(None)
            if not isinstance(message, Output):
                continue
            found.append((message.offset, len(message.bytes)))
            self.assertEqual((message.attempt, message.stream), ((1, 1, 1), 0))
            self.assertTrue(message.bytes == DATA[message.offset:message.offset + len(message.bytes)], found)
        return found

    def stream(self, size=len(DATA)):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.end(1, out=DATA[:size], out_bytes=size)

    def state_and_echo(self):
        self.pass_time(1)
        (state,) = self.sent()
        self.ctrl(echo=state.state_seq)

    def test_64_kib_go_in_the_result_and_one_byte_more_ahead_of_it(self):
        self.stream(65_536)
        (result,) = self.sent()
        self.assertEqual(result.items[0].out, DATA[:65_536])
        self.ctrl(confirms=[(1, 1, 1)])
        self.run_jobs((2, 1, 2))
        self.end(1, outcome=codec.FAILED, out=b"", out_bytes=0, err=DATA[:65_537], err_bytes=65_537)
        output, result = self.sent()
        self.assertEqual(output, Output(WORKER, (2, 1, 2), 1, 0, DATA[:65_537]))
        (item,) = result.items
        self.assertEqual((item.attempt, item.out, item.err, item.out_bytes, item.err_bytes), ((2, 1, 2), b"", b"", 0, 65_537))

    def test_the_result_is_behind_the_last_part_and_that_in_the_window(self):
        self.stream()
        self.assertEqual(self.outputs(), FIRST)
        self.free(1, 0, WINDOW - 1)
        self.assertEqual(self.outputs(), [*REST, None])
        self.free(1, 0, len(DATA))
        self.assertEqual(self.sent(), [])
        self.assertEqual(list(self.core.results), [(1, 1, 1)])

    def test_an_echo_sends_again_what_is_not_freed_and_then_the_result(self):
        self.stream()
        self.outputs()
        self.state_and_echo()
        self.assertEqual(self.outputs(), FIRST)  # its result was not sent
        self.pass_time(1)
        (state,) = self.sent()
        self.free(1, 0, PART - 1)
        self.assertEqual(self.outputs(), [(4 * PART, PART)])
        self.ctrl(echo=state.state_seq)  # the STATE before the new part
        self.assertEqual(self.outputs(), [])
        self.state_and_echo()
        self.assertEqual(self.outputs(), [(n * PART - 1, PART) for n in range(1, 5)])
        self.free(1, 0, 5 * PART - 1)
        self.assertEqual(self.outputs(), [(5 * PART - 1, len(DATA) - 5 * PART + 1), None])
        self.free(1, 0, len(DATA))
        self.state_and_echo()
        self.assertEqual(self.outputs(), [None])

    def test_a_confirm_ends_an_output_on_its_way(self):
        self.stream()
        self.outputs()
        self.ctrl(confirms=[(1, 1, 1)])
        self.free(1, 0, 5)
        self.assertEqual((self.sent(), self.core.results), ([], {}))

    def test_a_free_frees_no_more_than_there_is_and_nothing_twice(self):
        self.stream()
        self.assertEqual(self.outputs(), FIRST)
        for job, stream, length, generation, session in ((1, 1, 10**6, (1, 1), 1), (2, 0, 10**6, (1, 1), 1), (1, 0, 0, (1, 1), 1), (1, 0, 10**6, (0, 9), 1),
                                                         (1, 0, 10**6, (1, 1), 9)):
            self.free(job, stream, length, generation, session)
            self.assertEqual(self.sent(), [])
        self.free(1, 0, 2 * PART)
        self.assertEqual(self.outputs(), [*REST, None])
        self.free(1, 0, PART)
        self.state_and_echo()
        self.assertEqual(self.outputs(), [*FIRST[2:], *REST, None])
        self.free(1, 0, 2**64 - 1)
        self.state_and_echo()
        self.assertEqual(self.outputs(), [None])

    def test_a_free_may_be_the_first_frame_of_a_generation(self):
        self.stream()
        self.outputs()
        self.free(1, 0, WINDOW, generation=(1, 2))
        *parts, result, state = self.sent()
        self.assertEqual(([part.offset for part in parts], result.generation, state.generation), ([offset for offset, _ in REST], (1, 2), (1, 2)))

    def test_a_new_session_goes_on_from_what_is_freed(self):
        self.stream()
        self.outputs()
        self.free(1, 0, 2 * PART)
        self.outputs()
        for _ in range(4):
            self.pass_time(1)
        self.assertIn(Reopen(), self.effects())
        self.core.on_opened("ipc://there", self.now)
        (state,) = self.sent()
        self.ctrl(generation=(1, 2), echo=state.state_seq)
        *parts, result, state = self.sent()
        self.assertEqual([part.offset for part in parts], [offset for offset, _ in (*FIRST[2:], *REST)])
        self.assertEqual([(item.attempt, item.out, item.out_bytes) for item in result.items], [((1, 1, 1), b"", len(DATA))])
        self.assertEqual(state.held, [((1, 1, 1), codec.ENDED)])

    # ---- sessions

    def test_without_echoes_a_new_session_holds_what_the_old_one_did(self):
        self.attach()
        self.run_jobs((1, 1, 1), (2, 1, 2))
        self.end(1)
        self.sent()
        while Reopen() not in (effects := self.effects()):
            self.assertLess(self.now, 105)
            self.ctrl(echo=1)  # the same once more is none
            self.pass_time(0.5)
        self.assertEqual(self.now, 104)
        self.core.on_opened("ipc://there", self.now)
        (state,) = self.sent()
        self.assertEqual((state.session, state.endpoint, state.generation, state.limit), (2, "ipc://there", (0, 0), 0))
        self.assertEqual(sorted(state.held), [((1, 1, 1), codec.ENDED), ((2, 1, 2), codec.RUNNING)])
        self.ctrl(generation=(1, 2), echo=state.state_seq)
        result, state = self.sent()
        self.assertEqual([item.attempt for item in result.items], [(1, 1, 1)])
        self.assertEqual(state.limit, 1)

    def test_echoes_keep_the_session_and_the_worker(self):
        self.attach()
        for _ in range(70):
            self.pass_time(1)
            (state,) = self.sent()
            self.ctrl(echo=state.state_seq)
        self.assertEqual(self.core.session, 1)

    def test_the_wait_doubles_up_to_the_lease(self):
        waits = []
        for _ in range(4):
            since = self.now
            while Reopen() not in self.effects():
                self.pass_time(0.5)
            waits.append(self.now - since)
            self.opened()
        self.assertEqual(waits, [4, 8, 10, 10])

    def test_what_cannot_be_opened_is_tried_again(self):
        self.pass_time(4)
        self.assertEqual(self.effects(), [Reopen()])
        self.pass_time(4)
        self.assertEqual(self.effects(), [])
        self.pass_time(4)
        self.assertEqual(self.effects(), [Reopen()])

    # ---- ends

    def test_complete_kills_what_runs(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.ctrl(complete=True)
        self.assertEqual(self.effects(), [Kill(1), Send(RUN, Bye(WORKER, 1)), Exit(0)])
        self.end(1, signal=9)
        self.assertEqual(self.effects(), [])

    def test_stop_cancels_what_runs_and_waits_for_the_confirms(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.core.on_stop(143, self.now)
        self.assertEqual(self.effects(), [Kill(1)])
        self.end(1, outcome=codec.FAILED, signal=9)
        (result,) = self.sent()
        self.assertEqual([(item.outcome, item.reason) for item in result.items], [(codec.CANCELLED, b"the worker is stopping")])
        self.assertEqual(result.limit, 2)
        self.job((2, 1, 2))
        (result,) = self.sent()
        self.assertEqual([item.outcome for item in result.items], [codec.RETURNED])
        self.ctrl(confirms=[(1, 1, 1), (2, 1, 2)])
        self.assertEqual(self.effects(), [Send(RUN, Bye(WORKER, 1)), Exit(143)])

    def test_stop_waits_for_five_seconds_at_most(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.core.on_stop(130, self.now)
        self.effects()
        self.end(1)  # it was ready before it was killed
        (result,) = self.sent()
        self.assertEqual(result.items[0].outcome, codec.OK)
        for second in range(5):
            self.assertFalse(self.core.has_left, second)
            self.pass_time(1)
            effects = self.effects()
            if Reopen() in effects:
                self.opened()
        self.assertEqual(effects[-1], Exit(130))

    def test_stop_with_nothing_leaves_at_once(self):
        self.core.on_stop(143, self.now)
        self.assertEqual(self.effects(), [Send(codec.NO_RUN, Bye(WORKER, 1)), Exit(143)])

    def give_up_after(self):
        since = self.now
        for _ in range(5000):
            self.pass_time(1)
            effects = self.effects()
            if Reopen() in effects:
                self.opened()
            if effects and isinstance(effects[-1], Exit):
                self.assertEqual(effects[-1].status, 105)
                return self.now - since
        self.fail("it never gives up")

    def test_patience_is_short_with_nothing_and_long_with_results(self):
        self.assertEqual(self.give_up_after(), 60)

    def test_and_long_with_results(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.pass_time(2)
        self.effects()
        self.end(1)
        self.assertEqual(self.give_up_after(), 3600)

    def test_silence_ends_no_running_job(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        for _ in range(5000):
            self.pass_time(1)
            if Reopen() in self.effects():
                self.opened()
        self.end(1)
        self.assertEqual(self.give_up_after(), 3600)

    def test_a_time_limit(self):
        self.attach()
        self.job((1, 1, 1), spec=call(limit=1_500_000))
        self.effects()
        self.assertEqual(self.core.next_deadline(), self.now + 1)
        self.pass_time(1.5)
        self.assertEqual(self.effects()[0], Kill(1))
        self.end(1, outcome=codec.FAILED, signal=9)
        (result, *_) = self.sent()
        self.assertEqual((result.items[0].outcome, result.items[0].signal), (codec.TIMEOUT, 9))

    # ---- attempts that must not overlap

    def test_a_call_ends_with_its_lease(self):
        self.attach()
        self.ctrl(no_overlap=True)
        self.run_jobs((1, 1, 1))
        self.pass_time(9.5)
        self.assertNotIn(Kill(1), self.effects())
        self.pass_time(0.5)
        self.assertIn(Kill(1), self.effects())
        self.end(1, outcome=codec.FAILED, signal=9)
        result = self.core.results[(1, 1, 1)].item
        self.assertEqual((result.outcome, result.reason[:21]), (codec.CANCELLED, b"ended with its lease:"))

    def test_echoes_in_time_renew_it_and_late_ones_do_not(self):
        self.attach()
        self.ctrl(no_overlap=True)
        self.run_jobs((1, 1, 1))
        for _ in range(30):
            self.pass_time(1)
            self.assertNotIn(Kill(1), self.effects())
            self.ctrl(echo=self.core.state_seq)
        self.now += 11  # the process was stopped
        self.ctrl(echo=self.core.state_seq)
        self.assertIn(Kill(1), self.effects())

    def test_a_job_that_comes_when_its_lease_is_over_is_returned(self):
        self.attach()
        self.ctrl(no_overlap=True)
        self.now += 11
        self.job((1, 1, 1))
        self.assertEqual(self.core.results[(1, 1, 1)].item.outcome, codec.RETURNED)

    # ---- halts

    def test_a_halted_run_takes_nothing_more_and_lets_what_runs_end(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.ctrl(halt=codec.SOON)
        self.job((2, 1, 2))  # it was on its way
        (result,) = self.sent()
        self.assertEqual([(item.attempt, item.outcome, item.reason) for item in result.items], [((2, 1, 2), codec.RETURNED, b"the run stops")])
        self.end(1)
        (result,) = self.sent()
        self.assertEqual((result.items[0].outcome, result.limit), (codec.OK, 2))
        self.ctrl()  # the halt is over
        self.assertEqual(self.sent()[-1].limit, 4)

    def test_a_halt_that_is_now_ends_what_runs(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.ctrl(halt=codec.NOW)
        self.ctrl(halt=codec.NOW)
        self.assertEqual(self.effects(), [Kill(1)])
        self.end(1, outcome=codec.FAILED, signal=9)
        (result,) = self.sent()
        self.assertEqual([(item.outcome, item.reason, result.limit) for item in result.items], [(codec.CANCELLED, b"the run stops", 2)])

    # ---- specs, refusals

    def test_what_cannot_be_read_or_run_fails(self):
        self.attach()
        self.job((1, 1, 1), spec=b"\xc1")
        self.job((2, 1, 2), spec=msgpack.packb([1, 0, b"", b"echo 'x'", [], b"", b"", b"", [], [], False, [], 0, False, [b"", 0, 0]]))
        (result,) = self.sent()
        unreadable, command = result.items
        self.assertTrue(unreadable.reason.startswith(b"the job cannot be read: "), unreadable)
        self.assertEqual((command.outcome, command.exit_code, command.slot, command.command), (codec.FAILED, 126, 0, b"echo 'x'"))
        self.assertEqual(result.limit, 4)

    def test_refused_with_nothing_it_joins_the_other_run(self):
        self.attach()
        self.core.on_frame(RUN, Refused(WORKER, b"another"), self.now)
        self.assertEqual(self.effects(), [Reopen()])
        self.opened()
        self.assertEqual(self.core.run, codec.NO_RUN)

    def test_without_room_it_closes_its_connection_and_asks_again_less_and_less_often(self):
        for wait in 4, 8, 10, 10:
            self.core.on_frame(codec.NO_RUN, Refused(WORKER, b"room for 12"), self.now)
            self.assertEqual(self.effects(), [Close()])
            self.pass_time(0.75 * wait)
            self.assertEqual(self.effects(), [])
            self.pass_time(0.25 * wait)
            self.assertEqual(self.effects(), [Reopen()])
            self.core.on_opened("ipc://here", self.now)
            self.sent()

    def test_refused_with_something_it_changes_nothing(self):
        self.attach()
        self.run_jobs((1, 1, 1))
        self.core.on_frame(RUN, Refused(WORKER, b"another"), self.now)
        self.assertEqual(self.effects(), [])
        self.assertEqual(self.core.run, RUN)


if __name__ == "__main__":
    unittest.main()
