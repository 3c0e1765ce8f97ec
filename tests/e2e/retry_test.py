"""Retry: finished jobs run again, their history stays, and whatever is interrupted can be gone on with."""
import contextlib
import sqlite3
import unittest

from support import EndToEnd, Ring, USAGE, finished, query, wait_until


class Retry(EndToEnd):
    def flaky(self, journal, jobs="1 2 3 4", *options, status=2):
        """A run whose even jobs fail until the file `fine` is there."""
        self.run_to_end("run", "--run-dir", "r", *options, journal.job("echo o{}; [ $(({} % 2)) = 1 ] || [ -e fine ]"), ":::", *jobs.split(), status=status)

    def outcomes(self):
        return dict(query(self.path / "r", "SELECT job, outcome FROM results"))

    def test_failed_jobs_run_again_and_their_history_stays(self):
        journal = self.journal()
        self.flaky(journal, "1 2 3 4", "--retries", "2", "--joblog", "log")
        self.assertEqual(sorted(self.run_to_end("retry", "r", status=2).out.splitlines()), [b"o2", b"o4"])  # their limits have started again
        self.assertEqual(journal.starts(), {1: 1, 2: 4, 3: 1, 4: 4})
        (self.path / "fine").touch()
        self.assertEqual(sorted(self.run_to_end("retry", "r").out.splitlines()), [b"o2", b"o4"])
        self.assertEqual(journal.starts(), {1: 1, 2: 5, 3: 1, 4: 5})
        self.assert_all_ok(self.path / "r", 4, journal)
        self.assertEqual(dict(query(self.path / "r", "SELECT job, attempt FROM results")), {1: 1, 2: 5, 3: 1, 4: 5})
        self.assertEqual(query(self.path / "r", "SELECT DISTINCT counted FROM attempts"), [(0,)])
        story = self.run_to_end("why", "r", "2").out.decode()
        self.assertEqual(story.count("you had it retried"), 2)
        self.assertEqual(self.run_to_end("output", "r", "2", "--attempt", "2").out, b"o2\n")
        self.assertEqual({int(line.split("\t")[0]) for line in (self.path / "log").read_text().splitlines()[1:]}, {1, 2, 3, 4})
        before = journal.starts()
        self.run_to_end("retry", "r")  # nothing is left to do
        self.assertEqual(journal.starts(), before)

    def test_chosen_jobs_run_again_also_those_that_succeeded(self):
        journal = self.journal()
        self.flaky(journal)
        self.run_to_end("retry", "r", "1", "4", status=2)
        self.assertEqual(journal.starts(), {1: 2, 2: 1, 3: 1, 4: 2})
        self.run_to_end("retry", "r", "--lost", status=2)
        self.assertEqual(sum(journal.starts().values()), 6)
        self.assert_each_once(self.path / "r", 4, journal)

    def test_a_job_whose_block_of_the_input_is_gone_keeps_its_row(self):
        for cat in ([], ["--cat"]):
            with self.subTest(cat=cat):
                directory = "r" + "".join(cat)
                self.run_to_end("run", "--pipe", "--block", "10k", *cat, "--run-dir", directory, "wc -l" + (" {}" if cat else ""), stdin=[str(i) for i in range(5000)])
                said = self.run_to_end("retry", directory, "1", status=USAGE)
                self.assertRegex(said.err, r"^pushmill retry: job 1: its input .*/inputs/1 is gone: ")
                self.assertEqual(query(self.path / directory, "SELECT outcome FROM results WHERE job = 1"), [("ok",)])

    def test_large_outputs_of_before_stay_in_their_files(self):
        self.run_to_end("run", "--run-dir", "r", "[ -e fine ] || { head -c 200000 /dev/zero; exit 1; }; : {}", ":::", "1", status=1)
        (self.path / "fine").touch()
        self.run_to_end("retry", "r")
        self.assertEqual(self.run_to_end("output", "r", "1").out, b"")
        self.assertEqual(self.run_to_end("output", "r", "1", "--attempt", "1").out, bytes(200000))

    def test_outputs_in_the_order_of_the_jobs_come_once(self):
        journal = self.journal()
        self.flaky(journal, "1 2 3 4 5 6", "-k", "-j1", status=3)
        self.assertEqual(self.run_to_end("retry", "r", status=3).out, b"o2\no4\no6\n")
        (self.path / "fine").touch()
        self.assertEqual(self.run_to_end("retry", "r", "5", "2", status=2).out, b"o2\no5\n")
        self.assertEqual(self.run_to_end("retry", "r").out, b"o4\no6\n")
        self.assert_all_ok(self.path / "r", 6, journal)

    def test_a_run_without_a_name(self):
        self.run_to_end("run", "[ -e fine ] || exit {}", ":::", "1", "0", status=1)
        (self.path / "fine").touch()
        self.run_to_end("retry")
        self.assertEqual(self.runs(), [])

    def test_a_run_of_ventilator_and_sink_is_prepared(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("[ {} = 1 ] || [ -e fine ]"), records=[1, 2, 3], workers=1)
        ring.wait(2)
        said = self.run_to_end("retry", ring.run).err
        self.assertIn("2 jobs will run again: start the sink and the ventilator", said)
        self.assertEqual(finished(ring.run), {1})
        (self.path / "fine").touch()
        ring.workers.clear()
        ring.start_sink()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 3, journal)
        self.assertEqual(journal.starts(), {1: 1, 2: 2, 3: 2})

    def test_a_worker_that_still_runs_a_voided_attempt_changes_nothing(self):
        journal, ring = self.journal(), Ring(self)
        wait, go = self.gate()
        ring.start("--retries", "1", journal.job(f"[ {{}} = 1 ] || {{ {wait}; }}; [ -e fine ]"), records=[1, 2], workers=1)
        wait_until(lambda: finished(ring.run) == {1} and journal.running() == {2}, "the failure of the first job")
        ring.ventilator.kill()
        ring.sink.kill()
        self.run_to_end("retry", ring.run, "1")
        (self.path / "fine").touch()
        ring.start_sink()
        ring.start_ventilator()
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 2, journal)
        self.assertEqual(journal.starts(), {1: 2, 2: 1})


