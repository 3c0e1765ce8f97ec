"""--skip-done: what succeeded in a run directory is left out, whatever its number; all else follows behind what is there."""
import os
import unittest

from support import EndToEnd, INPUT_CUT, KILL_POINTS, TERMINATED, USAGE, finished, has_kill_points, is_finished, query, wait_until

TWO_FAILS = "[ {} != two ] || [ -e fine ]"


class SkipDone(EndToEnd):
    def setUp(self):
        super().setUp()
        self.run_dir, self.log = self.path / "r", self.path / "said"
        self.log.touch()

    def body(self, rest=":"):
        return f"echo {{}} >> {self.log}; {rest}"

    def call(self, records, *options, status=0, body=None, **more):
        return self.run_to_end("run", "--run-dir", self.run_dir, "--skip-done", *options, body or self.body(), stdin=records, status=status, **more)

    def ran(self):
        """What has run since the last look, sorted."""
        words = sorted(self.log.read_text().split())
        self.log.write_text("")
        return words

    def rows(self):
        return query(self.run_dir, "SELECT job, outcome FROM results ORDER BY job")


class Calls(SkipDone):
    def test_what_succeeded_is_left_out_whatever_its_number(self):
        self.call(["a", "b", "c"])
        self.assertEqual(self.ran(), ["a", "b", "c"])
        self.call(["x", "c", "a", "y"])
        self.assertEqual(self.ran(), ["x", "y"])
        self.call(["y", "x", "c", "b", "a"])
        self.assertEqual(self.ran(), [])
        self.assertEqual(self.rows(), [(job, "ok") for job in range(1, 6)])
        self.assertIn(b"5 jobs: 5 done", self.run_to_end("status", self.run_dir).out)

    def test_it_may_follow_a_run_without_it(self):
        self.run_to_end("run", "--run-dir", self.run_dir, self.body(), stdin=["a", "b"])
        self.call(["c", "b"])
        self.assertEqual(self.ran(), ["a", "b", "c"])
        self.run_to_end("run", "--run-dir", self.run_dir, self.body(), stdin=["a", "b", "c"])  # what the directory has now is such an input
        self.assertEqual(self.ran(), [])

    def test_what_had_failed_runs_again_and_counts_for_the_newest_call_alone(self):
        body = self.body(TWO_FAILS)
        self.call(["one", "two"], body=body, status=1)
        program = self.call(["two", "three"], body=body, status=1)
        self.assertIn("1 of 4 jobs failed", program.err)
        self.assertIn(b"4 jobs: 2 done, 1 failed, 1 failed in earlier calls", self.run_to_end("status", self.run_dir).out)
        self.assertEqual(self.ran(), ["one", "three", "two", "two"])
        self.call(["one", "three"], body=body)  # the one that failed is not asked for any more
        self.assertEqual(self.ran(), [])
        self.run_to_end("retry", self.run_dir)  # nor is it now
        self.assertEqual(self.ran(), [])
        (self.path / "fine").touch()
        self.call(["one", "two", "three"], body=body)
        self.assertEqual(self.ran(), ["two"])
        self.call(["two"], body=body)
        self.assertEqual(self.ran(), [])
        self.assertEqual(self.rows(), [(1, "ok"), (2, "failed"), (3, "failed"), (4, "ok"), (5, "ok")])
        self.assertEqual(self.run_to_end("log", self.run_dir, "--failed", "--tsv").out.count(b"failed"), 2)
        self.assertIn(b"failed", self.run_to_end("why", self.run_dir, "2").out)

    def test_a_retry_is_of_the_newest_call(self):
        body = self.body(TWO_FAILS)
        self.call(["two"], body=body, status=1)
        self.call(["two", "one"], body=body, status=1)
        (self.path / "fine").touch()
        self.run_to_end("retry", self.run_dir)
        self.assertEqual(self.rows(), [(1, "failed"), (2, "ok"), (3, "ok")])

    def test_another_command_is_another_job(self):
        self.call(["a"])
        self.call(["a"], body=self.body("true"))
        self.call(["a"], "--wd", "/", body=self.body("true"))
        self.call(["a"], "--tag", "--timeout", "1m", "--nice", "1", body=self.body())  # as are none of these
        self.assertEqual(self.ran(), ["a", "a", "a"])

    def test_jobs_that_are_no_commands(self):
        call = ["run", "--run-dir", self.run_dir, "--skip-done", "-k", "--call", "echo"]
        self.assertEqual(self.run_to_end(*call, stdin=["a", "b"]).out, b"a\nb\n")
        self.assertEqual(self.run_to_end(*call, stdin=["b", "c"]).out, b"c\n")
        child = ["run", "--run-dir", self.path / "c", "--skip-done", "-k", "--coprocess", "sed -u s/^/x/"]
        self.assertEqual(self.run_to_end(*child, stdin=["a", "b"]).out, b"xa\nxb\n")
        self.assertEqual(self.run_to_end(*child, stdin=["c", "a"]).out, b"xc\n")

    def test_a_skipped_job_prints_nothing_and_the_joblog_goes_on(self):
        options = ["-k", "--joblog", "log"]
        self.assertEqual(self.call(["b", "a"], *options, body="echo").out, b"b\na\n")
        self.assertEqual(self.call(["c", "a", "d"], *options, body="echo").out, b"c\nd\n")
        self.assertEqual(sorted((line.split()[0], line.split("\t")[-1]) for line in (self.path / "log").read_text().splitlines()[1:]),
                         [("1", "echo b"), ("2", "echo a"), ("3", "echo c"), ("4", "echo d")])

    def test_the_number_is_that_of_the_line_in_this_call(self):
        numbered = "echo {#} {}"
        self.assertEqual(self.call(["a", "b"], "-k", body=numbered).out, b"1 a\n2 b\n")
        self.assertEqual(self.call(["a", "c", "b"], "-k", body=numbered).out, b"2 c\n3 b\n")  # 3 b is not 2 b

    def test_a_record_that_is_refused_is_named_by_its_number_in_this_call(self):
        self.call(["a", "b"])
        program = self.call(["a", "b", "c", b"x\0y", "d"], status=INPUT_CUT)
        self.assertIn("input cut at record 4", program.err)
        self.call(["a", "b", "c", "d"])
        self.assertEqual(self.ran(), ["a", "b", "c", "d"])

    def test_a_dry_run_shows_what_would_be_run_and_changes_nothing(self):
        body = TWO_FAILS
        self.assertEqual(self.call(["one"], "--dry-run", body="echo").out, b"echo one\n")
        self.assertFalse(self.run_dir.exists())
        self.call(["one", "two"], body=body, status=1)
        for _ in range(2):
            self.assertEqual(self.call(["three", "two", "one"], "--dry-run", body=body).out, f"{TWO_FAILS}\n{TWO_FAILS}\n".replace("{}", "%s").encode() % (b"three", b"two"))
        self.assertEqual(len(self.rows()), 2)

    def test_failures_of_earlier_calls_count_towards_no_halt(self):
        self.call(["1", "2", "3"], "-j1", "--halt", "soon,fail=2", body="false", status=2)
        self.call(["4", "5"], "-j1", "--halt", "soon,fail=3", body="false", status=3)  # 3 was left of the first call
        self.assertEqual(len(self.rows()), 5)

    def test_what_makes_no_sense_is_refused(self):
        for options, why in (["--resume", "--joblog", "log"], "exclude"), (["--retry-failed", "--joblog", "log"], "exclude"), (["--pipe"], "--pipe"):
            self.assertIn(why, self.call(["a"], *options, status=USAGE).err)
        self.assertIn("--run-dir", self.run_to_end("run", "--skip-done", "true", stdin=["a"], status=USAGE).err)
        self.call(["a"])
        self.assertIn("go there", self.run_to_end("run", "--run-dir", self.run_dir, "--skip-done", "true", stdin=["a"], status=USAGE, preexec=lambda: os.chdir("/")).err)


