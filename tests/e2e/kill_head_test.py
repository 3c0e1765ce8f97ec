"""kill -9 of ventilator and sink together, as when their host falls, then the same command lines again."""
import unittest

from heads import KillHead
from support import Ring, finished, is_finished, wait_until


class KillBoth(KillHead):
    def test_at_random_moments_over_ipc(self):
        self.kill_at_random_moments(["ventilator", "sink"], "ipc")

    def test_at_random_moments_over_tcp(self):
        self.kill_at_random_moments(["sink", "ventilator"], "tcp")

    def test_running_jobs_are_not_run_again(self):
        self.keep_running_jobs(["ventilator", "sink"])

    def test_running_jobs_of_a_worker_that_is_slow_to_report_are_not_run_again(self):
        self.keep_running_jobs(["ventilator", "sink"], silence=1.2)  # the grace is 4

    def test_results_of_their_absence_are_kept(self):
        self.finish_while_away(["sink", "ventilator"])

    def test_everything_at_once(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("sleep 0.01"), records=range(100), workers=2)
        wait_until(is_finished(ring.run, self.random.randrange(1, 80)), "some results")
        for program in (ring.sink, ring.ventilator, *ring.workers):
            program.process.kill()
        ring.sink.wait()
        starts, done = journal.starts(), finished(ring.run)
        ring.workers.clear()
        ring.start_sink()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 100, journal)
        self.assertEqual({job: journal.starts()[job] for job in done}, {job: starts[job] for job in done})


if __name__ == "__main__":
    unittest.main()
