"""Answers: what a run tells of itself while it is live, when it has ended and after a crash; and what it never costs the run."""
import base64
import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import struct
import termios
import unittest

from support import EndToEnd, IN_USE, Ring, USAGE, is_finished, query, wait_until

BINARY = bytes(range(256)) * 40


class Ended(EndToEnd):
    def setUp(self):
        super().setUp()
        (self.path / "bytes").write_bytes(BINARY)
        self.run_to_end("run", "--run-dir", "r", "--keep-output", "all", "--retries", "2", "echo o{}; echo e{} >&2; exit {}", ":::", "0", "3", "0", status=1)

    def rows(self, *words):
        return [json.loads(line) for line in self.run_to_end(*words, "--json").out.splitlines()]

    def test_log_lists_the_finished_jobs_in_three_forms(self):
        rows = self.rows("log", "r")
        self.assertEqual([(row["job"], row["outcome"], row["exit_code"], row["attempt"]) for row in rows],
                         [(1, "ok", 0, 1), (2, "failed", 3, 2), (3, "ok", 0, 1)])
        columns = [row[1] for row in sqlite3.connect(self.path / "r/results.db").execute("PRAGMA table_info(results)")]
        self.assertEqual(set(rows[0]), set(columns) - {"stdout", "stderr", "stdout_file", "stderr_file", "label"})
        table = self.run_to_end("log", "r").out.decode().splitlines()
        self.assertEqual(len(table), 4)
        self.assertRegex(table[2], r"^ +2 +failed +3 +2 +\d\.\d{3} .* echo o3; echo e3 >&2; exit 3$")
        tsv = [line.split("\t") for line in self.run_to_end("log", "r", "--tsv").out.decode().splitlines()]
        self.assertEqual(tsv[0], list(rows[0]))
        self.assertEqual(dict(zip(tsv[0], tsv[2]))["command"], "echo o3; echo e3 >&2; exit 3")

    def test_log_filters(self):
        def jobs(*options):
            return [row["job"] for row in self.rows("log", "r", *options)]
        worker, host = query(self.path / "r", "SELECT worker, host FROM results")[0]
        self.assertEqual(jobs("--failed"), [2])
        self.assertEqual(jobs("--outcome", "ok"), [1, 3])
        self.assertEqual(jobs("--worker", worker[:6], "--outcome", "failed"), [2])
        self.assertEqual(jobs("--worker", host), [1, 2, 3])
        self.assertEqual(jobs("--worker", "nowhere"), [])
        self.assertEqual(jobs("--since", "1h"), [1, 2, 3])
        self.assertEqual(jobs("--until", "1h"), [])
        self.assertEqual(jobs("--since", "2001-02-03 04:05", "--until", "2002-02-03"), [])
        for wrong in ["--outcome", "fine"], ["--since", "soon"], ["--json", "--tsv"], ["one", "two"]:
            self.assertEqual(len(self.run_to_end("log", *wrong, status=USAGE).err.splitlines()), 1)

    def test_output_is_byte_for_byte_what_the_job_wrote(self):
        self.assertEqual(self.run_to_end("output", "r", "2").out, b"o3\n")
        self.assertEqual(self.run_to_end("output", "r", "2", "--stderr").out, b"e3\n")
        (self.path / "large").write_bytes(BINARY * 100)
        self.run_to_end("run", "--run-dir", "c", "--keep-output", "all", "cat", ":::", "bytes", "large")
        self.assertEqual(self.run_to_end("output", "c", "1").out, BINARY)
        self.assertEqual(self.run_to_end("output", "c", "2").out, BINARY * 100)

    def test_bytes_that_are_not_utf8_are_base64_in_json(self):
        self.run_to_end("run", "--run-dir", "b", "--keep-output", "all", b"cat bytes; : {}", ":::", b"\xff\xfe", "z\u00e9")
        rows = self.rows("sql", "b", "SELECT stdout, command FROM results ORDER BY job")
        self.assertEqual(base64.b64decode(rows[0]["stdout"]["base64"]), BINARY)
        self.assertIn(b"\xff\xfe", base64.b64decode(rows[0]["command"]["base64"]))
        self.assertIn("z\u00e9", rows[1]["command"])
        self.assertNotIn(b"\xff", self.run_to_end("log", "b").out)

    def test_why_tells_each_attempt_and_why_it_ended(self):
        story = self.run_to_end("why", "r", "2").out.decode()
        self.assertEqual(story.count("it failed with exit status 3"), 2)
        self.assertIn("--retries", story)
        self.assertIn("It is done.", self.run_to_end("why", "r", "1").out.decode())

    def test_status_and_sql(self):
        status = self.rows("status", "r")[0]
        self.assertEqual([status[key] for key in ("state", "exit_status", "jobs", "done", "failed", "waiting", "holder")], ["ended", 1, 3, 2, 1, 0, None])
        self.assertEqual([(w["done"], w["failed"], w["lost"]) for w in status["workers"]], [(2, 2, 0)])
        self.assertIn("ended with status 1", self.run_to_end("status", "r").out.decode())
        self.assertEqual(self.rows("sql", "r", "SELECT count(*) AS n FROM attempts JOIN jobs.jobs USING (job)"), [{"n": 1}])
        self.assertEqual(self.run_to_end("sql", "r", "SELECT 1.5 AS a, NULL AS b, 'x' || char(9) AS c", "--tsv").out, b"a\tb\tc\n1.5\t\tx\\t\n")
        for wrong in "DELETE FROM results", "SELECT 1; SELECT 2", "SELEC", "PRAGMA journal_mode=DELETE", "":
            self.run_to_end("sql", "r", wrong, status=USAGE)
        self.assertEqual(len(query(self.path / "r", "SELECT 1 FROM results")), 3)

    def test_debug_runs_the_job_again_and_records_nothing(self):
        before = query(self.path / "r", "SELECT * FROM results"), query(self.path / "r", "SELECT * FROM attempts")
        program = self.run_to_end("debug", "r", "2", status=3)
        self.assertEqual((program.out, program.err), (b"o3\n", "e3\n"))
        self.assertEqual((query(self.path / "r", "SELECT * FROM results"), query(self.path / "r", "SELECT * FROM attempts")), before)

    def test_debug_of_other_jobs(self):
        (self.path / "there").mkdir()
        self.run_to_end("run", "--run-dir", "d", "pwd; echo $PUSHMILL_JOB {}; cat", ":::", "x", preexec=lambda: os.chdir(self.path / "there"))
        self.assertEqual(self.run_to_end("debug", self.path / "there/d", "1").out.decode(), f"{self.path}/there\n1 x\n")
        self.run_to_end("run", "--run-dir", "call", "--call", "echo", ":::", "x")
        self.assertIn("echo", self.run_to_end("debug", "call", "1", status=USAGE).err)
        self.run_to_end("run", "--run-dir", "co", "--coprocess", "sed -u s/^/answer:/", ":::", "x")
        self.assertEqual(self.run_to_end("debug", "co", "1").out, b"answer:x\n")

    def test_what_is_not_there(self):
        (self.path / "empty").mkdir()
        cases = [("log", "nowhere"), ("log", "empty"), ("status", "bytes"), ("log",), ("why", "r", "9"), ("output", "r", "9"), ("debug", "r", "9"),
                 ("why", "r", "x"), ("why", "r", "0"), ("output",), ("output", "r", "1", "--attempt", "7"), ("retry", "r", "9"), ("retry", "nowhere"), ("rm", "nowhere"),
                 ("sql", "r"), ("status", ""), ("log", ""), ("why", "", "1"), ("retry", ""), ("rm", "")]
        for words in cases:
            program = self.run_to_end(*words, status=USAGE)
            self.assertEqual((program.out, len(program.err.splitlines())), (b"", 1), words)

    def test_what_was_not_kept_is_said_so(self):
        self.run_to_end("run", "--run-dir", "n", "--keep-output", "none", "head -c 9000 /dev/zero; :", ":::", "x")
        self.assertIn("--keep-output", self.run_to_end("output", "n", "1", status=USAGE).err)


