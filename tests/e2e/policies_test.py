"""What a user can choose about failures, losses and silence: --retry-delay, --retry-on, --crash-limit, --at-most-once, --no-overlap, --on-head-lost."""
import signal
import subprocess
import unittest

from support import HEAD_NOT_FOUND, USAGE, EndToEnd, Ring, finished, is_finished, query, wait_until

REFUSED = (
    (("run", "--retries", "3", "--retry-on", "3,SIGNOPE"), "--retry-on: 'SIGNOPE' is not an exit code"),
    (("run", "--retries", "3", "--no-retry-on", "300"), "--no-retry-on: '300' is not an exit code"),
    (("run", "--retry-on", "3"), "--retry-on and --no-retry-on need --retries"),
    (("run", "--retry-delay", "3s"), "--retry-delay needs --retries"),
    (("run", "--retries", "2", "--retry-delay", "soon"), "--retry-delay: "),
    (("run", "--crash-limit", "0"), "--crash-limit: '0' is not a whole number"),
    (("run", "--durability", "some"), "--durability: 'some' is not process or power"),
    (("ventilator", "--sink", "ipc:///tmp/none", "--run-dir", "r", "--lease", "2s"), "--lease must be at least three times --heartbeat"),
    (("ventilator", "--sink", "ipc:///tmp/none", "--run-dir", "r", "--lease", "4s", "--no-overlap"), "with --no-overlap --lease must be at least five times"),
    (("ventilator", "--sink", "ipc:///tmp/none", "--run-dir", "r", "--heartbeat", "1ms"), "--heartbeat must be at least 10ms"),
    (("worker", "--sink", "ipc:///tmp/none", "--on-head-lost", "wait"), "--on-head-lost: 'wait' is not run or stop"),
)


class Refusals(EndToEnd):
    def test_what_does_not_fit_together_is_refused_in_one_line(self):
        for words, said in REFUSED:
            with self.subTest(words):
                program = self.run_to_end(*words, "true", status=USAGE)
                self.assertIn(said, program.err)
                self.assertEqual(program.err.count("\n"), 1, program.err)


class Delays(EndToEnd):
    def starts(self, clock):
        """Seconds at which each attempt told that it began."""
        return [float(line) for line in clock.read_text().split()]

    def test_a_failed_job_waits_longer_each_time(self):
        clock = self.path / "clock"
        self.run_to_end("run", "--retries", "4", "--retry-delay", "200ms", f"date +%s.%N >> {clock}; false #", ":::", "x", status=1)
        times = self.starts(clock)
        gaps = [after - before for before, after in zip(times, times[1:])]
        self.assertEqual(len(gaps), 3)
        for gap, least in zip(gaps, (0.2, 0.4, 0.8)):
            self.assertGreaterEqual(gap, least * 0.99)

    def test_a_job_that_runs_until_it_succeeds_does_not_spin(self):
        clock = self.path / "clock"
        self.run_to_end("run", "--retries", "0", f"date +%s.%N >> {clock}; [ $(wc -l < {clock}) = 2 ] #", ":::", "x")
        first, second = self.starts(clock)
        self.assertGreaterEqual(second - first, 0.99)

    def test_a_delayed_job_holds_nothing_up(self):
        journal = self.journal()
        run = self.start("pushmill", "run", "--run-dir", "r", "-j1", "--retries", "2", "--retry-delay", "1h", journal.job("exit {}"), ":::", "1", "0", "0", "0")
        wait_until(is_finished(self.path / "r", 3), "the other jobs")
        self.assertEqual(finished(self.path / "r"), {2, 3, 4})
        run.stop(signal.SIGTERM)
        self.assertEqual(journal.starts()[1], 1)


class Kinds(EndToEnd):
    def test_only_the_failures_that_are_named_are_run_again(self):
        journal = self.journal()
        self.run_to_end("run", "--run-dir", "r", "--retries", "3", "--retry-on", "3-4,SIGUSR1", journal.job("eval {}"), ":::",
                        "exit 3", "exit 5", "kill -USR1 $$", "kill -USR2 $$", "exit 4", status=5)
        self.assertEqual(dict(journal.starts()), {1: 3, 2: 1, 3: 3, 4: 1, 5: 3})
        reasons = dict(query(self.path / "r", "SELECT job, coalesce(reason, '') FROM results"))
        self.assertIn("not run again", reasons[2])
        self.assertEqual(reasons[1], "")
        self.assertEqual(query(self.path / "r", "SELECT value FROM meta WHERE key = 'policy_retry_on'"), [("3-4,266",)])
        self.assertIn("a failure of this kind is for good (--retry-on, --no-retry-on)", self.run_to_end("why", "r", "2").out.decode())
        self.assertIn("it may run 3 times in all (--retries)", self.run_to_end("why", "r", "1").out.decode())

    def test_failures_can_be_excepted(self):
        journal = self.journal()
        self.run_to_end("run", "--retries", "2", "--timeout", "300ms", "--no-retry-on", "timeout,9", journal.job("eval {}"), ":::", "sleep 100", "exit 9", "exit 8",
                        status=3)
        self.assertEqual(dict(journal.starts()), {1: 1, 2: 1, 3: 2})

    def test_they_travel_through_the_ring(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("exit {}"), records=(1, 2), options=("--retries", "2", "--no-retry-on", "1"))
        ring.wait(2)
        self.assertEqual(dict(journal.starts()), {1: 1, 2: 2})

    def test_a_run_that_is_continued_keeps_them(self):
        journal = self.journal()
        wait, go = self.gate()
        run = self.start("pushmill", "run", "--run-dir", "r", "-j1", "--retries", "2", "--no-retry-on", "7", journal.job(f"{wait}; exit {{}}"), ":::", "7", "8")
        wait_until(lambda: journal.running() == {1}, "the first job")
        run.kill()
        go()
        self.run_to_end("resume", "r", status=2)
        attempts = dict(query(self.path / "r", "SELECT job, attempt FROM results"))
        self.assertEqual(attempts, {1: 1, 2: 2})


