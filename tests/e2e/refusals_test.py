"""What does not fit a run, or finds it in use, is refused by name, and changes nothing."""
import contextlib
import shutil
import sqlite3
import unittest

from support import EndToEnd, IN_USE, Ring, STORAGE, USAGE, query, wait_until


def spooled(run):
    """What jobs.db says, but for how often a ventilator was started."""
    with contextlib.closing(sqlite3.connect(f"file:{run}/jobs.db?mode=ro", uri=True)) as database:
        return (database.execute("SELECT * FROM jobs").fetchall(), database.execute("SELECT * FROM meta WHERE key NOT IN ('epoch', 'input')").fetchall())


class Differences(EndToEnd):
    RECORDS = ["one", "two", "three"]

    def refuse(self, *words, said, records=RECORDS, run="r"):
        run = self.path / run
        before = spooled(run), query(run, "SELECT * FROM results"), self.starts()
        program = self.run_to_end("run", "--run-dir", run, *words, stdin=records, status=USAGE)
        self.assertRegex(program.err, said)
        self.assertEqual(program.out, b"")
        self.assertEqual((spooled(run), query(run, "SELECT * FROM results"), self.starts()), before)

    def starts(self):
        return (self.path / "journal").read_text() if (self.path / "journal").exists() else ""

    def check_all(self):
        journal = self.journal()
        command = journal.job("echo {}")
        self.refuse(journal.job("echo {} more"), said="template.*more.*was")
        self.refuse(command, records=["one", "TWO", "three"], said="record 2.*TWO.*two")
        self.refuse(command, records=["one", "two"], said="ends now behind record 2.*3")
        self.refuse("--call", "echo", said="template")
        self.refuse("--timeout", "5s", command, said="record 1.*5")
        self.refuse("--term-seq", "INT,5", command, said="record 1.*--term-seq")
        self.refuse("--kill-leftovers", command, said="record 1 is run now with --kill-leftovers")
        return command

    def test_of_a_finished_run(self):
        command = self.journal().job("echo {}")
        self.run_to_end("run", "--run-dir", "r", command, stdin=self.RECORDS)
        self.check_all()
        self.refuse(command, records=[*self.RECORDS, "four"], said="record 4 is new.*3")
        self.run_to_end("run", "--run-dir", "r", command, stdin=self.RECORDS)

    def test_of_an_interrupted_run(self):
        wait, go = self.gate()
        journal = self.journal()
        command = journal.job("echo {}")
        program = self.start("pushmill", "run", "-j1", "--run-dir", "r", command, stdin=self.RECORDS, env={**self.env, "PARALLEL_SHELL": self.slow_shell(wait)})
        wait_until(lambda: (self.path / "waits").exists(), "a job")
        program.kill()
        self.check_all()
        self.refuse(command, records=[*self.RECORDS, "four"], said="record 4 is new.*3")
        go()
        self.run_to_end("run", "--run-dir", "r", command, stdin=self.RECORDS)
        self.assert_all_ok(self.path / "r", 3)

    def slow_shell(self, wait):
        """A shell that waits before it does what it should: the command itself is that of check_all()."""
        shell = self.path / "slow.sh"
        shell.write_text(f'#!/bin/sh\ntouch {self.path}/waits; {wait}\nexec /bin/sh "$@"\n')
        shell.chmod(0o755)
        return str(shell)

    def test_the_ventilator_refuses_too(self):
        ring = Ring(self)
        ring.start("echo", records=self.RECORDS, workers=1)
        ring.wait()
        for words, records, said in ((["cat"], self.RECORDS, "template"), (["echo"], ["one", "two", "four"], "record 3")):
            program = ring.start_ventilator(*words, records=records)
            program.wait(USAGE)
            self.assertIn(said, program.err)

    def test_another_order_of_outputs_in_the_middle_of_a_run(self):
        wait, _ = self.gate()
        program = self.start("pushmill", "run", "-j1", "--run-dir", "r", f"[ {{}} = 1 ] || {{ {wait}; }}; echo {{}}", stdin=["1", "2"])
        wait_until(lambda: query(self.path / "r", "SELECT 1 FROM meta WHERE key = 'emitted' AND value = 1"), "the first output")
        program.kill()
        self.refuse("-k", f"[ {{}} = 1 ] || {{ {wait}; }}; echo {{}}", records=["1", "2"], said="order")


class InUse(EndToEnd):
    def assert_names(self, program, holder):
        self.assertRegex(program.err, rf"is in use by process {holder.pid} \S+ {holder.name}|is in use by process {holder.pid} ")

    def test_second_sink_and_second_ventilator(self):
        ring = Ring(self)
        sink, ventilator = ring.start_sink(), ring.start_ventilator(*Ring.QUICK, "echo", records=["a"])
        wait_until(lambda: query(ring.run, "SELECT 1 FROM meta WHERE key = 'run'"), "the run to begin")
        second = self.start("sink", "--listen", f"ipc://{self.path}/other.sock", "--run-dir", ring.run)
        second.wait(IN_USE)
        self.assert_names(second, sink)
        second = self.start("ventilator", "--sink", ring.endpoint, "--run-dir", ring.run, "echo", stdin=["a"])
        second.wait(IN_USE)
        self.assert_names(second, ventilator)
        self.assertTrue(sink.is_running() and ventilator.is_running())
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 1)

    def test_a_run_that_runs(self):
        wait, go = self.gate()
        words = ["run", "-j1", "--run-dir", "r", wait + " #", ":::", "1", "2"]
        program = self.start("pushmill", *words)
        wait_until(lambda: query(self.path / "r", "SELECT 1 FROM meta WHERE key = 'run'"), "the run to begin")
        for again in words, ["resume", "r"]:
            second = self.run_to_end(*again, status=IN_USE)
            self.assertIn(str(program.pid), second.err)
            self.assertIn(str(self.path / "r"), second.err)
        go()
        program.wait(0)
        self.assert_all_ok(self.path / "r", 2)

    def test_the_lock_of_a_killed_process_is_free(self):
        ring = Ring(self)
        ring.start_sink().kill()
        ring.start_sink()
        ring.start_ventilator(*Ring.QUICK, "echo", records=["a"]).kill()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait()


