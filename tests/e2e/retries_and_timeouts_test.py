"""--retries counts the runs of a failing job, --timeout limits each of them."""
import time
import unittest

from support import EndToEnd, Ring, query


class Retries(EndToEnd):
    def test_a_failing_job_is_run_that_many_times(self):
        journal = self.journal()
        self.run_to_end("run", "--run-dir", "r", "--retries", "3", journal.job("exit {}"), ":::", "4", "0", status=1)
        self.assertEqual(journal.starts(), {1: 3, 2: 1})
        self.assert_each_once(self.path / "r", 2, journal)
        self.assertEqual(query(self.path / "r", "SELECT job, attempt, outcome, exit_code FROM results ORDER BY job"), [(1, 3, "failed", 4), (2, 1, "ok", 0)])
        others = query(self.path / "r", "SELECT job, attempt, outcome, exit_code, counted, reason FROM attempts ORDER BY attempt")
        self.assertEqual([row[:5] for row in others], [(1, 1, "failed", 4, 1), (1, 2, "failed", 4, 1)])
        for row in others:
            self.assertTrue(row[5].startswith("failed"), row)

    def test_a_job_that_succeeds_at_last_is_a_success(self):
        journal = self.journal()
        third = journal.job(f"[ $(grep -c 'start {{}} ' {journal.path}) = 3 ] && echo third")
        program = self.run_to_end("run", "--run-dir", "r", "--retries", "5", third, ":::", "1")
        self.assertEqual(program.out, b"third\n")
        self.assertEqual(journal.starts(), {1: 3})
        self.assertEqual(query(self.path / "r", "SELECT attempt, outcome FROM results"), [(3, "ok")])

    def test_retries_0_is_until_it_succeeds(self):
        journal = self.journal()
        self.run_to_end("run", "--retries", "0", "--retry-delay", "1ms", journal.job(f"[ $(grep -c start {journal.path}) = 12 ]"), ":::", "1")
        self.assertEqual(journal.starts(), {1: 12})

    def test_retries_through_the_ring(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("false"), records=range(20), options=("--retries", "2"))
        ring.wait(20)
        self.assertEqual(journal.starts(), {job: 2 for job in range(1, 21)})
        self.assert_each_once(ring.run, 20, journal)


class Timeouts(EndToEnd):
    def test_a_job_over_its_limit_is_a_timeout(self):
        began = time.monotonic()
        self.run_to_end("run", "--run-dir", "r", "-j2", "--timeout", "300ms", "echo begun; sleep", ":::", "100", "0", status=1)
        self.assertLess(time.monotonic() - began, 50)
        rows = query(self.path / "r", "SELECT job, outcome, exit_code, stdout FROM results ORDER BY job")
        self.assertEqual(rows, [(1, "timeout", -1, b"begun\n"), (2, "ok", 0, b"begun\n")])

    def test_each_attempt_has_the_whole_limit(self):
        journal = self.journal()
        self.run_to_end("run", "--run-dir", "r", "--timeout", "0.3", "--retries", "2", journal.job("sleep 100"), ":::", "x", status=1)
        self.assertEqual(journal.starts(), {1: 2})
        ((runtime,), (other,)) = query(self.path / "r", "SELECT runtime_us FROM results UNION ALL SELECT runtime_us FROM attempts")
        for us in (runtime, other):
            self.assertGreaterEqual(us, 300_000)
        self.assertEqual(query(self.path / "r", "SELECT outcome, counted FROM attempts"), [("timeout", 1)])

    def test_one_that_ignores_term_is_killed(self):
        self.run_to_end("run", "--run-dir", "r", "--timeout", "300ms", "trap '' TERM; while :; do sleep 0.1; done #", ":::", "x", status=1)
        self.assertEqual(query(self.path / "r", "SELECT outcome, signal FROM results"), [("timeout", 9)])


if __name__ == "__main__":
    unittest.main()
