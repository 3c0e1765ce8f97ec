"""A job that takes its worker with it: the jobs beside it succeed, and it ends as lost when it has done so --crash-limit times while alone."""
import unittest

from support import EndToEnd, Ring, query, wait_until

LIMIT = 5  # the default


class Poison(EndToEnd):
    def assert_one_is_lost(self, run, jobs, killer):
        self.assert_each_once(run, jobs)
        self.assertEqual(query(run, "SELECT job, outcome FROM results WHERE outcome <> 'ok'"), [(killer, "lost")])
        alone = query(run, f"SELECT count(*) FROM attempts WHERE job = {killer} AND outcome = 'lost' AND alone AND counted")
        self.assertEqual(alone, [(LIMIT - 1,)], "losses before the last, which is its result")

    def test_one_among_64_that_kills_its_worker_over_restarts_of_the_head(self):
        ring = Ring(self)
        ring.start("if [ {} = 13 ]; then sleep 0.1; kill -9 $PARALLEL_PID; sleep 100; fi; sleep 0.2; echo {}", records=range(1, 65), workers=0)

        def launch():
            """As a scheduler does: another worker for each that died."""
            ring.workers = [worker for worker in ring.workers if worker.is_running()]
            while len(ring.workers) < 2 and ring.sink.is_running():
                ring.start_worker("-j64")

        def losses():
            launch()
            return len(query(ring.run, "SELECT 1 FROM attempts WHERE job = 13 AND outcome = 'lost'"))
        for count in (1, 3):
            wait_until(lambda: losses() >= count, f"{count} losses")
            ring.ventilator.kill()
            ring.sink.kill()
            ring.start_sink()
            ring.start_ventilator()
        wait_until(lambda: launch() or not ring.sink.is_running(), "the end of the run")
        ring.wait(1)
        self.assert_one_is_lost(ring.run, 64, 13)

    def test_one_that_kills_its_keeper(self):
        program = self.run_to_end("run", "--run-dir", "r", "-j8", "if [ {} = 5 ]; then sleep 0.1; kill -9 $PPID; sleep 100; fi; sleep 0.2; echo {}", stdin=range(1, 25), status=1)
        self.assertIn("1 of 24 jobs failed", program.err)
        self.assert_one_is_lost(self.path / "r", 24, 5)


if __name__ == "__main__":
    unittest.main()
