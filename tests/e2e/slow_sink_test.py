"""A sink whose every commit takes long, and readers of its output that are slow or go away: throughput falls, memory does not grow with the number of jobs,
and no lease ends by mistake."""
import contextlib
import os
import subprocess
import sys
import threading
import time
import unittest

from support import FAULTY_DISK, READER_LEFT, SLOWNESS, EndToEnd, Ring, finished, is_finished, peak_megabytes, query, wait_until

SKIPPED = 77
SLOW = "sync results.db 200ms"  # with --durability power each commit has a sync
LEASE = ("--heartbeat", f"{200 * SLOWNESS}ms", "--lease", f"{SLOWNESS}s")
OUTPUT = 10_000


class Peaks:
    """The most memory of each of some programs, asked for often while they live."""

    def __init__(self, programs):
        self.of = {}
        self.programs, self.is_over = programs, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.is_over.wait(0.02):
            for program in self.programs:
                with contextlib.suppress(OSError, TypeError):  # it has ended
                    role = program.name
                    self.of[role] = max(self.of.get(role, 0), peak_megabytes(program.pid))

    def end(self):
        self.is_over.set()
        self.thread.join()
        return self.of


class SlowSink(EndToEnd):
    def start_ring(self, name, jobs, *work, slow, stdout=None):
        ring = Ring(self, name=name)
        with self.faulty_disk(SLOW) if slow else contextlib.nullcontext():
            ring.start_sink("--durability", "power", stdout=stdout)
        ring.start_ventilator(*LEASE, "--durability", "process", *work, records=range(jobs))
        for _ in range(2):
            ring.start_worker("-j2")
        self.peaks = Peaks([ring.sink, ring.ventilator, *ring.workers])
        self.addCleanup(self.peaks.end)
        return ring

    def assert_no_attempt_was_lost(self, ring, jobs):
        self.assert_all_ok(ring.run, jobs)
        self.assertEqual(query(ring.run, "SELECT job, outcome, reason FROM attempts WHERE outcome <> 'returned'"), [])

    def compare(self, jobs, *work):
        """Without a delay and with it."""
        (self.path / "faulty").touch()
        peaks, seconds = {}, {}
        for slow in (False, True):
            begun = time.monotonic()
            ring = self.start_ring("slow" if slow else "fast", jobs, *work, slow=slow)
            ring.wait()
            seconds[slow], peaks[slow] = time.monotonic() - begun, self.peaks.end()
            self.assert_no_attempt_was_lost(ring, jobs)
        print(jobs, work, seconds, peaks)
        return peaks

    def test_calls(self):
        self.compare(20_000, "--call", "echo")

    def test_commands_with_outputs(self):
        self.compare(2_000, f"head -c {OUTPUT} /dev/zero")


if __name__ == "__main__":
    if not FAULTY_DISK.exists():
        print("skipped: libfaulty_disk.so is not beside these programs; the build puts it there", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
