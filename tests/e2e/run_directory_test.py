"""Where a run is kept, for how long, and who may look into it."""
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import stat
import subprocess
import unittest

from support import EndToEnd, IN_USE, Journal, Ring, USAGE, processes_with, query, wait_until


class Lifetime(EndToEnd):
    def test_removed_after_success(self):
        self.run_to_end("run", "echo", ":::", "a")
        self.assertEqual(self.runs(), [])

    def test_kept_and_named_after_a_failure(self):
        program = self.run_to_end("run", "false", ":::", "a", status=1)
        (run,) = self.runs()
        self.assertTrue((run / "results.db").exists())
        self.assertIn(str(run), program.err)

    def test_kept_when_asked_for_or_named(self):
        self.run_to_end("run", "--keep-run", "true", ":::", "a")
        self.assertEqual(len(self.runs()), 1)
        self.run_to_end("run", "--run-dir", "r/s", "true", ":::", "a")
        self.assertTrue((self.path / "r/s/results.db").exists())
        self.assertEqual(len(self.runs()), 1)

    def test_one_that_holds_something_else_stays(self):
        program = self.run_to_end("run", f"for run in {self.state}/*; do touch $run/mine; done #", ":::", "a")
        self.assertEqual(os.listdir(self.runs()[0]), ["mine"])
        self.assertIn(str(self.runs()[0]), program.err)


class Place(EndToEnd):
    def where(self, **environment):
        """The run directory of a run with this environment."""
        base = {key: value for key, value in self.env.items() if key not in ("PUSHMILL_STATE", "HOME", "XDG_RUNTIME_DIR")}
        program = self.run_to_end("run", "false", ":::", "a", status=1, env={**base, **environment})
        path = program.err.partition("the run is in ")[2].strip()
        self.assertTrue(os.path.isdir(path), program.err)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o700)
        for name in os.listdir(path):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)
        return os.path.dirname(path)

    def test_choice(self):
        state, home, temporary = (str(self.path / name) for name in ("x", "h", "t"))
        for path in state, home, temporary:
            os.mkdir(path)
        mine = f"pushmill-{os.geteuid()}"
        self.assertEqual(self.where(PUSHMILL_STATE=state, XDG_STATE_HOME=home), state)
        self.assertEqual(self.where(XDG_STATE_HOME=state, HOME=home, TMPDIR=temporary), f"{state}/pushmill")
        self.assertEqual(self.where(HOME=home, TMPDIR=temporary), f"{home}/.local/state/pushmill")
        self.assertEqual(self.where(TMPDIR=temporary), f"{temporary}/{mine}")  # HOME is unset
        self.assertEqual(self.where(HOME="/proc", TMPDIR=temporary), f"{temporary}/{mine}")  # nobody can write there
        self.assertEqual(self.where(HOME="/nonexistent-and-not-to-be-made" if os.geteuid() else "/proc/self"), f"/var/tmp/{mine}")

    def test_a_named_place_that_cannot_be_used_is_an_error(self):
        program = self.start("pushmill", "run", "true", ":::", "a", env={**self.env, "PUSHMILL_STATE": "/proc/no"})
        self.assertNotEqual(program.wait(), 0)
        self.assertIn("PUSHMILL_STATE", program.err)