class Databases(EndToEnd):
    def test_a_newer_version_is_refused(self):
        self.run_to_end("run", "--run-dir", "r", "echo", ":::", "a")
        for name in "results.db", "jobs.db":
            with contextlib.closing(sqlite3.connect(self.path / "r" / name)) as database:
                database.execute("PRAGMA user_version = 99")
        for name, program in (("results.db", self.start("sink", "--listen", f"ipc://{self.path}/s", "--run-dir", "r")),
                              ("jobs.db", self.start("ventilator", "--sink", f"ipc://{self.path}/s", "--run-dir", "r", "echo", stdin=["a"]))):
            self.assertIn(program.wait(), (USAGE, STORAGE))
            self.assertIn(name, program.err)
            self.assertRegex(program.err, "99|newer")

    def test_a_damaged_one_is_a_storage_error(self):
        self.run_to_end("run", "--run-dir", "r", "echo", ":::", "a")
        (self.path / "r/jobs.db").write_bytes(b"this is no database " * 1000)
        program = self.run_to_end("run", "--run-dir", "r", "echo", ":::", "a", status=STORAGE)
        self.assertIn("jobs.db", program.err)

    def test_a_sink_with_another_directory_than_the_ventilator_refuses_the_run(self):
        ring = Ring(self)
        ring.start_sink()
        log = self.journal()
        wait, go = self.gate()
        ring.start_ventilator(*Ring.QUICK, log.job(wait), records=range(4))
        ring.start_worker()
        wait_until(log.running, "a job: the ventilator has heard of its sink")
        ring.sink.kill()
        astray = self.start("sink", "--listen", ring.endpoint, "--run-dir", self.path / "typo")
        astray.wait(USAGE)
        self.assertIn("start the sink with the run directory of that ventilator", astray.err)
        self.assertEqual(len(astray.err.splitlines()), 2)  # where it listened, and this
        ring.start_sink()
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 4)

    def test_databases_of_two_runs_in_one_directory_are_refused(self):
        for name in "ab":
            self.run_to_end("run", "--run-dir", name, "false", ":::", "x", status=1)
        for file in (self.path / "a").glob("results.db*"):
            file.unlink()
        for file in (self.path / "b").glob("results.db*"):
            shutil.copy(file, self.path / "a")
        program = self.start("sink", "--listen", f"ipc://{self.path}/s", "--run-dir", "a")
        program.wait(USAGE)
        self.assertIn("jobs.db is of run", program.err)

    def test_too_few_open_files_are_refused_before_anything_begins(self):
        import resource
        program = self.start("pushmill", "run", "echo", ":::", "a", preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50)))
        program.wait(USAGE)
        self.assertIn("the limit of open files (ulimit -n) is 50; pushmill needs at least 64", program.err)
        program = self.run_to_end("run", "echo", ":::", "a", preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        self.assertEqual(program.out, b"a\n")

    def test_a_message_is_one_line_whatever_was_given(self):
        for words in ["--timeout", "1\n2", "true"], ["--framing", "\x1b[1m", "true"], ["-a", "no\nsuch", "true"], ["--b\nc"], ["--term-seq", "TE\nRM", "true"]:
            program = self.run_to_end("run", *words, status=USAGE)
            self.assertEqual(program.err.count("\n"), 1, program.err)
            self.assertNotIn("\x1b", program.err)

    def test_what_is_no_option_is_named(self):
        for words, said in ((["--halt", "now,fail=1"], "unknown option --halt"), (["more", "--less"], "takes no argument such as more")):
            program = self.start("sink", "--listen", f"ipc://{self.path}/s", "--run-dir", "r", *words)
            program.wait(USAGE)
            self.assertEqual(program.err, f"sink: {said}; see --help\n")

    def test_a_file_whose_size_nobody_knows_has_no_parts(self):
        self.assertIn("--pipe < /proc/cpuinfo", self.run_to_end("run", "--pipe-part", "-a", "/proc/cpuinfo", "wc", status=USAGE).err)

    def test_a_shell_that_is_not_there_is_not_passed_over(self):
        for words in ["run", "echo", ":::", "a"], ["ventilator", "--sink", f"ipc://{self.path}/s", "--run-dir", "v", "echo"]:
            program = self.run_to_end(*words, status=USAGE, env={**self.env, "PARALLEL_SHELL": "/no/such\nshell"})
            self.assertRegex(program.err, r"^\w+: \$PARALLEL_SHELL: /no/such\\nshell is no program that can be run: .*\n$")


if __name__ == "__main__":
    unittest.main()
