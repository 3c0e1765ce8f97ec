"""kill -9 of `pushmill run`, then `pushmill resume`, or the same command line again."""
import unittest

from support import EndToEnd, SLOWNESS, finished, is_finished, processes_with, query, wait_until

AGAIN = 6 * SLOWNESS  # jobs that a kill lets run again: three were running, a few more may have ended whose rows were not committed yet


class KillRun(EndToEnd):
    def begin(self, journal, *options, stdin=None, count=200):
        """A run that is killed at a random moment. What it was, and how often the jobs were begun that are committed."""
        words = ["run", "-j3", *options, journal.job("sleep 0.01; echo {}")]
        program = self.start("pushmill", *words, **({"stdin": stdin} if stdin else {}))
        where = self.path / "r" if "--run-dir" in options else wait_until(self.runs, "a run directory")[0]
        wait_until(is_finished(where, self.random.randrange(1, count - 20)), "some results")
        program.kill()
        wait_until(lambda: not self.jobs_of(program), "the end of its jobs")
        starts = journal.starts()
        return where, words, {job: starts[job] for job in finished(where)}

    def jobs_of(self, program):
        return processes_with(f"PARALLEL_PID={program.pid}\0")

    def check(self, where, journal, done, jobs=200):
        self.assert_all_ok(where, jobs, journal)
        starts = journal.starts()
        self.assertEqual({job: starts[job] for job in done}, done, f"committed jobs that were run again (PUSHMILL_E2E_SEED={self.seed})")
        self.assertLessEqual(sum(starts.values()), jobs + AGAIN, "only what was running is run again")

    def test_resume(self):
        journal = self.journal()
        (self.path / "list").write_text("".join(f"{n}\n" for n in range(200)))
        where, _, done = self.begin(journal, "--run-dir", "r", "-a", "list")
        self.run_to_end("resume", "r")
        self.check(where, journal, done)
        outputs = b"".join(program.out for program in self.programs)
        self.assertEqual({int(n) for n in outputs.split()}, set(range(200)))

    def test_the_same_command_line_again(self):
        journal = self.journal()
        records = range(200)
        where, words, done = self.begin(journal, "--run-dir", "r", stdin=records)
        self.run_to_end(*words, stdin=records)
        self.check(where, journal, done)

    def test_several_times(self):
        journal = self.journal()
        (self.path / "list").write_text("".join(f"{n}\n" for n in range(200)))
        where, words, done = self.begin(journal, "--run-dir", "r", "-a", "list", count=80)
        for again in ["resume", "r"], words, ["resume", "r"]:
            program = self.start("pushmill", *again)
            wait_until(is_finished(where, min(200, len(finished(where)) + 30)), "some results")
            program.kill()
            wait_until(lambda: not self.jobs_of(program), "the end of its jobs")
        self.run_to_end("resume", "r")
        self.assert_all_ok(where, 200, journal)
        starts = journal.starts()
        self.assertEqual({job: starts[job] for job in done}, done)
        self.assertLessEqual(sum(starts.values()), 200 + 4 * AGAIN)
        self.assertEqual(query(where, "SELECT value FROM meta WHERE key = 'sink_epoch'"), [(5,)])

    def test_a_run_without_a_name_is_resumed_and_then_removed(self):
        journal = self.journal()
        (self.path / "list").write_text("".join(f"{n}\n" for n in range(200)))
        where, _, done = self.begin(journal, "-a", "list")
        program = self.run_to_end("resume", where)
        self.assertEqual(program.err, "")
        self.assertFalse(where.exists())
        self.assertEqual(set(journal.starts()), set(range(1, 201)))
        self.assertEqual({job: journal.starts()[job] for job in done}, done)

    def test_keep_order_goes_on(self):
        words = ["run", "-k", "-j3", "--run-dir", "r", "sleep 0.0$((({} * 7) % 10)); echo {}", ":::", *map(str, range(100))]
        program = self.start("pushmill", *words)
        wait_until(is_finished(self.path / "r", self.random.randrange(5, 60)), "some results")
        program.kill()
        first = [int(n) for n in program.out.split()]
        second = [int(n) for n in self.run_to_end("resume", "r").out.split()]
        self.assertEqual(first, list(range(len(first))))
        self.assertEqual(second, list(range(second[0], 100)))
        self.assertLessEqual(second[0], len(first))


if __name__ == "__main__":
    unittest.main()