class Access(EndToEnd):
    def assert_private(self, directory):
        self.assertEqual(stat.S_IMODE(directory.stat().st_mode), 0o700, directory)
        for path in directory.rglob("*"):
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertEqual(mode & 0o177, 0, f"{path} {mode:o}")

    def test_modes_whatever_the_umask(self):
        wait, go = self.gate()
        # What the commands make has the umask of the caller.
        program = self.start("pushmill", "run", "--run-dir", "a/r", f"touch made; {wait} #", ":::", "x", preexec=lambda: os.umask(0))
        wait_until((self.path / "made").exists, "the job")
        self.assertEqual({path.name for path in (self.path / "a/r").iterdir()},
                         {f"{base}.db{end}" for base in ("jobs", "results") for end in ("", "-wal", "-shm")} | {"ventilator.lock", "sink.lock"})
        self.assert_private(self.path / "a/r")
        self.assertEqual(stat.S_IMODE((self.path / "made").stat().st_mode), 0o666)
        self.assertEqual(stat.S_IMODE((self.path / "a").stat().st_mode), 0o700)
        go()
        program.wait(0)

    def test_modes_of_a_ring_and_its_sockets(self):
        ring = Ring(self)
        umask = {"preexec": lambda: os.umask(0)}
        self.start("sink", "--listen", ring.endpoint, "--run-dir", ring.run, **umask)
        self.start("ventilator", "--sink", ring.endpoint, "--run-dir", ring.run, "echo", stdin=["a"], **umask)
        wait_until(lambda: (self.path / "pushmill").exists() and (ring.run / "jobs.db").exists() and (ring.run / "results.db").exists(), "the files")
        self.assertEqual(stat.S_IMODE((self.path / "pushmill").stat().st_mode), 0o700)
        self.assert_private(ring.run)
        self.start("worker", "--sink", ring.endpoint, **umask)
        for program in self.programs:
            program.wait(0)
        self.assert_private(ring.run)

    @unittest.skipIf(os.geteuid() != 0, "only root can be somebody else")
    def test_a_socket_that_others_can_reach_does_not_speak_to_them(self):
        shared = self.path / "shared"
        shared.mkdir()
        for path in self.path, shared:
            path.chmod(0o777)
        sink = self.start("sink", "--listen", f"ipc://{shared}/s", "--run-dir", "r", preexec=lambda: os.umask(0))
        sink.wait_for("listening")
        greet = f"import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect('{shared}/s'); print(len(s.recv(1)))"
        heard = [subprocess.run(["/usr/bin/python3", "-c", greet], user=user, stdout=subprocess.PIPE, env=self.env, check=True).stdout for user in (0, 12345)]
        self.assertEqual(heard, [b"1\n", b"0\n"])
        sink.stop()

    def test_a_directory_of_somebody_else_is_refused(self):
        other = self.path / "other"
        if os.geteuid() == 0:
            other.mkdir(0o700)
            os.chown(other, 12345, 12345)
        else:
            other = "/usr"
        for words in (["run", "--run-dir", other, "true", ":::", "a"], ["resume", other]):
            program = self.run_to_end(*words, status=USAGE)
            self.assertIn("belongs to another user", program.err)
        self.start("sink", "--listen", f"ipc://{self.path}/s", "--run-dir", other).wait(USAGE)
        self.start("ventilator", "--sink", f"ipc://{self.path}/s", "--run-dir", other, "true").wait(USAGE)

    def test_one_that_is_open_and_meant_for_something_else_is_refused(self):
        other = self.path / "photos"
        other.mkdir()
        other.chmod(0o755)
        (other / "cat.jpg").touch()
        program = self.run_to_end("run", "--run-dir", other, "true", ":::", "a", status=USAGE)
        self.assertIn("chmod 700", program.err)
        self.assertEqual(os.listdir(other), ["cat.jpg"])

    def test_a_file_is_refused(self):
        (self.path / "file").touch()
        program = self.run_to_end("run", "--run-dir", "file", "true", ":::", "a", status=USAGE)
        self.assertIn("not a directory", program.err)

    def test_a_directory_that_holds_no_run_is_not_to_be_changed_for_one(self):
        (self.path / "shared").mkdir(mode=0o777)
        for word in "rm", "retry", "resume", "log":
            with self.subTest(word):
                self.assertRegex(self.run_to_end(word, "shared", status=USAGE).err, r"^pushmill[ a-z]*: \S*/shared: holds no run\n$")


