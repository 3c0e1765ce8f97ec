"""A process of a job that no KILL ends, as behind a file system that does not answer: who is to stop says so and leaves; who is not waits for it."""
import os
import signal
import subprocess
import time
import unittest

from support import EndToEnd, Ring, SLOWNESS, TERMINATED, children, query, wait_until

IN_A_CONTAINER = 10 * SLOWNESS  # seconds from SIGTERM to SIGKILL
SAID = "was killed and does not end"
# The first process of a name space of processes: killed, it waits in the kernel for all others there to be reaped, and one has a parent outside that is stopped.
JOB = "[ -e again ] && exit 0; unshare --fork --pid sleep 1000 & echo $! >pid; wait #"


@unittest.skipUnless(subprocess.run(["unshare", "--fork", "--pid", "true"], stderr=subprocess.DEVNULL).returncode == 0, "needs to make name spaces of processes")
class Unkillable(EndToEnd):
    def make_unkillable(self):
        """The process of JOB that does not end before self.release()."""
        text = wait_until(lambda: (self.path / "pid").exists() and (self.path / "pid").read_text(), "the job")
        self.stuck = wait_until(lambda: children(int(text), "sleep"), "its process")[0]
        self.outside = subprocess.Popen(["nsenter", "-t", str(self.stuck), "-p", "sleep", "1000"])
        self.addCleanup(self.release)
        wait_until(lambda: children(self.outside.pid, "sleep"), "the process that is not reaped")
        self.outside.send_signal(signal.SIGSTOP)

    def release(self):
        self.outside.send_signal(signal.SIGCONT)
        self.outside.wait()
        wait_until(lambda: not self.lives(), "its end")

    def lives(self):
        return os.path.exists(f"/proc/{self.stuck}")

    def stop_in_time(self, program, seconds=IN_A_CONTAINER):
        begun = time.monotonic()
        program.stop(signal.SIGTERM, TERMINATED)
        self.assertLess(time.monotonic() - begun, seconds)
        self.assertTrue(self.lives())

    def test_a_run_that_is_stopped_says_so_and_leaves_and_the_next_one_goes_on_beside_it(self):
        program = self.start("pushmill", "run", "--no-overlap", "--run-dir", "r", JOB, ":::", "x")
        self.make_unkillable()
        self.stop_in_time(program)
        self.assertIn(f"job 1: process {self.stuck} {SAID}", program.err)
        self.assertEqual(len([line for line in program.err.splitlines() if SAID in line]), 1)
        (self.path / "again").touch()
        resumed = self.run_to_end("resume", "r")
        self.assertIn(f"process {self.stuck} of a job whose worker has gone {SAID}", resumed.err)
        self.release()
        self.assertNotIn(SAID, self.run_to_end("run", "true", ":::", "x").err)
        self.assertEqual(list((self.path / "host").glob("keeper-*")), [])

    def test_a_second_signal_waits_for_nothing(self):
        program = self.start("pushmill", "run", "--term-seq", "TERM,60000", "--run-dir", "r", f"trap ': >termed' TERM; {JOB}", ":::", "x")
        self.make_unkillable()
        program.send(signal.SIGTERM)
        wait_until((self.path / "termed").exists, "the first signal to work")
        self.stop_in_time(program, 6 * SLOWNESS)

    def test_a_worker_that_is_stopped_leaves(self):
        ring = Ring(self)
        ring.start(JOB, records=["x"], workers=1)
        self.make_unkillable()
        self.stop_in_time(ring.workers[0])
        self.assertIn(SAID, ring.workers[0].err)
        ring.workers.clear()
        ring.stop()

    def test_a_run_whose_keeper_was_killed_leaves_too(self):
        program = self.start("pushmill", "run", "--run-dir", "r", JOB, ":::", "x")
        self.make_unkillable()
        os.kill(children(program.pid, "keeper")[0], signal.SIGKILL)
        program.wait_for(SAID)
        self.stop_in_time(program)

    def test_a_coprocess(self):
        program = self.start("pushmill", "run", "--run-dir", "r", "--coprocess", JOB.replace("wait #", "exec sleep 1000"), ":::", "x")
        self.make_unkillable()
        self.stop_in_time(program)
        self.assertIn(SAID, program.err)

    def test_a_job_at_its_time_limit_waits_for_it(self):
        program = self.start("pushmill", "run", "--run-dir", "r", "--timeout", "3s", JOB, ":::", "x")
        self.make_unkillable()
        program.wait_for(SAID)
        self.assertEqual(query(self.path / "r", "SELECT * FROM results"), [])
        self.release()
        program.wait(1)
        self.assertEqual(query(self.path / "r", "SELECT outcome FROM results"), [("timeout",)])


if __name__ == "__main__":
    unittest.main()