class Live(EndToEnd):
    def test_a_live_run_says_who_has_what(self):
        wait, go = self.gate()
        ring = Ring(self)
        ring.start(f"[ {{}} = 1 ] || {{ {wait}; }}", records=range(1, 8), workers=1)

        def status():
            told = json.loads(self.run_to_end("status", ring.run, "--json").out)
            return told if told["done"] == 1 and len(told["jobs_out"]) >= 2 and all(job["is_running"] for job in told["jobs_out"][:2]) else None
        told = wait_until(status, "a status of the sink with two running jobs")
        self.assertEqual((told["state"], told["jobs"], told["waiting"] + told["out"]), ("live", 7, 6))
        worker = told["workers"][0]
        self.assertEqual((worker["slots"], worker["done"], worker["has_left"]), (2, 1, False))
        self.assertEqual({job["worker"] for job in told["jobs_out"]}, {worker["worker"]})
        self.assertIn("running", self.run_to_end("status", ring.run).out.decode())
        self.assertIn("It runs (attempt 1.2): worker", self.run_to_end("why", ring.run, "2").out.decode())
        self.assertIn("waits", self.run_to_end("why", ring.run, "7").out.decode())
        self.assertEqual(len(self.run_to_end("log", ring.run).out.splitlines()), 2)
        self.assertIn("not finished", self.run_to_end("output", ring.run, "2", status=USAGE).err)
        for words in ("retry", ring.run), ("rm", ring.run):
            self.assertIn(f"process {ring.ventilator.pid} ", self.run_to_end(*words, status=IN_USE).err)
        ring.ventilator.kill()
        self.assertIn("ventilator is not running", self.run_to_end("status", ring.run).out.decode())
        go()
        ring.start_ventilator()
        ring.wait()
        self.assert_all_ok(ring.run, 7)

    def test_readers_never_keep_a_run_from_starting(self):
        self.run_to_end("run", "--run-dir", "r", "exit {}", ":::", "1", status=1)
        readers = [self.start("pushmill", "status", "r") for _ in range(8)]
        self.run_to_end("run", "--run-dir", "r", "exit {}", ":::", "1", status=1)
        for reader in readers:
            reader.wait(0)

    def test_a_short_run_writes_no_status(self):
        self.run_to_end("run", "--run-dir", "r", "true", ":::", "1")
        self.assertEqual(sorted(p.name for p in (self.path / "r").iterdir() if p.suffix == ".json"), [])

    def test_a_restarted_sink_goes_on_counting(self):
        ring = Ring(self)
        wait, go = self.gate()
        ring.start(f"[ {{}} -lt 4 ] || {{ {wait}; }}", records=range(1, 5), workers=1)
        wait_until(is_finished(ring.run, 3), "three jobs")
        ring.sink.kill()
        ring.start_sink()

        def done():
            told = json.loads(self.run_to_end("status", ring.run, "--json").out)
            return [worker["done"] for worker in told["workers"] if not worker["has_left"]] == [3]
        wait_until(done, "the tally of before")
        go()
        ring.wait()


