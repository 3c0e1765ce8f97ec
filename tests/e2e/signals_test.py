"""SIGINT and SIGTERM: no more jobs, those that run are ended, nothing is left, nothing counts as failed, and the run can be resumed."""
import contextlib
import os
import signal
import time
import unittest

from support import EndToEnd, INTERRUPTED, LIBC, Ring, SLOWNESS, TERMINATED, finished, is_finished, processes_with, query, wait_until

IN_A_CONTAINER = 10 * SLOWNESS  # seconds from SIGTERM to SIGKILL


class SignalsToRun(EndToEnd):
    def stop_and_resume(self, stop, status):
        journal = self.journal()
        wait, go = self.gate()
        program = self.start("pushmill", "run", "-j2", "--run-dir", "r", journal.job(f"[ {{}} -lt 4 ] || {{ {wait}; }}"), stdin=range(1, 11), preexec=os.setsid)
        wait_until(lambda: journal.running() == {4, 5}, "jobs 4 and 5")
        stop(program)
        program.wait(status)
        self.assertEqual(processes_with(self.mark), [], "left at once")
        self.assertIn("pushmill resume", program.err)
        self.assertEqual(program.err.count("\n"), 1, program.err)
        self.assertEqual(query(self.path / "r", "SELECT count(*) FROM results"), [(3,)])
        self.assertEqual(query(self.path / "r", "SELECT job, outcome, counted FROM attempts WHERE outcome <> 'returned'"), [(4, "cancelled", 0), (5, "cancelled", 0)])
        go()
        self.run_to_end("resume", "r")
        self.assert_all_ok(self.path / "r", 10, journal)
        self.assertEqual(journal.starts(), {job: 2 if job in (4, 5) else 1 for job in range(1, 11)})

    def test_sigint(self):
        self.stop_and_resume(lambda program: program.send(signal.SIGINT), INTERRUPTED)

    def test_sigterm(self):
        self.stop_and_resume(lambda program: program.send(signal.SIGTERM), TERMINATED)

    def test_control_c_reaches_the_whole_group(self):
        self.stop_and_resume(lambda program: os.killpg(program.pid, signal.SIGINT), INTERRUPTED)

    def test_a_second_signal_waits_for_nothing(self):
        program = self.start("pushmill", "run", "-j1", "--run-dir", "r", "trap ': >termed' TERM; touch trapped; while :; do sleep 0.05; done #", ":::", "x")
        wait_until((self.path / "trapped").exists, "the job")
        program.send(signal.SIGTERM)
        wait_until((self.path / "termed").exists, "the first signal to work")
        begun = time.monotonic()
        program.stop(signal.SIGTERM, TERMINATED)
        self.assertLess(time.monotonic() - begun, 5 * SLOWNESS)
        self.assertEqual(processes_with(self.mark), [])

    def test_while_its_input_is_read(self):
        journal = self.journal()
        reader, writer = os.pipe()
        program = self.start("pushmill", "run", "--run-dir", "r", journal.job(), stdin=reader)
        os.close(reader)
        os.write(writer, b"1\n2\n")
        wait_until(is_finished(self.path / "r", 2), "two jobs")
        program.stop()
        os.close(writer)
        self.run_to_end("run", "--run-dir", "r", journal.job(), stdin=[1, 2, 3])
        self.assert_all_ok(self.path / "r", 3, journal)
        self.assertEqual(journal.starts(), {1: 1, 2: 1, 3: 1})

    def test_at_random_moments(self):
        journal = self.journal()
        words = ["run", "-j3", "--run-dir", "r", journal.job("sleep 0.01")]
        for moment in sorted(self.random.sample(range(1, 80), 3)):
            program = self.start("pushmill", *words, stdin=range(100))
            at = max(moment, len(finished(self.path / "r")) + 1)
            wait_until(is_finished(self.path / "r", at), f"{at} results")
            program.stop()
            self.assertEqual(processes_with(self.mark), [])
        self.run_to_end(*words, stdin=range(100))
        self.assert_all_ok(self.path / "r", 100, journal)
        self.assertEqual(query(self.path / "r", "SELECT * FROM attempts WHERE counted"), [])


    def test_a_job_that_ignores_every_signal_it_can(self):
        program = self.start("pushmill", "run", "--run-dir", "r", "trap '' TERM INT HUP; touch trapped; while :; do sleep 0.05; done #", ":::", "x")
        wait_until((self.path / "trapped").exists, "the job")
        program.send(signal.SIGTERM)
        program.wait(TERMINATED, IN_A_CONTAINER)
        self.assertEqual(processes_with(self.mark), [])

    def test_outputs_that_nobody_reads(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        program = self.start("pushmill", "run", "--run-dir", "r", "head -c 50000 /dev/zero #", stdin=range(100), stdout=writer)
        os.close(writer)
        wait_until(is_finished(self.path / "r", 3), "more than the pipe takes")
        program.send(signal.SIGTERM)
        program.wait(TERMINATED, IN_A_CONTAINER)
        self.assertEqual(processes_with(self.mark), [])
        resumed = self.run_to_end("resume", "r", stdin=range(100))
        self.assertEqual(query(self.path / "r", "SELECT count(*), min(outcome), max(outcome) FROM results")[0][1:], ("ok", "ok"), resumed.err)


class SignalsOnAFullDisk(EndToEnd):
    """The disk is a small one of the test's own."""

    def setUp(self):
        super().setUp()
        self.disk = self.path / "disk"
        self.disk.mkdir()
        if LIBC.mount(b"tmpfs", bytes(self.disk), b"tmpfs", 0, b"size=16m,mode=0700") != 0:
            self.skipTest("may not mount a small file system here")
        self.addCleanup(lambda: LIBC.umount2(bytes(self.disk), 2))  # MNT_DETACH; before the directory is removed

    def fill(self):
        with open(self.disk / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(1024))

    def test_a_run(self):
        journal = self.journal()
        wait, go = self.gate()
        program = self.start("pushmill", "run", "-j2", "--run-dir", self.disk / "r", journal.job(f"[ {{}} -lt 4 ] || {{ {wait}; }}; head -c 9000 /dev/zero"), stdin=range(1, 31))
        wait_until(lambda: len(journal.running()) == 2, "jobs that wait")
        self.fill()
        go()
        program.wait_for("waiting for room")
        program.send(signal.SIGTERM)
        program.wait(TERMINATED, IN_A_CONTAINER)
        self.assertEqual(processes_with(self.mark), [])
        self.assertIn("pushmill resume", program.err)
        (self.disk / "ballast").unlink()
        self.run_to_end("resume", self.disk / "r")
        self.assert_all_ok(self.disk / "r", 30)

    def test_sink_and_ventilator(self):
        ring = Ring(self)
        ring.run = self.disk / "ring"
        wait, go = self.gate()
        ring.start(f"[ {{}} -lt 4 ] || {{ {wait}; }}; head -c 9000 /dev/zero #{{}}", records=range(1, 31), workers=1)
        wait_until(is_finished(ring.run, 3), "three results")
        self.fill()
        go()
        ring.sink.wait_for("waiting for room")
        for program in (ring.sink, ring.ventilator, *ring.workers):
            program.send(signal.SIGTERM)
        for program in (ring.sink, ring.ventilator, *ring.workers):
            program.wait(TERMINATED, IN_A_CONTAINER)
        self.assertIn("stopped while there was no room", ring.sink.err)
        (self.disk / "ballast").unlink()
        ring.workers = []
        ring.start_sink()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 30)