class Broken(SkipDone):
    """Stopped or killed: the same call again, or resume, makes it good."""

    def begin(self, records, body):
        return self.start("pushmill", "run", "--run-dir", self.run_dir, "--skip-done", "-j1", "-a", records, body)

    def test_unfinished_jobs_are_run_once_by_the_next_call(self):
        (self.path / "list").write_text("a\nb\nc\n")
        wait, open_gate = self.gate()
        body = self.body(f"[ {{}} = a ] || {{ {wait}; }}")
        program = self.begin("list", body)
        wait_until(is_finished(self.run_dir, 1), "the first job")
        program.stop(status=TERMINATED)
        self.assertIn("not finished there", self.call(["a"], status=USAGE).err)  # what waits is of another command
        open_gate()
        self.ran()
        self.call(["d", "c", "b", "a"], "-j1", body=body)
        self.assertEqual(self.ran(), ["b", "c", "d"])

    def test_resume_goes_on_with_the_newest_call(self):
        first, second = self.body(TWO_FAILS), self.body(TWO_FAILS + "; s=$?; [ {} != four ] || [ -e gate ] || kill -KILL $PARALLEL_PID; exit $s")
        (self.path / "list").write_text("four\none\ntwo\n")
        self.call(["one", "two"], body=second, status=1)
        self.ran()
        self.begin("list", second).wait(-9)
        (self.path / "gate").touch()
        self.run_to_end("resume", self.run_dir, status=1)
        self.assertEqual(set(self.ran()), {"four", "two"})
        self.run_to_end("resume", self.run_dir, status=1)  # and what has failed in it stays so
        self.assertEqual(self.ran(), [])

    def test_killed_at_any_point(self):
        if not has_kill_points():
            self.skipTest("built without kill points")
        for point in sorted(set(KILL_POINTS) - {"sink.output_written", "sink.joblog_written", "ventilator.confirmed"}) + ["run.goes_on"]:
            with self.subTest(point=point):
                self.run_dir = self.path / point
                self.call(["one", "two"], body=self.body(TWO_FAILS), status=1)
                self.ran()
                with self.dying_at(f"{point}:1"):
                    self.call(["three", "two", "one"], body=self.body(TWO_FAILS), status=-9)
                before = finished(self.run_dir)
                if point == "run.goes_on":  # the call has not begun: as if nothing had been
                    self.run_to_end("resume", self.run_dir, status=1)
                    self.assertEqual(finished(self.run_dir), before)
                (self.path / "fine").touch()
                self.call(["three", "two", "one"], body=self.body(TWO_FAILS))
                (self.path / "fine").unlink()
                self.assertNotIn("one", self.ran())
                self.assertEqual({word for (word,) in query(self.run_dir, "SELECT command FROM results WHERE outcome = 'ok'")},
                                 {self.body(TWO_FAILS).replace("{}", word) for word in ("one", "two", "three")})
                self.assertEqual(query(self.run_dir, "SELECT count(*) FROM results WHERE outcome = 'ok'"), [(3,)])


if __name__ == "__main__":
    unittest.main()
