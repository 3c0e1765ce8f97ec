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
OUTPUT = 60_000
COMMAND = f"head -c {OUTPUT} /dev/zero #"


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

    def compare(self, jobs, *work, more_megabytes, patience=None):
        """Without a delay and with it; then nobody reads what the sink writes until all is done, if `patience` is a pipe."""
        (self.path / "faulty").touch()
        peaks, seconds = {}, {}
        for slow in (False, True):
            begun = time.monotonic()
            ring = self.start_ring("slow" if slow else "fast", jobs, *work, slow=slow, stdout=patience and slow and patience[1])
            if patience and slow:
                wait_until(is_finished(ring.run, jobs), "all jobs while nobody reads")
                os.close(patience[1])
                self.assertTrue(ring.sink.is_running())
                with open(patience[0], "rb") as reader:
                    self.assertEqual(sum(map(len, iter(lambda: reader.read(1 << 20), b""))), jobs * OUTPUT)
            ring.wait()
            seconds[slow], peaks[slow] = time.monotonic() - begun, self.peaks.end()
            self.assert_no_attempt_was_lost(ring, jobs)
        self.assertGreater(seconds[True], 1)  # five commits at least
        if SLOWNESS == 1:  # sanitizers keep freed memory on purpose
            for role in ("sink", "ventilator", "worker"):
                self.assertLess(peaks[True][role], peaks[False][role] + more_megabytes, f"{role}: {peaks}")

    def test_calls(self):
        self.compare(40_000, "--call", "echo", more_megabytes=12)

    def test_commands_with_outputs(self):
        self.compare(1_500, COMMAND, more_megabytes=48)

    def test_commands_whose_outputs_nobody_reads_for_a_while(self):
        self.compare(1_500, COMMAND, more_megabytes=48, patience=os.pipe())

    def test_a_reader_of_the_sink_that_goes_away(self):
        (self.path / "faulty").touch()
        reader, writer = os.pipe()
        ring = self.start_ring("r", 500, COMMAND, slow=True, stdout=writer)
        os.close(writer)
        self.assertGreater(len(os.read(reader, 1000)), 0)
        os.close(reader)
        ring.wait()
        self.assertEqual(ring.sink.err.count("the run goes on, and its outputs are in "), 1)
        self.assert_no_attempt_was_lost(ring, 500)

    def test_a_reader_of_a_run_that_goes_away(self):
        (self.path / "faulty").touch()
        with self.faulty_disk("write results.db-wal 2ms"):
            program = self.start("pushmill", "run", "-j2", "--run-dir", "r", COMMAND, stdin=range(5000), stdout=subprocess.PIPE)
        self.assertGreater(len(program.process.stdout.read(1000)), 0)
        program.process.stdout.close()
        program.wait(READER_LEFT)
        self.assertLess(len(finished(self.path / "r")), 5000)


if __name__ == "__main__":
    if not FAULTY_DISK.exists():
        print("skipped: libfaulty_disk.so is not beside these programs; the build puts it there", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