class SignalsToRoles(EndToEnd):
    def test_a_worker_whose_head_is_dead(self):
        journal = self.journal()
        wait, _ = self.gate()
        ring = Ring(self)
        ring.start_sink("--durability", "process")
        ring.start_ventilator("--durability", "process", journal.job(f"[ {{}} -lt 4 ] || {{ {wait}; }}"), records=range(1, 9))  # with the lease of 10 s
        worker = ring.start_worker()
        wait_until(lambda: journal.running() == {4, 5}, "jobs 4 and 5")
        ring.sink.kill()
        ring.ventilator.kill()
        worker.send(signal.SIGTERM)
        worker.wait(TERMINATED, IN_A_CONTAINER)
        self.assertEqual(processes_with(self.mark), [])

    def test_each_head_role_commits_and_leaves(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(f"[ {{}} -lt 4 ] || {{ {wait}; }}"), records=range(1, 9), workers=1)
        wait_until(lambda: journal.running() == {4, 5}, "jobs 4 and 5")
        ring.ventilator.stop()
        ring.sink.stop(signal.SIGINT, INTERRUPTED)
        self.assertEqual(query(ring.run, "SELECT count(*) FROM results"), [(3,)])
        go()
        ring.start_sink()
        ring.start_ventilator()
        ring.wait()
        self.assert_all_ok(ring.run, 8, journal)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 9)})

    def test_while_they_wait_for_each_other(self):
        ring = Ring(self)
        ring.start_sink()
        ring.sink.wait_for("listening")
        ring.sink.stop()
        ring.start_ventilator("echo", records=["a"])
        ring.ventilator.wait_for("waiting for the sink")
        ring.ventilator.stop(signal.SIGINT, INTERRUPTED)

    def test_a_terminal_that_nobody_reads_stops_the_outputs_and_nothing_else(self):
        ring = Ring(self)
        terminal, ours = os.openpty()
        self.addCleanup(os.close, terminal)
        ring.sink = self.start("sink", "--listen", ring.endpoint, "--run-dir", ring.run, stdout=ours)
        os.close(ours)
        ring.start_ventilator(*Ring.QUICK, "head -c 3000 /dev/zero #", records=range(100))
        worker = ring.start_worker()
        wait_until(lambda: len(finished(ring.run)) == 100, "all results, although their outputs go nowhere")
        worker.stop()
        wait_until(lambda: "waiting for workers" in ring.sink.err, "a line of the sink's loop")
        ring.sink.stop()
        ring.ventilator.stop()


if __name__ == "__main__":
    unittest.main()
