"""kill -9 of the keeper: what ran under it is ended and run again, the worker goes on with a new one."""
import os
import signal
import unittest

from support import EndToEnd, Ring, children, is_finished, query, wait_until


class KillKeeper(EndToEnd):
    def test_the_worker_goes_on_with_a_new_one(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(wait), records=range(6), workers=1)
        wait_until(lambda: len(journal.running()) == 2, "two jobs")
        before = journal.running()
        keepers = children(ring.workers[0].pid, "keeper")
        self.assertEqual(len(keepers), min(2, len(os.sched_getaffinity(0))))
        for count, keeper in enumerate(keepers, 1):  # each takes only the jobs of its own slots with it
            os.kill(keeper, signal.SIGKILL)
            lost = 2 * count // len(keepers)
            wait_until(lambda: len(query(ring.run, "SELECT 1 FROM attempts WHERE outcome = 'lost'")) == lost, "the loss to be told")
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 6, journal)
        self.assertEqual({job for job, count in journal.starts().items() if count > 1}, before)
        for reason, counted in query(ring.run, "SELECT reason, counted FROM attempts WHERE outcome = 'lost'"):
            self.assertIn("the keeper died", reason)
            self.assertEqual(counted, 1)

    def test_at_random_moments_of_a_run(self):
        journal = self.journal()
        program = self.start("pushmill", "run", "--run-dir", "r", "-j3", journal.job("sleep 0.02"), stdin=range(120))
        for moment in sorted(self.random.sample(range(5, 90), 3)):
            wait_until(is_finished(self.path / "r", moment), f"{moment} results")
            for keeper in children(program.pid, "keeper"):
                os.kill(keeper, signal.SIGKILL)
        program.wait(0)
        self.assert_all_ok(self.path / "r", 120, journal)
        again = {job for job, count in journal.starts().items() if count > 1}
        self.assertTrue(again <= {job for (job,) in query(self.path / "r", "SELECT job FROM attempts WHERE outcome = 'lost'")}, again)


if __name__ == "__main__":
    unittest.main()