class Interrupted(EndToEnd):
    def test_a_crash_between_the_two_databases_is_no_change_at_all(self):
        journal = self.journal()
        self.run_to_end("run", "--run-dir", "r", journal.job("[ -e fine ]"), ":::", "1", "2", status=2)
        with contextlib.closing(sqlite3.connect(self.path / "r/jobs.db")) as database, database:
            database.execute("DELETE FROM meta WHERE key = 'ended'")
        self.run_to_end("resume", "r", status=2)
        with contextlib.closing(sqlite3.connect(self.path / "r/jobs.db")) as database, database:
            self.assertEqual(database.execute("SELECT value FROM meta WHERE key = 'ended'").fetchall(), [(2,)])
            database.execute("DELETE FROM meta WHERE key = 'ended'")
        (self.path / "fine").touch()
        self.run_to_end("retry", "r")
        self.assertEqual(journal.starts(), {1: 2, 2: 2})
        self.assert_all_ok(self.path / "r", 2, journal)

    def test_kill_9_at_any_moment_of_a_retry(self):
        journal = self.journal()
        self.run_to_end("run", "--run-dir", "r", journal.job("sleep 0.01; [ $(({} % 3)) -gt 0 ] || [ -e fine ]"), ":::", *map(str, range(1, 31)), status=10)
        for round_ in range(8):
            program = self.start("pushmill", "retry", "r")
            with contextlib.suppress(Exception):
                program.process.wait(self.random.random() * 0.12)
            program.kill()
            self.assertNotIn("broken", program.err)
        (self.path / "fine").touch()
        # Jobs that the killed ones left running are not waited for: what is here is what counts.
        self.run_to_end("retry", "r")
        self.assert_all_ok(self.path / "r", 30)
        starts = journal.starts()
        self.assertEqual({job for job in starts if starts[job] > 1 and job % 3}, set(), "jobs that had succeeded")
        self.assertEqual(self.run_to_end("resume", "r").out, b"")


if __name__ == "__main__":
    unittest.main()