class CrashLimit(EndToEnd):
    def test_a_job_that_kills_its_keeper_is_given_up_at_the_limit(self):
        journal = self.journal()
        self.run_to_end("run", "--run-dir", "r", "--crash-limit", "2", journal.job("kill -9 $PPID; sleep 100"), ":::", "x", status=1)
        self.assertEqual(query(self.path / "r", "SELECT outcome FROM results"), [("lost",)])
        self.assertEqual(dict(journal.starts()), {1: 4})  # twice among others, then twice alone


class AtMostOnce(EndToEnd):
    OPTIONS = ("--at-most-once",)

    def start_ring(self, journal, body, jobs=4, workers=1):
        ring = Ring(self)
        return ring.start(journal.job(body), records=range(jobs), options=self.OPTIONS, workers=workers)

    def assert_lost(self, run, lost, journal):
        rows = query(run, "SELECT job, outcome, command <> '' FROM results WHERE outcome <> 'ok' ORDER BY job")
        self.assertEqual(rows, [(job, "lost", 1) for job in sorted(lost)])
        self.assertEqual([job for job, count in journal.starts().items() if count > 1], [])

    def test_what_runs_on_a_worker_that_dies_is_lost(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = self.start_ring(journal, f"[ {{}} -gt 1 ] || {{ {wait}; }}")
        wait_until(lambda: journal.running() == {1, 2}, "two jobs that wait")
        ring.kill_worker()
        ring.start_worker()
        ring.wait(2)
        self.assert_lost(ring.run, {1, 2}, journal)

    def test_what_runs_on_a_worker_that_is_told_to_stop_is_lost(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = self.start_ring(journal, f"[ {{}} -gt 1 ] || {{ {wait}; }}")
        wait_until(lambda: journal.running() == {1, 2}, "two jobs that wait")
        ring.workers.pop().stop()
        ring.start_worker()
        ring.wait(2)
        self.assert_lost(ring.run, {1, 2}, journal)
        for (reason,) in query(ring.run, "SELECT reason FROM results WHERE outcome = 'lost'"):
            self.assertIn("not run again", reason)
        self.assertIn("it may have begun (--at-most-once)", self.run_to_end("why", ring.run, "1").out.decode())

    def test_a_head_that_dies_with_its_worker_loses_what_ran_and_nothing_else(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = self.start_ring(journal, f"[ {{}} -gt 1 ] || {{ {wait}; }}", jobs=20)
        wait_until(lambda: journal.running() == {1, 2}, "two jobs that wait")
        ring.ventilator.kill()
        ring.sink.kill()
        ring.kill_worker()
        ring.start_sink()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait(2)
        self.assert_lost(ring.run, {1, 2}, journal)
        self.assert_each_once(ring.run, 20)

    def test_running_work_survives_a_head_that_dies_alone(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = self.start_ring(journal, wait)
        wait_until(lambda: journal.running() == {1, 2}, "two jobs that wait")
        for name in ("ventilator", "sink"):
            getattr(ring, name).kill()
        for name in ("ventilator", "sink"):
            getattr(ring, f"start_{name}")()
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 4, journal)
        self.assertEqual(set(journal.starts().values()), {1})

    def test_a_killed_run_that_is_continued_has_lost_what_ran(self):
        journal = self.journal()
        wait, go = self.gate()
        run = self.start("pushmill", "run", "--run-dir", "r", "-j2", *self.OPTIONS, journal.job(f"[ {{}} -gt 1 ] || {{ {wait}; }}"), ":::", *map(str, range(6)))
        wait_until(lambda: journal.running() == {1, 2}, "two jobs that wait")
        run.kill()
        go()
        self.run_to_end("resume", "r", status=2)
        self.assert_lost(self.path / "r", {1, 2}, journal)
        self.assert_each_once(self.path / "r", 6)

    def test_failures_are_run_again_all_the_same(self):
        journal = self.journal()
        self.run_to_end("run", "--retries", "3", *self.OPTIONS, journal.job("false"), ":::", "x", status=1)
        self.assertEqual(dict(journal.starts()), {1: 3})

    def test_a_run_does_not_change_to_it(self):
        journal = self.journal()
        wait, go = self.gate()
        run = self.start("pushmill", "run", "--run-dir", "r", journal.job(wait), ":::", "x")
        wait_until(journal.running, "the job")
        run.kill()
        go()
        program = self.run_to_end("run", "--run-dir", "r", *self.OPTIONS, journal.job(wait), ":::", "x", status=USAGE)
        self.assertIn("this run was begun without --at-most-once", program.err)
        self.run_to_end("resume", "r")


class NoOverlap(EndToEnd):
    def start_ring(self, journal, workers=1):
        """Jobs that hold a lock until the gate opens, and say so when somebody else holds it."""
        wait, go = self.gate()
        self.overlaps = self.path / "overlaps"
        ring = Ring(self)
        body = f"exec 9>>{self.path}/lock; flock -n 9 || echo {{}} >> {self.overlaps}; {wait}"
        ring.start(journal.job(body), records=[1], options=("--no-overlap",), workers=workers, slots=1)
        return ring, go

    def test_a_stopped_worker_s_job_is_ended_before_another_begins_it(self):
        journal = self.journal()
        ring, go = self.start_ring(journal)
        wait_until(lambda: journal.running() == {1}, "the job")
        ring.workers[0].pause()
        ring.start_worker("-j1")
        wait_until(lambda: journal.starts()[1] == 2, "its second attempt")
        self.assertFalse(self.overlaps.exists(), "two attempts ran at a time")
        ring.workers[0].send(signal.SIGCONT)
        go()
        ring.wait()
        self.assert_each_once(ring.run, 1)
        self.assertEqual(query(ring.run, "SELECT outcome FROM results"), [("ok",)])

    def test_a_worker_that_hears_nothing_for_a_lease_ends_its_job_itself(self):
        journal = self.journal()
        ring, go = self.start_ring(journal)
        wait_until(lambda: journal.running() == {1}, "the job")
        ring.sink.pause()
        # Nobody has told it to: its lock is free as soon as it is gone.
        probe = ["flock", "-n", str(self.path / "lock"), "true"]
        wait_until(lambda: subprocess.run(probe, check=False).returncode == 0, "the end of the job")
        ring.sink.send(signal.SIGCONT)
        wait_until(lambda: journal.starts()[1] == 2, "its second attempt")
        go()
        ring.wait()
        self.assertFalse(self.overlaps.exists())
        self.assertEqual([row for row in query(ring.run, "SELECT outcome, counted FROM attempts") if row[0] != "superseded"], [("cancelled", 0)])

    def test_a_quiet_run_is_left_alone(self):
        journal = self.journal()
        ring = Ring(self)
        ring.start(journal.job("sleep 5"), records=[1], options=("--no-overlap",), workers=1)  # two leases: its time must be renewed all along
        ring.wait()
        self.assertEqual(dict(journal.starts()), {1: 1})
        self.assert_all_ok(ring.run, 1, journal)


class HeadLost(EndToEnd):
    def start_ring(self, journal, *options):
        wait, self.go = self.gate()
        ring = Ring(self)
        ring.start(journal.job(f"[ {{}} = gate ] || sleep 4; {wait}"), records=("gate", "4s"), workers=0)
        ring.start_worker("-j2", "--head-timeout", "1s", *options)
        wait_until(lambda: journal.running() == {1, 2}, "two jobs")
        return ring

    def test_a_worker_that_is_to_stop_without_a_head_ends_its_jobs_and_leaves(self):
        journal = self.journal()
        ring = self.start_ring(journal, "--on-head-lost", "stop")
        ring.ventilator.kill()
        ring.sink.kill()
        ring.workers[0].wait(HEAD_NOT_FOUND)
        self.assertEqual(journal.running(), {1, 2})  # they were ended, and had no say
        ring.workers.clear()
        self.go()
        ring.start_sink()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 2)

    def test_otherwise_it_finishes_them(self):
        journal = self.journal()
        ring = self.start_ring(journal)
        ring.ventilator.kill()
        ring.sink.kill()
        self.go()
        wait_until(lambda: not journal.running(), "the end of the jobs, one of which takes longer than the worker's patience")
        self.assertTrue(ring.workers[0].is_running())
        ring.start_sink()
        ring.start_ventilator()
        ring.wait()
        self.assert_all_ok(ring.run, 2, journal)
        self.assertEqual(dict(journal.starts()), {1: 1, 2: 1})


if __name__ == "__main__":
    unittest.main()
