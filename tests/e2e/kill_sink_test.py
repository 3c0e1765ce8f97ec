"""kill -9 of the sink, then the same command line again."""
import unittest

from heads import KillHead
from support import Ring, is_finished, query, wait_until


class KillSink(KillHead):
    def test_at_random_moments_over_ipc(self):
        ring = self.kill_at_random_moments(["sink"], "ipc")
        # Outputs are written at least once.
        outputs = [program.out for program in self.programs if program.name == "sink"]
        self.assertEqual({int(n) for n in b"".join(outputs).split()}, set(range(200)))
        self.assertEqual(ring.sink.out, outputs[-1])

    def test_at_random_moments_over_tcp(self):
        self.kill_at_random_moments(["sink"], "tcp")

    def test_running_jobs_are_not_run_again(self):
        self.keep_running_jobs(["sink"])

    def test_results_of_its_absence_are_kept(self):
        self.finish_while_away(["sink"])

    def test_after_the_end_it_gives_the_status_at_once(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("exit {}"), records=[0, 1, 0])
        wait_until(lambda: query(ring.run, "SELECT 1 FROM meta WHERE key = 'ended_status'"), "the end")
        ring.sink.kill()
        ring.ventilator.wait(1)
        ring.start_sink()
        ring.wait(1)
        self.assert_each_once(ring.run, 3, journal)
        self.assertEqual(journal.starts(), {1: 1, 2: 1, 3: 1})

    def test_keep_order_goes_on_where_it_was(self):
        ring = Ring(self)
        ring.start_sink("--keep-order", "--durability", "process")
        ring.start_ventilator(*Ring.QUICK, "sleep 0.0$((({} * 7) % 10)); echo {}", records=range(100))
        ring.start_worker("-j4")
        wait_until(is_finished(ring.run, self.random.randrange(5, 60)), "some results")
        ring.sink.kill()
        first = [int(n) for n in ring.sink.out.split()]
        ring.start_sink()
        ring.wait()
        second = [int(n) for n in ring.sink.out.split()]
        self.assertEqual(first, list(range(len(first))))
        self.assertEqual(second, list(range(second[0], 100)))
        self.assertLessEqual(second[0], len(first))

    def test_a_joblog_is_mended(self):
        ring = Ring(self)
        log = self.path / "log"
        ring.start_sink("--joblog", log, "--durability", "process")
        ring.start_ventilator(*Ring.QUICK, "sleep 0.01; echo", records=range(120))
        ring.start_worker("-j2")
        wait_until(is_finished(ring.run, self.random.randrange(5, 80)), "some results")
        ring.sink.kill()
        with open(log, "ab") as torn:
            torn.write(b"7\t:\t12")
        ring.start_sink()
        ring.wait()
        lines = log.read_text().splitlines()
        self.assertEqual(sorted(int(line.split("\t")[0]) for line in lines[1:]), list(range(1, 121)))
        self.assertTrue(all(line.count("\t") == 8 for line in lines))


if __name__ == "__main__":
    unittest.main()
