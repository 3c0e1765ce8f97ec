"""Workers join and leave at any time."""
import resource
import signal
import unittest

from support import HEAD_NOT_FOUND, EndToEnd, INTERRUPTED, Ring, TERMINATED, USAGE, is_finished, query, wait_until


class Joining(EndToEnd):
    def test_any_order_of_start(self):
        for order in ("worker", "ventilator", "sink"), ("sink", "worker", "ventilator"), ("ventilator", "sink", "worker"):
            with self.subTest(order=order):
                ring = Ring(self, name="-".join(order))
                ring.ventilator_options, ring.input = [*Ring.QUICK, "echo"], list(range(20))
                for role in order:
                    getattr(ring, f"start_{role}")()
                ring.wait()
                self.assert_all_ok(ring.run, 20)

    def test_a_small_spool_is_filled_again_whichever_worker_takes_what(self):
        ring = Ring(self).start("--spool", "16K", "true", records=[f"{i} {'x' * 200}" for i in range(1500)], workers=3)
        ring.wait()
        self.assert_all_ok(ring.run, 1500)

    def test_roles_that_wait_say_for_what(self):
        ring = Ring(self)
        worker = ring.start_worker()
        worker.wait_for(f"waiting for the sink at {ring.endpoint}")
        ventilator = ring.start_ventilator(*Ring.QUICK, "echo", records=["a"])
        ventilator.wait_for(f"waiting for the sink at {ring.endpoint}")
        worker.stop()
        ring.workers.clear()
        ventilator.stop()
        sink = ring.start_sink()
        sink.wait_for("waiting for the ventilator: start it with --sink " + ring.endpoint)
        ring.start_ventilator()
        sink.wait_for("waiting for workers")
        ring.ventilator.wait_for("waiting for workers")
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 1)

    def test_a_late_worker_takes_jobs_that_a_full_one_holds(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(wait), records=range(4), workers=1, slots=1)
        wait_until(lambda: len(journal.running()) == 1, "the first job")
        ring.start_worker("-j3")
        wait_until(lambda: len(journal.running()) == 4, "all four at once")
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 4, journal)
        self.assertEqual(journal.starts(), {1: 1, 2: 1, 3: 1, 4: 1})

    def test_many_workers_of_one_slot(self):
        journal, ring = self.journal(), Ring(self)
        # The first six wait for each other: all workers take part.
        meet = "touch on-{#}; while [ {#} -le 6 ] && [ $(ls on-[1-6] | wc -l) -lt 6 ]; do sleep 0.02; done"
        ring.start_sink()
        ring.start_ventilator(journal.job(meet), records=range(60))
        for _ in range(6):
            ring.start_worker("-j1")
        ring.wait(all_told=True)
        self.assert_all_ok(ring.run, 60, journal)
        self.assertEqual(query(ring.run, "SELECT count(DISTINCT worker) FROM results"), [(6,)])

    def test_the_number_of_workers_is_not_limited_by_the_callers_soft_limit_of_open_files(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        ring = Ring(self)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        ring.start("echo", records=["a"], workers=0)
        ring.sink.wait_for("waiting for workers")
        ring.ventilator.wait_for("waiting for workers")
        for role in ring.sink, ring.ventilator:
            self.assertEqual(resource.prlimit(role.pid, resource.RLIMIT_NOFILE), (before[1], before[1]))
        ring.start_worker()
        ring.wait()


class Leaving(EndToEnd):
    def leave(self, number, status):
        journal = self.journal()
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(wait), records=range(10), workers=1, options=("--retries", "1"))
        wait_until(lambda: len(journal.running()) == 2, "two jobs in the first worker")
        ring.workers.pop().stop(number, status)
        cancelled = query(ring.run, "SELECT job, outcome, counted FROM attempts WHERE outcome <> 'returned' ORDER BY job")
        self.assertEqual(cancelled, [(1, "cancelled", 0), (2, "cancelled", 0)])
        go()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 10, journal)
        self.assertEqual(journal.starts(), {job: 2 if job < 3 else 1 for job in range(1, 11)})

    def test_sigterm_hands_the_jobs_back_and_counts_nothing(self):
        self.leave(signal.SIGTERM, TERMINATED)

    def test_sigint_too(self):
        self.leave(signal.SIGINT, INTERRUPTED)

    def test_one_leaves_while_the_others_work(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("sleep 0.01"), records=range(200), workers=3)
        wait_until(is_finished(ring.run, self.random.randrange(20, 120)), "some results")
        ring.workers.pop().stop()
        ring.wait()
        self.assert_all_ok(ring.run, 200, journal)
        self.assertEqual(query(ring.run, "SELECT * FROM attempts WHERE counted"), [])

    def test_a_worker_without_a_head_leaves_in_time(self):
        worker = self.start("worker", "--sink", f"ipc://{self.path}/nobody.sock", "--head-timeout", "1s")
        worker.wait(HEAD_NOT_FOUND)
        self.assertIn(f"ipc://{self.path}/nobody.sock", worker.err)

    def test_a_worker_without_work_stays(self):
        ring = Ring(self)
        ring.start_sink()
        ring.start_ventilator(*Ring.QUICK, "sleep 2.5; echo", records=["a"])
        busy = ring.start_worker("-j1")
        wait_until(lambda: query(ring.run, "SELECT 1 FROM meta WHERE key = 'run'"), "the run to begin")
        ring.start_worker("-j1", "--head-timeout", "1s")  # has nothing to do for longer than that, but hears of the run
        ring.wait()
        self.assertFalse(busy.is_running())

    def test_sigterm_while_nothing_is_there(self):
        worker = self.start("worker", "--sink", f"ipc://{self.path}/nobody.sock")
        worker.wait_for("waiting for the sink")
        worker.stop()

    def test_usage(self):
        for words in ([], ["--sink", "ipc:///tmp/x", "-j", "x"], ["--sink", "ipc:///tmp/x", "word"], ["--sink", "nonsense"]):
            self.start("worker", *words).wait(USAGE)


if __name__ == "__main__":
    unittest.main()