class Sharing(EndToEnd):
    """One ventilator and one sink a run directory."""

    def start_held(self):
        """A ring whose two jobs wait."""
        self.wait, self.go = self.gate()
        self.ring = Ring(self)
        self.ring.start(self.journal().job(self.wait), records=range(2), workers=1)
        wait_until(lambda: len(Journal(self.path / "journal").running()) == 2, "two jobs")
        return self.ring

    def finish(self):
        self.go()
        self.ring.wait()
        self.assert_all_ok(self.ring.run, 2)

    def assert_refused(self, program, *holders):
        program.wait(IN_USE)
        self.assertEqual(program.err.count("\n"), 1, program.err)
        self.assertTrue(any(f"{self.ring.run}: is in use by process {holder.pid} {os.uname().nodename} {holder.name}" in program.err for holder in holders), program.err)

    def refuse_second(self):
        ring = self.start_held()
        heads = ring.sink, ring.ventilator
        for take_over in [], ["--take-over"]:
            self.assert_refused(self.start("sink", "--listen", f"ipc://{self.path}/other", "--run-dir", ring.run, *take_over), ring.sink)
            self.assert_refused(self.start("ventilator", "--sink", ring.endpoint, "--run-dir", ring.run, *take_over, "echo", stdin=["x"]), ring.ventilator)
            self.assert_refused(self.start("pushmill", "run", "--run-dir", ring.run, *take_over, "echo", ":::", "x"), *heads)
        self.finish()

    def test_a_second_ventilator_or_sink_leaves_at_once_and_names_the_first(self):
        self.refuse_second()

    def test_also_on_a_network_file_system(self):
        self.env["PUSHMILL_NETWORK_FILESYSTEM"] = "1"
        self.refuse_second()

    def go_on_after_a_kill(self):
        ring = self.start_held()
        for name in "sink", "ventilator":
            getattr(ring, name).kill()
        self.assertNotEqual((ring.run / "sink.lock").read_text(), "")
        for name in "sink", "ventilator":
            getattr(ring, f"start_{name}")()
        self.finish()
        self.assertEqual([(ring.run / name).read_text() for name in ("sink.lock", "ventilator.lock")], ["", ""])

    def test_the_lock_of_a_killed_one_is_no_obstacle(self):
        self.go_on_after_a_kill()

    def test_nor_is_it_on_a_network_file_system(self):
        self.env["PUSHMILL_NETWORK_FILESYSTEM"] = "1"
        self.go_on_after_a_kill()

    def held_elsewhere(self):
        """A run of which one job has failed and one ran when its host died, as another host sees it: its directory, and who has it."""
        self.env["PUSHMILL_NETWORK_FILESYSTEM"] = "1"
        run = self.path / "r"
        program = self.start("pushmill", "run", "-j1", "--joblog", "log", "--run-dir", run, f"[ {{}} = a ] && exit 3; touch begun; {self.gate()[0]}; echo {{}}", ":::", "a", "b")
        wait_until((self.path / "begun").exists, "the second job")
        wait_until(lambda: (self.path / "log").read_text().count("\n") == 2, "the first result")  # nobody else may open its databases
        program.kill()
        wait_until(lambda: not processes_with(self.mark), "the end of its processes")
        (self.path / "gate").touch()
        for name in "sink", "ventilator":
            pid, _, rest = (run / f"{name}.lock").read_text().split(" ", 2)
            (run / f"{name}.lock").write_text(f"{pid} elsewhere {rest}")
        return run, program.pid

    def assert_taken_over_only_when_told_to(self, *words, status, out):
        run, pid = self.held_elsewhere()
        refused = self.run_to_end(*words, run, status=IN_USE)
        self.assertIn(f": {run}: is in use by process {pid} elsewhere ventilator; if that host is dead, go on with --take-over\n", refused.err)
        program = self.run_to_end(*words, run, "--take-over", status=status)
        self.assertEqual(program.out, out)
        return run, program.err

    def test_what_another_host_holds_is_taken_over_only_when_told_to(self):
        run, said = self.assert_taken_over_only_when_told_to("resume", status=1, out=b"b\n")
        for name in "sink", "ventilator":
            self.assertRegex(said, rf"taking {run} over from process \d+ elsewhere {name}\n")
        self.assertIn("has ended already", self.run_to_end("resume", run, status=1).err)  # a clean end needs no such word

    def test_also_to_run_its_failed_jobs_again(self):
        run, _ = self.assert_taken_over_only_when_told_to("retry", "--failed", status=1, out=b"b\n")
        self.assertEqual(query(run, "SELECT job, outcome FROM results ORDER BY job"), [(1, "failed"), (2, "ok")])
        self.assertEqual((self.path / "log").read_text().count("\n"), 4)  # of the first job twice

    def test_it_is_looked_at_and_taken_for_dead_and_removed_only_when_told_so(self):
        run, pid = self.held_elsewhere()
        self.assertIn(b" failed ", self.run_to_end("log", run).out)
        self.assertEqual(self.run_to_end("output", run, "1").out, b"")
        self.assertEqual(self.run_to_end("sql", run, "SELECT job, outcome FROM results", "--tsv").out, b"job\toutcome\n1\tfailed\n")
        self.assertEqual(self.run_to_end("debug", run, "2").out, b"b\n")
        for words in ["status", run], ["why", run, "2"]:
            self.assertRegex(self.run_to_end(*words).out.decode(), r"its files last changed \d+s ago: if that host is dead, go on with --take-over")
        told = json.loads(self.run_to_end("status", run, "--json").out)
        self.assertEqual((told["state"], told["is_held_elsewhere"], told["has_databases"]), ("live", True, False))
        self.assertIn("if that host is dead, go on with --take-over\n", self.run_to_end("rm", run, status=IN_USE).err)

        locks = [(run / name).read_text() for name in ("sink.lock", "ventilator.lock")]
        told = json.loads(self.run_to_end("status", run, "--json", "--take-over").out)
        self.assertEqual((told["state"], told["holder"], told["is_held_elsewhere"], told["jobs"], told["failed"], told["waiting"]), ("interrupted", None, False, 2, 1, 1))
        self.assertIn(b"pushmill resume goes on with it", self.run_to_end("why", run, "2", "--take-over").out)
        self.assertEqual([(run / name).read_text() for name in ("sink.lock", "ventilator.lock")], locks)  # who looks takes nothing
        self.run_to_end("rm", "--take-over", run)
        self.assertFalse(run.exists())

    def test_a_live_one_answers_all_the_same(self):
        """From status.json and copies of its databases, which it has to itself."""
        self.env["PUSHMILL_NETWORK_FILESYSTEM"] = "1"
        wait, go = self.gate()
        program = self.start("pushmill", "run", "-j1", "--run-dir", "r", "--keep-output", "all", "--joblog", "log", f"[ {{}} = a ] || {wait}; echo {{}}", ":::", "a", "b")
        wait_until(lambda: (self.path / "log").exists() and (self.path / "log").read_text().count("\n") == 2, "the first result")
        with contextlib.closing(sqlite3.connect(f"file:{self.path}/r/results.db?mode=ro", uri=True, timeout=0)) as database:
            self.assertRaisesRegex(sqlite3.OperationalError, "locked", database.execute, "SELECT * FROM results")
        self.assertEqual(wait_until(lambda: self.run_to_end("output", "r", "1", status=None).out, "the first row"), b"a\n")
        self.assertEqual(json.loads(self.run_to_end("log", "r", "--json").out)["job"], 1)
        self.assertEqual(self.run_to_end("sql", "r", "SELECT job, (SELECT count(*) FROM jobs.jobs) FROM results", "--tsv").out, b"job\t(SELECT count(*) FROM jobs.jobs)\n1\t2\n")
        self.assertIn(b"It is done.", self.run_to_end("why", "r", "1").out)
        wait_until(lambda: re.search(rb"(?s)^job 2: .*echo b\n.*It runs ", self.run_to_end("why", "r", "2").out), "the second job to be seen running")
        self.assertIn("there is no job 3", self.run_to_end("why", "r", "3", status=USAGE).err)
        self.assertEqual(self.run_to_end("debug", "r", "1").out, b"a\n")
        self.assertIn(b"live", self.run_to_end("status", "r").out)
        self.assertEqual(list(pathlib.Path(self.env.get("TMPDIR", "/tmp")).glob("pushmill-copy-*")), [])
        go()
        program.wait(0)


if __name__ == "__main__":
    unittest.main()
