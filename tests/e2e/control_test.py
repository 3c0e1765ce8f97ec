"""How many jobs run when, and when a run stops: -j, --delay, --memfree, --wd, --env, --halt, signals, defaults. Statuses of --halt are GNU parallel's."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

from support import USAGE, EndToEnd, Ring, finished, is_finished, processes_with, query, wait_until

# --halt, the statuses of the jobs in their order, run one by one; and where ours is meant to be another, that.
HALTS = (
    ("never", (0, 3, 0, 7), None),
    ("soon,fail=1", (0, 3, 0, 7, 0), None),
    ("now,fail=1", (0, 200, 0), None),
    ("now,fail=1", (255, 0), None),
    ("soon,fail=2", (0, 3, 7, 5, 0), None),
    ("now,fail=3", (1, 2), None),
    ("soon,fail=30%", (0, 3, 0, 7, 3, 0, 0, 7, 0, 0), None),
    ("soon,fail=10%", (3, 0, 0, 0, 0, 0, 0, 0, 0, 0), None),
    ("soon,fail=49%", (3, 0), None),
    ("soon,fail=5%", (0, 3) + (0,) * 17, None),
    ("99%", (1, 2, 3), None),
    ("soon,success=1", (3, 0, 3), None),
    ("now,success=2", (3, 0, 3, 0, 3, 0), None),
    ("soon,success=9", (3, 0, 3), None),
    ("soon,success=50%", (0, 3, 0, 7, 3, 0), None),
    ("soon,fail=90%", (0, 0, 1, 1, 1), 3),  # there 60, the share that has failed, although it was not reached
    ("soon,done=1", (3, 0, 0), None),
    ("soon,done=1", (0, 3, 0), None),
    ("soon,done=2", (200, 7, 9), None),
    ("soon,done=50%", (0, 4, 5, 0), None),
    ("now,done=2", (0, 0, 0), 0),  # there 101, though none has failed
    ("0", (0, 3), None),
    ("1", (0, 3, 4), None),
    ("2", (0, 3, 4), None),
    ("-1", (3, 0, 3), None),
    ("-2", (3, 0, 3), None),
)

REFUSED = (
    (("--halt", "soon"), "--halt: 'soon' is not never"),
    (("--halt", "soon,fail=x"), "--halt: "),
    (("--halt", "soon,fail=0"), "--halt: "),
    (("-j", "x"), "--jobs: 'x' is not N"),
    (("-j-500",), "that leaves no job to run"),
    (("-j", "9999"), "at most 4096"),
    (("--timeout", "0%"), "--timeout: "),
    (("--nice", "99"), "--nice: "),
    (("--shell", "/none"), "--shell: /none is no program"),
    (("--call", "echo", "--term-seq", "KILL,1"), "--term-seq is for commands"),
    (("--at-most-once", "--crash-limit", "3"), "--crash-limit and --at-most-once exclude each other"),
    (("--at-most-once", "--memfree", "1M"), "--memfree ends jobs and runs them again"),
    (("--env", "A=B"), "--env: 'A=B' is no name of a variable"),
    (("--pipe", "--shuf"), "--shuf is for arguments"),
    (("--shuf", "--resume", "--joblog", "log"), "--shuf: "),
)


class Halt(EndToEnd):
    def test_the_statuses_are_those_of_gnu_parallel(self):
        for number, (halt, jobs, meant) in enumerate(HALTS):
            with self.subTest(halt=halt, jobs=jobs):
                words = [f"--halt={halt}", "-j1", "exit {}", ":::", *map(str, jobs)]
                theirs = subprocess.run(["parallel", *words], stdin=subprocess.DEVNULL, capture_output=True).returncode
                program = self.start("pushmill", "run", "--run-dir", f"r{number}", *words)
                program.wait(theirs if meant is None else meant)

    def test_soon_lets_what_runs_end_and_resume_goes_on_behind_it(self):
        journal = self.journal()
        wait, go = self.gate()
        program = self.start("pushmill", "run", "-j2", "--run-dir", "r", "--halt", "soon,fail=1",
                             journal.job(f"[ {{}} != 1 ] || {{ {wait}; }}; [ {{}} != 2 ] || exit 9"), ":::", *map(str, range(1, 7)))
        wait_until(is_finished(self.path / "r", 1), "the failure")
        go()
        program.wait(9)
        self.assertEqual(finished(self.path / "r"), {1, 2})
        self.assertIn("pushmill resume", program.err)
        self.assertEqual(program.err.count("\n"), 1, program.err)
        self.run_to_end("resume", "r", status=1)
        self.assertEqual(finished(self.path / "r"), set(range(1, 7)))
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 7)})

    def test_now_ends_what_runs(self):
        program = self.start("pushmill", "run", "-j2", "--run-dir", "r", "--halt", "now,fail=1", "[ {} = 2 ] && exit 9; sleep 1000", ":::", *map(str, range(1, 5)))
        program.wait(9)
        self.assertEqual(processes_with(self.mark), [])
        self.assertEqual(finished(self.path / "r"), {2})

    def test_the_three_programs_stop_with_its_status(self):
        ring = Ring(self)
        ring.start("[ {} = 2 ] && exit 9; sleep 1000", records=range(1, 5), workers=1, options=("--halt", "now,fail=1"))
        ring.wait(9)
        self.assertEqual(finished(ring.run), {2})

    def test_outputs_of_what_ended_are_written(self):
        program = self.run_to_end("run", "-j1", "--run-dir", "r", "--halt", "soon,fail=1", "echo {}; exit {}", ":::", "0", "5", "0", status=5)
        self.assertEqual(program.out, b"0\n5\n")

    def test_a_run_whose_last_job_it_is_has_ended(self):
        self.run_to_end("run", "-j1", "--run-dir", "r", "--halt", "soon,fail=1", "exit {}", ":::", "0", "5", status=5)
        self.assertEqual(query(self.path / "r", "SELECT value FROM meta WHERE key = 'ended_status'"), [(5,)])


class Starts(EndToEnd):
    def test_slots_follow_the_file(self):
        journal = self.journal()
        wait, go = self.gate()
        (self.path / "slots").write_text("1\n")
        program = self.start("pushmill", "run", "-j", "slots", "--run-dir", "r", journal.job(f"[ {{}} = 1 ] && echo 3 >slots || {{ {wait}; }}"), stdin=range(1, 6))
        wait_until(lambda: journal.running() == {2, 3, 4}, "three at a time")
        go()
        program.wait(0)
        self.assertEqual(finished(self.path / "r"), {1, 2, 3, 4, 5})

    def test_as_many_as_possible(self):
        wait, go = self.gate()
        journal = self.journal()
        program = self.start("pushmill", "run", "-j0", "--run-dir", "r", journal.job(wait), ":::", *map(str, range(1, 21)))
        wait_until(lambda: len(journal.running()) == 20, "twenty jobs at a time")
        go()
        program.wait(0)

    def test_a_delay_lies_between_starts(self):
        clock = self.path / "clock"
        self.run_to_end("run", "-j4", "--delay", "200ms", f"date +%s.%N >> {clock} #", ":::", *"abcd")
        times = sorted(float(line) for line in clock.read_text().split())
        for before, after in zip(times, times[1:]):
            self.assertGreater(after - before, 0.1)

    def test_nothing_starts_on_a_loaded_machine(self):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
        try:
            (self.path / "load").write_text("1\n")
            program = self.start("pushmill", "run", "-j1", "--load", "load", "--run-dir", "r", "touch begun; echo", ":::", "a")
            wait_until((self.path / "r" / "jobs.db").exists, "the run")
            time.sleep(0.6)  # three measures
            self.assertFalse((self.path / "begun").exists())
            (self.path / "load").write_text("100000\n")
            program.wait(0)
        finally:
            for process in busy:
                process.kill()
                process.wait()

    def test_a_machine_that_does_not_swap_is_no_obstacle(self):
        self.assertEqual(self.run_to_end("run", "--noswap", "echo", ":::", "a").out, b"a\n")

    def test_nothing_starts_without_memory(self):
        program = self.start("pushmill", "run", "--memfree", "900T", "--run-dir", "r", "echo", ":::", "a")
        wait_until((self.path / "r" / "jobs.db").exists, "the run")
        program.stop(signal.SIGTERM)
        self.assertEqual(finished(self.path / "r"), set())


class Commands(EndToEnd):
    def test_directory_and_niceness(self):
        program = self.run_to_end("run", "-j1", "--wd", "new/dir", "--nice", "5", "pwd; nice #", ":::", "a")
        self.assertEqual(program.out.decode(), f"{self.path}/new/dir\n{min(19, os.nice(0) + 5)}\n")

    def test_a_directory_for_each_job(self):
        program = self.run_to_end("run", "-k", "-j2", "--wd", "...", "touch {}; pwd; ls", ":::", "a", "b")
        first, a, second, b = program.out.decode().split()
        self.assertEqual((a, b), ("a", "b"))
        for number, path in enumerate((first, second), 1):
            self.assertRegex(path, rf"^{self.path}/home/\.pushmill/tmp/.*-{number}$")
            self.assertTrue(os.path.isdir(path))

    def test_an_exported_function_is_called(self):
        line = 'f() { echo "f of $1"; }; export -f f; pushmill run -k f ::: a b'
        path = f"{os.environ['PUSHMILL_BIN']}:{os.environ['PATH']}"
        shown = subprocess.run(["/bin/bash", "-c", line + "; true"], env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.path)
        self.assertEqual(shown.stdout, "f of a\nf of b\n", shown.stderr)

    def test_a_share_of_the_median_is_a_time_limit(self):
        self.run_to_end("run", "-j2", "--run-dir", "r", "--timeout", "1000%", "sleep {}", ":::", "0.2", "0.2", "0.2", "0.2", "1000", status=1)
        self.assertEqual(query(self.path / "r", "SELECT job FROM results WHERE outcome = 'timeout'"), [(5,)])

    def test_refusals(self):
        for words, said in REFUSED:
            with self.subTest(words):
                program = self.run_to_end("run", *words, *(() if "--call" in words else ("true",)), ":::", "a", status=USAGE)
                self.assertIn(said, program.err)
                self.assertEqual(program.err.count("\n"), 1, program.err)


class Progress(EndToEnd):
    """stderr is no terminal here: each state of the line is a line."""

    JOB = "case {} in 1) ;; 2) false;; *) while [ ! -e gate{} ]; do sleep 0.02; done;; esac"

    def half_done(self, *options, records=(1, 2, 3, 4), **more):
        """One job has succeeded, one has failed and the others run."""
        program = self.start("pushmill", "run", "-j2", "--run-dir", "r", *options, self.JOB, *([] if more else [":::", *map(str, records)]), **more)
        wait_until(is_finished(self.path / "r", 2), "two results")
        return program

    def go(self, *jobs):
        for job in jobs:
            (self.path / f"gate{job}").touch()

    def count(self, option):
        program = self.half_done(option)
        program.wait_for("pushmill: 1 done, 1 failed, 2 running, 4 total, ")
        wait_until(lambda: re.search(r"2 running, 4 total, [\d.]+/s, ETA \d+m\d\ds\n", program.err), "the rest of it")
        self.go(3, 4)
        program.wait(1)

    def test_progress(self):
        self.count("--progress")

    def test_eta(self):
        self.count("--eta")

    def test_bar(self):
        program = self.half_done("--bar")
        program.wait_for("pushmill: [" + 15 * "#" + 15 * "." + "] 50% 1 done, 1 failed, 2 running, 4 total, ")
        self.go(3, 4)
        program.wait(1)

    def test_an_input_without_an_end_has_no_total_and_no_share(self):
        reader, writer = os.pipe()
        with open(reader, "rb") as stdin, open(writer, "wb") as producer:
            producer.write(b"1\n2\n3\n")
            producer.flush()
            program = self.half_done("--bar", stdin=stdin)
            program.wait_for("pushmill: [" + 30 * "." + "] 1 done, 1 failed, 1 running, 3+ total, ")
            self.assertNotIn("ETA", program.err)
        self.go(3)
        program.wait(1)

    def test_a_signal_shows_and_hides_it(self):
        program = self.half_done()
        self.assertNotIn("done", program.err)
        program.send(signal.SIGUSR2)
        program.wait_for("pushmill: 1 done, 1 failed, 2 running, 4 total, ")
        program.send(signal.SIGUSR2)
        self.go(3)
        wait_until(is_finished(self.path / "r", 3), "the third result")
        time.sleep(1.2)  # twice the time to the next line
        self.assertNotIn("2 done", program.err)
        program.send(signal.SIGUSR2)
        program.wait_for("pushmill: 2 done, 1 failed, 1 running, 4 total, ")
        self.go(4)
        program.wait(1)


class Signals(EndToEnd):
    def test_a_hangup_starts_no_more(self):
        journal = self.journal()
        wait, go = self.gate()
        program = self.start("pushmill", "run", "-j1", "--run-dir", "r", journal.job(wait), ":::", *map(str, range(1, 4)))
        wait_until(lambda: journal.running() == {1}, "the first job")
        program.send(signal.SIGHUP)
        go()
        program.wait(128 + signal.SIGHUP)
        self.assertEqual(finished(self.path / "r"), {1})
        self.run_to_end("resume", "r")
        self.assertEqual(journal.starts(), {1: 1, 2: 1, 3: 1})

    def test_stopping_stops_the_jobs_too(self):
        program = self.start("pushmill", "run", "-j1", "--run-dir", "r", "echo $$ >pid; mv pid job; while :; do sleep 0.02; [ -e go ] && exit; done #", ":::", "x")
        wait_until((self.path / "job").exists, "the job")
        pid = int((self.path / "job").read_text())
        def state(process):
            return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]

        program.send(signal.SIGTSTP)
        wait_until(lambda: (state(pid), state(program.pid)) == ("T", "T"), "both to stop")
        (self.path / "go").touch()
        program.send(signal.SIGCONT)
        program.wait(0)


class Defaults(EndToEnd):
    def test_the_command_line_wins_over_the_variable_and_that_over_the_file(self):
        config = self.path / "config" / "pushmill"
        config.mkdir(parents=True)
        (config / "config").write_text("--joblog 'of file'  # a comment\n--keep-order\n")
        env = {**self.env, "XDG_CONFIG_HOME": str(config.parent)}
        self.run_to_end("run", "--run-dir", "r1", "true", ":::", "a", env=env)
        self.assertTrue((self.path / "of file").exists())
        env["PUSHMILL"] = "--joblog of-variable"
        self.run_to_end("run", "--run-dir", "r2", "true", ":::", "a", env=env)
        self.assertTrue((self.path / "of-variable").exists())
        self.run_to_end("run", "--run-dir", "r3", "--joblog", "of-words", "true", ":::", "a", env=env)
        self.assertTrue((self.path / "of-words").exists())
        (self.path / "of-variable").unlink()
        self.run_to_end("run", "--run-dir", "r4", "--plain", "true", ":::", "a", env={**env, "PUSHMILL": "--joblog of-variable --no-such"})
        self.assertFalse((self.path / "of-variable").exists())

    def test_only_options_can_be_defaults(self):
        def refused(variable):
            return self.run_to_end("run", "echo", "true", ":::", "a", status=USAGE, env={**self.env, "PUSHMILL": variable}).err
        self.assertIn("$PUSHMILL: --joblog has no value", refused("-k --joblog"))
        self.assertFalse((self.path / "echo").exists())
        self.assertIn("$PUSHMILL: ':::' is no option", refused("-k ::: a"))
        self.assertIn("'echo' is no option", self.run_to_end("run", "true", ":::", "a", status=USAGE, env={**self.env, "PUSHMILL": "-k echo"}).err)


if __name__ == "__main__":
    unittest.main()