class Crashed(EndToEnd):
    def crash(self):
        wait, go = self.gate()
        program = self.start("pushmill", "run", "-j2", "--run-dir", "r", f"echo o{{}}; [ {{}} -lt 3 ] || {{ {wait}; }}", ":::", "1", "2", "3", "4", "5")
        wait_until(is_finished(self.path / "r", 2), "two jobs")
        program.kill()
        go()

    def assert_answers(self, run, **more):
        self.assertEqual(len(self.run_to_end("log", run, **more).out.splitlines()), 3)
        self.assertEqual(self.run_to_end("output", run, "2", **more).out, b"o2\n")
        status = self.run_to_end("status", run, **more).out.decode()
        self.assertIn("interrupted", status)
        self.assertIn("5 jobs: 2 done, 0 failed, 3 waiting", status)
        self.assertIn("resume", self.run_to_end("why", run, "3", **more).out.decode())
        self.assertEqual(self.run_to_end("sql", run, "SELECT count(*) AS n FROM jobs.jobs, results", "--tsv", **more).out, b"n\n10\n")

    def test_after_kill_9_everything_answers_and_the_run_goes_on(self):
        self.crash()
        self.assert_answers("r")
        self.run_to_end("resume", "r")
        self.assert_all_ok(self.path / "r", 5)
        self.assertEqual(len(self.run_to_end("log", "r").out.splitlines()), 6)

    def reader(self):
        """How to be somebody who cannot write to the run."""
        if os.geteuid() != 0:
            return {}
        for path in [self.path / "r", *(self.path / "r").rglob("*")]:
            os.chown(path, 65534, 65534)
        os.chmod(self.path, 0o755)
        return {"preexec": lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534))}

    @contextlib.contextmanager
    def read_only(self, run):
        for path in run.rglob("*"):
            path.chmod(0o500 if path.is_dir() else 0o400)
        run.chmod(0o500)
        try:
            yield self.reader()
        finally:
            run.chmod(0o700)

    def test_a_crashed_run_in_a_directory_that_cannot_be_written(self):
        self.crash()
        with self.read_only(self.path / "r") as more:
            self.assert_answers("r", **more)

    def test_an_ended_run_in_a_directory_that_cannot_be_written(self):
        self.run_to_end("run", "--run-dir", "r", "echo o{}", ":::", "1", "2")
        self.assertFalse((self.path / "r/results.db-wal").exists())
        with self.read_only(self.path / "r") as more:
            self.assertEqual(len(self.run_to_end("log", "r", **more).out.splitlines()), 3)
            self.assertEqual(self.run_to_end("sql", "r", "SELECT count(*) AS n FROM jobs.jobs", "--tsv", **more).out, b"n\n2\n")
            self.assertIn("ended", self.run_to_end("status", "r", **more).out.decode())


