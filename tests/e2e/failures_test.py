"""Exit statuses of runs with failed jobs, and what results.db says of them."""
import os
import resource
import unittest

from support import EndToEnd, MANY_FAILED, Ring, query


class Failures(EndToEnd):
    def test_the_status_is_the_number_of_failed_jobs(self):
        program = self.run_to_end("run", "exit", ":::", "0", "1", "255", "0", "7", status=3)
        self.assertIn("3 of 5 jobs failed", program.err)
        self.assertIn(str(self.runs()[0]), program.err)
        self.assertEqual(program.err.count("\n"), 1)
        self.assertEqual(query(self.runs()[0], "SELECT exit_code FROM results ORDER BY job"), [(0,), (1,), (255,), (0,), (7,)])

    def test_100_failures_are_100_and_more_are_101(self):
        self.run_to_end("run", "false", stdin=range(100), status=100)
        program = self.run_to_end("run", "false", stdin=range(150), status=MANY_FAILED)
        self.assertIn("150 of 150 jobs failed", program.err)

    def test_failures_through_the_ring(self):
        ring = Ring(self)
        ring.start("[ $(({} % 3)) != 0 ]", records=range(30))
        ring.wait(10)
        self.assert_each_once(ring.run, 30)

    def test_a_command_that_is_missing_is_a_failed_job_with_127(self):
        self.run_to_end("run", "--run-dir", "r", "no-such-command-here", ":::", "a", status=1)
        (row,) = query(self.path / "r", "SELECT outcome, exit_code, signal, stderr || coalesce(reason, '') FROM results")
        self.assertEqual(row[:3], ("failed", 127, 0))
        self.assertIn("not found", os.fsdecode(row[3]))
        self.run_to_end("run", "--run-dir", "s", "/no/such/command", ":::", "a", status=1)
        self.assertEqual(query(self.path / "s", "SELECT outcome, exit_code FROM results"), [("failed", 127)])

    def test_one_that_may_not_be_executed_is_a_failed_job_with_126(self):
        (self.path / "plain").write_text("echo no\n")
        self.run_to_end("run", "--run-dir", "r", "./plain", ":::", "a", status=1)
        (row,) = query(self.path / "r", "SELECT outcome, exit_code, stderr || coalesce(reason, '') FROM results")
        self.assertEqual(row[:2], ("failed", 126))
        self.assertRegex(os.fsdecode(row[2]).lower(), "permission denied")

    def test_a_job_killed_by_a_signal_failed_with_it(self):
        self.run_to_end("run", "--run-dir", "r", "kill -{} $$", ":::", "9", "TERM", status=2)
        self.assertEqual(query(self.path / "r", "SELECT outcome, exit_code, signal FROM results ORDER BY job"), [("failed", 0, 9), ("failed", 0, 15)])

    def test_many_slots_under_a_low_limit_of_open_files(self):
        low = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
        gate = "echo x >>began; until [ $(wc -l <began) -ge 150 ]; do sleep 0.1; done; sleep 2"  # all at once, for longer than a start is tried
        self.run_to_end("run", "--run-dir", "r", "-j150", gate + " #", stdin=range(150), preexec=low)
        self.assert_all_ok(self.path / "r", 150)

    def test_a_worker_survives_what_its_jobs_do(self):
        ring = Ring(self)
        ring.start(records=["no-such-command-here", "exit 3", "kill -9 $$", "echo fine"], workers=1)
        ring.wait(3)
        self.assertEqual(ring.sink.out, b"fine\n")
        self.assert_each_once(ring.run, 4)


if __name__ == "__main__":
    unittest.main()
