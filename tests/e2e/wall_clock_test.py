"""Somebody sets the clock of the host, by an hour either way: nothing expires, times out or is counted by it.

The programs run with a library that shifts their wall clock (shift_clock.c). The keeper is static and keeps the real one: it ends commands by a monotonic
clock, and gives their times of start and end.
"""
import struct
import time
import unittest

from support import BIN, EndToEnd, Ring, is_finished, query, wait_until

HOUR = 3600 * 1_000_000


class WallClock(EndToEnd):
    def setUp(self):
        super().setUp()
        self.clock = self.path / "clock"
        self.clock.write_bytes(struct.pack("q", 0))
        self.env |= {"LD_PRELOAD": str(BIN / "shift_clock.so"), "PUSHMILL_TEST_CLOCK": str(self.clock)}
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

    def jump(self, offset):
        with self.clock.open("r+b") as file:
            file.write(struct.pack("q", offset))

    def assert_sane(self, run):
        """Runtimes are those of a monotonic clock, and each attempt ends as much later than it began."""
        for job, started, ended, runtime in query(run, "SELECT job, started_at, finished_at, runtime_us FROM results"):
            self.assertEqual(ended - started, runtime, job)
            self.assertLess(runtime, 60_000_000, job)

    def test_a_ring_whose_hosts_jump(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(f"[ {{}} -gt 2 ] || {{ {wait}; }}; sleep 0.1"), records=range(1, 61), options=("--timeout", "10m"))
        for count, offset in (5, HOUR), (25, -HOUR), (45, 0):  # two seconds, a lease, between them
            wait_until(is_finished(ring.run, count), f"{count} results")
            self.jump(offset)
        wait_until(is_finished(ring.run, 58), "all but two that wait")
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 60, journal)
        self.assertEqual(set(journal.starts().values()), {1})
        self.assertEqual(query(ring.run, "SELECT * FROM attempts WHERE outcome <> 'returned'"), [])
        self.assert_sane(ring.run)

    def test_the_shifted_clock_is_what_the_log_shows(self):
        self.jump(HOUR)
        self.run_to_end("run", "--run-dir", "r", "--call", "echo", ":::", "a")
        ((started,),) = query(self.path / "r", "SELECT started_at FROM results")
        self.assertAlmostEqual(started / 1e6, time.time() + 3600, delta=600)

    def test_a_time_limit_does_not_end_with_the_clock(self):
        for offset in HOUR, -HOUR:
            for words in ("--call", "sleep", ":::", "2"), ("sleep", ":::", "2"):
                with self.subTest(offset=offset, words=words):
                    run = self.path / f"{words[0]}{offset}"
                    self.jump(0)
                    program = self.start("pushmill", "run", "--run-dir", run, "--timeout", "30m", *words)
                    wait_until(lambda: query(run, "SELECT 1 FROM meta WHERE key = 'run'"), "the run")
                    self.jump(offset)
                    program.wait(0)
                    self.assert_all_ok(run, 1)
                    self.assert_sane(run)

    def test_a_time_limit_ends_whatever_the_clock_says(self):
        for offset in HOUR, -HOUR:
            for words in ("--call", "sleep"), ("sleep",):
                with self.subTest(offset=offset, words=words):
                    run = self.path / f"{words[0]}{offset}"
                    self.jump(0)
                    program = self.start("pushmill", "run", "--run-dir", run, "--timeout", "1s", "--joblog", run.with_suffix(".log"), *words, ":::", "600")
                    wait_until(lambda: query(run, "SELECT 1 FROM meta"), "the run")
                    self.jump(offset)
                    program.wait(1)
                    self.assertEqual(query(run, "SELECT outcome FROM results"), [("timeout",)])
                    self.assert_sane(run)
                    runtime = run.with_suffix(".log").read_text().splitlines()[1].split("\t")[3]
                    self.assertTrue(1 <= float(runtime) < 60, runtime)


if __name__ == "__main__":
    unittest.main()