class Large(EndToEnd):
    JOBS = 100_000

    def setUp(self):
        super().setUp()
        self.run_to_end("run", "--run-dir", "r", "true", ":::", "1")
        with contextlib.closing(self.open()) as database, database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(results)")]
            others = [c for c in columns if c not in ("job", "seq", "command")]
            database.execute(f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {self.JOBS})"
                             f" INSERT INTO results(job, seq, command, {', '.join(others)})"
                             f" SELECT i, i, hex(zeroblob(400)), {', '.join('r.' + c for c in others)} FROM n, results AS r WHERE r.job = 1")

    def open(self):
        return sqlite3.connect(self.path / "r/results.db", timeout=20)

    def test_log_of_many_rows_is_bounded_in_memory_and_leaves_with_its_reader(self):
        reader, writer = os.pipe()
        program = self.start("pushmill", "log", "r", stdout=writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as out:
            self.assertTrue(out.readline().startswith(b"JOB "))
            self.wait_until_it_waits(program, out)
            with open(f"/proc/{program.pid}/status") as status:
                peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1])
        program.wait(-signal.SIGPIPE)
        self.assertEqual(program.err, "")
        if "ASAN_OPTIONS" not in os.environ and "TSAN_OPTIONS" not in os.environ:
            self.assertLess(peak, 60_000)

    def wait_until_it_waits(self, program, out):
        def is_full():
            held = struct.unpack("i", fcntl.ioctl(out.fileno(), termios.FIONREAD, b"0000"))[0]
            return held > 32 << 10
        wait_until(is_full, "a full pipe")

    def test_a_reader_that_waits_lets_the_log_be_cut_back(self):
        for words in ("log", "r", "--json"), ("sql", "r", "SELECT * FROM results"):
            reader, writer = os.pipe()
            program = self.start("pushmill", *words, stdout=writer)
            os.close(writer)
            with os.fdopen(reader, "rb") as out:
                out.read(1)
                self.wait_until_it_waits(program, out)
                with contextlib.closing(self.open()) as database:
                    with database:
                        database.execute("UPDATE results SET slot = slot + 1 WHERE job % 100 = 0")
                    self.assertGreater((self.path / "r/results.db-wal").stat().st_size, 0)
                    self.assertEqual(database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0], 0, words)
                    self.assertEqual((self.path / "r/results.db-wal").stat().st_size, 0)
                lines = 1 + sum(1 for _ in out)
            program.wait(0)
            self.assertGreaterEqual(lines, self.JOBS)


