"""kill -9 of a worker: its attempts are lost, its jobs run again elsewhere, its processes are gone."""
import unittest

from support import EndToEnd, Ring, is_finished, query, wait_until


class KillWorker(EndToEnd):
    def test_its_running_jobs_are_lost_and_run_again(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(wait), records=range(6), workers=1)
        wait_until(lambda: len(journal.running()) == 2, "two jobs in the worker")
        before = journal.running()
        ring.kill_worker()
        ring.start_worker()
        wait_until(lambda: query(ring.run, "SELECT count(*) FROM attempts WHERE outcome = 'lost' AND counted")[0][0] >= 2, "the loss to be noticed")
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 6, journal)
        self.assertEqual({job for job, count in journal.starts().items() if count == 2}, before)
        lost = query(ring.run, "SELECT job, attempt, reason FROM attempts WHERE outcome = 'lost' AND started_at = 0 ORDER BY job")
        self.assertTrue(before <= {row[0] for row in lost}, lost)
        for _, attempt, reason in lost:
            self.assertEqual(attempt, 1)
            self.assertTrue(reason.startswith("lost"), reason)
        self.assertEqual(query(ring.run, "SELECT DISTINCT attempt FROM results WHERE job IN (SELECT job FROM attempts)"), [(2,)])

    def test_over_tcp_at_random_moments(self):
        journal, ring = self.journal(), Ring(self, "tcp")
        ring.start(journal.job("sleep 0.02"), records=range(150), workers=3)
        for moment in sorted(self.random.sample(range(10, 120), 2)):
            wait_until(is_finished(ring.run, moment), f"{moment} results")
            committed = query(ring.run, "SELECT job, epoch, n FROM results")
            starts = journal.starts()
            ring.kill_worker(self.random.randrange(len(ring.workers)))
            ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 150, journal)
        self.assertEqual({job: journal.starts()[job] for job, _, _ in committed}, {job: starts[job] for job, _, _ in committed})
        # What was started again was lost before: nothing runs twice for no reason.
        again = {job for job, count in journal.starts().items() if count > 1}
        self.assertTrue(again <= {job for (job,) in query(ring.run, "SELECT job FROM attempts WHERE outcome = 'lost'")}, again)

    def test_all_workers_at_once(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("sleep 0.02"), records=range(60), workers=2)
        wait_until(is_finished(ring.run, 15), "some results")
        ring.kill_worker()
        ring.kill_worker()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 60, journal)

    def test_a_job_that_kills_its_worker_runs_alone_in_the_end_and_fails_as_lost(self):
        journal, ring = self.journal(), Ring(self)
        # PARALLEL_PID is the worker.
        ring.start(journal.job("[ {} != bad ] || { kill -9 $PARALLEL_PID; sleep 100; }"), records=["a", "bad", "b", "c"], workers=1)
        deaths = 0
        while ring.sink.is_running():
            wait_until(lambda: not ring.workers[-1].is_running(), "the end of the worker")
            if ring.workers[-1].process.returncode == 0:
                break
            deaths += 1
            self.assertLess(deaths, 20)
            ring.start_worker()
        ring.workers = ring.workers[-1:]
        ring.wait(1)
        self.assert_each_once(ring.run, 4, journal)
        self.assertEqual(query(ring.run, "SELECT job, outcome FROM results WHERE outcome <> 'ok'"), [(2, "lost")])
        # Once or twice in company, then five times alone; what ran beside it is done.
        self.assertEqual(query(ring.run, "SELECT count(*) FROM attempts WHERE job = 2 AND alone AND counted"), [(4,)])


if __name__ == "__main__":
    unittest.main()
