"""SIGSTOP of a role for longer than a lease, while jobs end: nobody is given up who is only not being listened to, and nothing is logged twice."""
import signal
import time
import unittest

from support import SLOWNESS, EndToEnd, Ring, finished, query, wait_until

LEASE = 0.5 * SLOWNESS
JOBS = 8


class Pause(EndToEnd):
    def ring(self, body, slots=2, workers=2):
        ring = Ring(self)
        ring.QUICK = ("--heartbeat", f"{LEASE / 5}s", "--lease", f"{LEASE}s")
        self.log = self.journal()
        ring.start_sink("--durability", "process", "--joblog", self.path / "joblog")
        ring.start_ventilator(*ring.QUICK, "--durability", "process", self.log.job(body), records=range(1, JOBS + 1))
        for _ in range(workers):
            ring.start_worker(f"-j{slots}")
        return ring

    def outlast_leases(self):
        time.sleep(3 * LEASE)  # what is tested is that this time goes by

    def assert_logged_once(self, ring):
        self.assert_all_ok(ring.run, JOBS, self.log)
        lines = (self.path / "joblog").read_text().splitlines()[1:]
        self.assertEqual(sorted(int(line.split("\t")[0]) for line in lines), list(range(1, JOBS + 1)))

    # ---- sink and ventilator

    def pause(self, names):
        """Stops them while of four running jobs two end and two go on; afterwards nobody has been given up, and nothing ran twice."""
        first, let_first_go = self.gate("first")
        second, let_second_go = self.gate("second")
        ring = self.ring(f"if [ {{}} -le 2 ]; then {first}; elif [ {{}} -le 4 ]; then {second}; fi")
        wait_until(lambda: len(self.log.running()) == 4, "four jobs that wait")
        for name in names:
            getattr(ring, name).pause()
        let_first_go()
        wait_until(lambda: {1, 2} <= set(self.log.attempts("end")), "the end of the first jobs")
        self.outlast_leases()
        for name in names:
            getattr(ring, name).send(signal.SIGCONT)
        wait_until(lambda: finished(ring.run) == set(range(1, JOBS + 1)) - {3, 4}, "all but the jobs that still wait")
        let_second_go()
        ring.wait()
        self.assert_logged_once(ring)
        self.assertEqual(self.log.starts(), {job: 1 for job in range(1, JOBS + 1)})
        self.assertEqual(query(ring.run, "SELECT job, outcome FROM attempts WHERE outcome <> 'returned'"), [])

    def test_a_paused_sink_expires_nobody(self):
        self.pause(["sink"])

    def test_a_paused_ventilator_loses_nothing(self):
        self.pause(["ventilator"])

    def test_neither_do_both(self):
        self.pause(["sink", "ventilator"])

    # ---- a worker

    def pause_worker(self):
        """(ring, and what lets the first attempt of job 1 go, its second, and the last job). One worker runs job 1 and the last, which keeps the run open."""
        first, let_first_go = self.gate("first")
        second, let_second_go = self.gate("second")
        last, let_last_go = self.gate("last")
        ring = self.ring(f"if [ {{}} = 1 ]; then if mkdir once; then {first}; else {second}; fi; elif [ {{}} = {JOBS} ]; then {last}; fi", slots=2, workers=1)
        wait_until(lambda: 1 in self.log.running() and finished(ring.run) == set(range(2, JOBS)) and JOBS in self.log.running(), "the first and the last job")
        return ring, let_first_go, let_second_go, let_last_go

    def lose_worker(self):
        """As pause_worker(), up to the moment at which both attempts of job 1 have been started and the first has ended, its worker still stopped."""
        ring, let_first_go, let_second_go, let_last_go = self.pause_worker()
        ring.workers[0].pause()
        let_first_go()
        wait_until(lambda: 1 in self.log.attempts("end"), "the end of the first attempt")
        wait_until(lambda: len(query(ring.run, "SELECT 1 FROM attempts WHERE outcome = 'lost'")) == 2, "the first and the last job to be given up")
        ring.start_worker("-j2")
        wait_until(lambda: len(self.log.attempts("start")[1]) == 2, "the second attempt")
        self.first, self.second = self.log.attempts("start")[1]
        return ring, let_second_go, let_last_go

    def wait_for_first_worker(self, ring):
        """Until all that the first worker has to say has been read: it takes its loss of the last job back in the STATE that follows the result of job 1."""
        ring.workers[0].send(signal.SIGCONT)
        wait_until(lambda: not query(ring.run, "SELECT 1 FROM attempts WHERE job = ? AND outcome = 'lost' AND counted", JOBS), "the loss of the last job to go")

    def row(self, ring):
        return query(ring.run, "SELECT epoch || '.' || n FROM results WHERE job = 1")

    def outcomes(self, ring):
        return dict(query(ring.run, "SELECT epoch || '.' || n, outcome FROM attempts WHERE job = 1"))

    def test_the_late_result_of_a_paused_worker_is_accepted_if_it_is_the_first_success(self):
        ring, let_second_go, let_last_go = self.lose_worker()
        self.wait_for_first_worker(ring)
        self.assertEqual(self.row(ring), [(self.first,)])
        let_second_go()
        wait_until(lambda: self.outcomes(ring).get(self.second) == "superseded", "the second attempt to come too late")
        let_last_go()
        ring.wait()
        self.assertEqual(self.row(ring), [(self.first,)])
        self.assertNotIn(self.first, self.outcomes(ring))
        self.assert_logged_once(ring)

    def test_otherwise_it_comes_too_late_and_changes_nothing(self):
        ring, let_second_go, let_last_go = self.lose_worker()
        let_second_go()
        wait_until(lambda: self.row(ring), "the result of job 1")
        self.assertEqual(self.row(ring), [(self.second,)])
        self.wait_for_first_worker(ring)
        let_last_go()
        ring.wait()
        self.assertEqual(self.row(ring), [(self.second,)])
        self.assertEqual(self.outcomes(ring), {self.first: "lost"})  # it has its one row already
        self.assert_logged_once(ring)

    def test_what_a_paused_worker_still_runs_counts_when_it_is_back_before_anybody_else_took_it(self):
        ring, let_first_go, let_second_go, let_last_go = self.pause_worker()
        ring.workers[0].pause()
        wait_until(lambda: query(ring.run, "SELECT 1 FROM attempts WHERE job = 1 AND outcome = 'lost' AND counted"), "the loss")
        ring.workers[0].send(signal.SIGCONT)
        wait_until(lambda: not query(ring.run, "SELECT 1 FROM attempts WHERE job = 1 AND outcome = 'lost' AND counted"), "the loss to be taken back")
        for let_go in (let_first_go, let_second_go, let_last_go):
            let_go()
        ring.wait()
        self.assert_logged_once(ring)


if __name__ == "__main__":
    unittest.main()