class Runs(EndToEnd):
    def names(self, *words):
        return [json.loads(line)["run"] for line in self.run_to_end("runs", *words, "--json").out.splitlines()]

    def test_runs_without_a_name_are_listed_asked_and_removed(self):
        self.assertEqual(self.run_to_end("runs", "--json").out, b"")
        self.assertFalse(self.state.exists())
        self.assertEqual(self.run_to_end("log", status=USAGE).out, b"")
        self.run_to_end("run", "exit {}", ":::", "1", "0", status=1)
        self.run_to_end("run", "--keep-run", "true {}", ":::", "1")
        wait, go = self.gate()
        program = self.start("pushmill", "run", f"{wait}; : {{}}", ":::", "1")
        wait_until(lambda: len(self.runs()) == 3 and (self.runs()[2] / "results.db").exists(), "the third run")
        rows = [json.loads(line) for line in self.run_to_end("runs", "--json").out.splitlines()]
        self.assertEqual([(row["state"], row["failed"]) for row in rows], [("live", 0), ("ended", 0), ("ended", 1)])
        self.assertEqual([row["jobs"] for row in rows][1:], [1, 2])
        self.assertIn("exit {}", rows[2]["command"])
        self.assertIn("live", self.run_to_end("status").out.decode())  # the newest
        self.run_to_end("rm", rows[0]["run"], status=IN_USE)
        self.run_to_end("rm", "--older", "1h")
        self.assertEqual(len(self.names()), 3)
        program.kill()
        go()
        self.assertEqual(json.loads(self.run_to_end("runs", "--json").out.splitlines()[0])["state"], "interrupted")
        self.run_to_end("rm", "--ended")
        self.assertEqual(self.names(), [rows[0]["run"]])
        self.run_to_end("rm", rows[0]["run"])
        self.assertEqual(self.runs(), [])

    def test_nothing_but_a_run_of_ours_is_removed(self):
        self.run_to_end("run", "--run-dir", "r", "true", ":::", "1")
        (self.path / "r/thesis.tex").write_text("x")
        self.assertIn("thesis.tex", self.run_to_end("rm", "r", status=USAGE).err)
        self.assertTrue((self.path / "r/results.db").exists())
        (self.path / "r/thesis.tex").unlink()
        (self.path / "link").symlink_to("r")
        self.assertIn("is a link", self.run_to_end("rm", "link", status=USAGE).err)
        self.assertTrue((self.path / "r/results.db").exists())
        if os.geteuid() == 0:
            os.chown(self.path / "r", 65534, 65534)
            self.assertIn("another user", self.run_to_end("rm", "r", status=USAGE).err)
            os.chown(self.path / "r", 0, 0)
        (self.path / "other").mkdir()
        self.assertIn("no run", self.run_to_end("rm", "other", "r", status=USAGE).err)
        self.assertFalse((self.path / "r").exists())
        self.assertTrue((self.path / "other").exists())
        for wrong in ["rm"], ["rm", "other", "--ended"]:
            self.run_to_end(*wrong, status=USAGE)


if __name__ == "__main__":
    unittest.main()
