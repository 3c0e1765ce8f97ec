"""Many quick jobs through three workers while each of the roles is killed."""
import unittest

from support import EndToEnd, Ring, finished, is_finished, query, wait_until

JOBS = 3000


class Storm(EndToEnd):
    def test_each_job_is_done_and_logged_once(self):
        journal, ring = self.journal(), Ring(self, "tcp")
        ring.start(journal.job("echo {}"), records=range(JOBS), workers=3)
        victims = self.random.sample(["worker", "sink"], 2)
        committed, starts = set(), {}
        for victim, moment in zip(victims, sorted(self.random.sample(range(JOBS // 10, JOBS * 2 // 3), 2))):
            wait_until(is_finished(ring.run, moment), f"{moment} results")
            if victim == "worker":
                ring.kill_worker(self.random.randrange(3))
            else:
                ring.sink.kill()
                committed, starts = finished(ring.run), journal.starts()
                ring.start_sink()
        ring.wait()
        self.assert_all_ok(ring.run, JOBS, journal)
        now = journal.starts()
        self.assertEqual([job for job in committed if now[job] != starts[job]], [], "committed jobs that were run again")
        again = {job for job, count in now.items() if count > 1}
        lost = {job for (job,) in query(ring.run, "SELECT job FROM attempts WHERE outcome = 'lost'")}
        self.assertEqual(again - lost, set(), "jobs that were run again and not lost")
        self.assertLess(len(again), 200)
        outputs = b"".join(program.out for program in self.programs if program.name == "sink")
        self.assertTrue({int(n) for n in outputs.split()} == set(range(JOBS)))

    def test_a_hundred_thousand_calls(self):
        calls = 100_000
        ring = Ring(self, "tcp")
        ring.start("--call", "echo", records=range(calls), workers=3)
        victims = self.random.sample(["worker", "ventilator", "sink"], 3)
        for victim, moment in zip(victims, sorted(self.random.sample(range(5_000, 80_000), 3))):
            wait_until(lambda: query(ring.run, "SELECT count(*) FROM results")[:1] >= [(moment,)], f"{moment} results")
            if victim == "worker":
                ring.kill_worker(self.random.randrange(3))
            else:
                getattr(ring, victim).kill()
                getattr(ring, f"start_{victim}")()
        ring.wait()
        self.assert_all_ok(ring.run, calls)
        outputs = b"".join(program.out for program in self.programs if program.name == "sink")
        self.assertTrue({int(n) for n in outputs.split()} == set(range(calls)))


if __name__ == "__main__":
    unittest.main()
