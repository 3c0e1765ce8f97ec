"""kill -9 of the ventilator, then the same command line again."""
import os
import signal
import unittest

from heads import KillHead
from support import TERMINATED, Ring, query, wait_until


class KillVentilator(KillHead):
    def test_at_random_moments_over_ipc(self):
        ring = self.kill_at_random_moments(["ventilator"], "ipc")
        self.assertEqual(sorted(map(int, ring.sink.out.split())), list(range(200)))

    def test_at_random_moments_over_tcp(self):
        self.kill_at_random_moments(["ventilator"], "tcp")

    def test_running_jobs_are_not_run_again(self):
        self.keep_running_jobs(["ventilator"])

    def test_results_of_its_absence_are_kept(self):
        self.finish_while_away(["ventilator"])

    def test_while_its_input_is_read(self):
        journal, ring = self.journal(), Ring(self)
        fifo = self.path / "fifo"
        os.mkfifo(fifo)
        ring.start_sink()
        ring.start_worker()
        ring.start_ventilator(*Ring.QUICK, "-a", fifo, journal.job(), records=[])
        with open(fifo, "w") as writer:
            writer.write("1\n2\n3\n")
            writer.flush()
            wait_until(lambda: len(query(ring.run, "SELECT job FROM results")) == 3, "the first jobs")
            ring.ventilator.kill()
        ring.start_ventilator()
        with open(fifo, "w") as writer:
            writer.write("1\n2\n3\n4\n5\n")
        ring.wait()
        self.assert_all_ok(ring.run, 5, journal)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 6)})

    def test_after_the_end_is_told_nothing_runs_again(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job(), records=range(5))
        wait_until(lambda: query(ring.run, "SELECT 1 FROM meta WHERE key = 'ended_status'"), "the end")
        ring.ventilator.kill()
        ring.sink.wait(0)
        ring.start_ventilator().wait(0)
        for worker in ring.workers:  # told or not that the run is complete
            worker.send(signal.SIGTERM)
            self.assertIn(worker.wait(), (0, TERMINATED))
        self.assert_all_ok(ring.run, 5, journal)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 6)})


if __name__ == "__main__":
    unittest.main()
