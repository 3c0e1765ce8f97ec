"""A disk that is full: a clear message, nothing new is given, nothing is confirmed that is not committed, and when there is room everything goes on.

Each test has a small file system of its own, in memory, in a mount namespace that ends with this process. Needs root, or user namespaces.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

from support import STORAGE, EndToEnd, Ring, finished, query, wait_until

SKIPPED = 77
IN_NAMESPACE = "PUSHMILL_TEST_IN_NAMESPACE"
ROOM = "waiting for room"
JOBS = 120
MANY = 600


class FullDisk(EndToEnd):
    def setUp(self):
        super().setUp()
        self.disk = self.path / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m,mode=0700", "tmpfs", self.disk], check=True)
        self.addCleanup(shutil.rmtree, self.path, ignore_errors=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.ballast = self.disk / "ballast"

    def leave(self, size):
        """Fills the disk but for so many bytes."""
        with open(self.ballast, "wb") as file:
            status = os.statvfs(self.disk)
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - size)

    def make_room(self):
        self.ballast.unlink()

    def wait_until_all_wait(self, program, journal, run, jobs=JOBS):
        """Until `program` says that the disk is full, and then over a second, with further tries, no job has begun and none was committed."""
        program.wait_for(ROOM)
        samples = []

        def is_quiet():  # what had been given to the worker before it was full may still begin
            time.sleep(1)  # several tries to write
            samples.append((journal.starts(), finished(run)))
            return journal.starts() and not journal.running() and samples[-2:].count(samples[-1]) == 2

        wait_until(is_quiet, "the end of the jobs that run")
        begun, committed = samples[-1]
        self.assertLess(len(begun), jobs)
        self.assertTrue(program.is_running())
        said = [line for line in program.err.splitlines() if ROOM in line]
        self.assertEqual(len(said), len(set(said)), said)  # each once
        return committed

    def assert_each_began_once(self, run, journal, jobs=JOBS):
        self.assert_all_ok(run, jobs, journal)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, jobs + 1)})

    def fill_under_run(self, body, *options, said):
        journal, run = self.journal(), self.disk / "r"
        self.leave(1_000_000)
        program = self.start("pushmill", "run", "-k", "-j2", "--run-dir", run, *options, journal.job(body), stdin=range(JOBS))
        self.wait_until_all_wait(program, journal, run)
        self.assertIn(said, program.err)
        self.make_room()
        program.wait(0)
        self.assert_each_began_once(run, journal)
        return program

    def test_the_log_of_a_run_fills_the_disk(self):
        program = self.fill_under_run("head -c 30000 /dev/zero; echo {}", said="results.db: database or disk is full")
        self.assertTrue(program.out == b"".join(bytes(30000) + b"%d\n" % n for n in range(JOBS)))

    def test_the_outputs_of_a_run_fill_the_disk(self):
        program = self.fill_under_run("head -c 600000 /dev/zero; echo {}", "--keep-output", "all", said="r/outputs/")
        self.assertTrue(program.out == b"".join(bytes(600000) + b"%d\n" % n for n in range(JOBS)))
        for (name, length) in query(self.disk / "r", "SELECT stdout_file, stdout_bytes FROM results"):
            self.assertEqual((self.disk / "r" / name).stat().st_size, length)

    def start_with_files(self, name, *options):
        """A run whose jobs have files of their own on the disk, which is full before half of them are there: the program, and the journal."""
        journal = self.journal()
        self.leave(1_000_000)
        words = ["-k", "-j2", "--run-dir", self.path / name, *options, journal.job("head -c 30000 /dev/zero; echo {}")]
        program = self.start("pushmill", "run", *words, stdin=range(1, MANY + 1))
        self.wait_until_all_wait(program, journal, self.path / name, jobs=MANY)
        self.assertRegex(program.err, rf"cannot write {self.disk}/\S*: No space left on device; {ROOM}\n")
        return program, journal

    def assert_files(self, paths):
        self.assertEqual([path for n, path in enumerate(paths, 1) if pathlib.Path(path).read_bytes() != bytes(30000) + b"%d\n" % n], [])
        self.assertEqual(len(paths), MANY)

    def test_the_files_of_jobs_fill_their_disk(self):
        shapes = {"folders": ["--results", self.disk / "d"], "names": ["--files", "--tmpdir", self.disk], "outs": ["--out", self.disk / "{#}.out"]}
        for name, options in shapes.items():
            with self.subTest(name):
                program, journal = self.start_with_files(name, *options)
                self.make_room()
                program.wait(0)
                self.assert_each_began_once(self.path / name, journal, jobs=MANY)
                files = {"folders": [self.disk / f"d/1/{job}/stdout" for job in range(1, MANY + 1)], "names": program.out.decode().split("\n")[:-1],
                         "outs": [self.disk / f"{job}.out" for job in range(1, MANY + 1)]}[name]
                self.assert_files(files)
                if name != "folders":
                    self.assertEqual(sorted(os.listdir(self.disk)), sorted(os.path.basename(file) for file in files))
                journal.path.unlink()
                for path in self.disk.iterdir():
                    (shutil.rmtree if path.is_dir() else os.unlink)(path)

    def test_a_run_that_is_stopped_while_files_of_jobs_wait_for_room_is_resumed(self):
        program, _ = self.start_with_files("r", "--results", self.disk / "d")
        program.stop()
        there = [path.stat().st_size for path in self.disk.glob("d/1/*/stdout")]
        self.assertGreater(len(there), 0)
        self.assertEqual(set(there) - {30002, 30003, 30004}, set())  # none was cut short
        self.make_room()
        self.run_to_end("resume", self.path / "r")
        self.assert_all_ok(self.path / "r", MANY)
        self.assert_files([self.disk / f"d/1/{job}/stdout" for job in range(1, MANY + 1)])

    def test_the_joblog_fills_its_disk(self):
        for prefix in "", "+":  # written ahead of the log; appended to, behind it
            with self.subTest(prefix):
                journal, run = self.journal(), self.path / f"r{prefix}"
                self.leave(20_000)
                program = self.start("pushmill", "run", "-j2", "--run-dir", run, "--joblog", f"{prefix}{self.disk}/log", journal.job(": " + 1000 * "x"), stdin=range(JOBS))
                self.wait_until_all_wait(program, journal, run)
                self.assertIn("joblog ", program.err)
                self.make_room()
                program.wait(0)
                self.assert_each_began_once(run, journal)
                lines = (self.disk / "log").read_text().splitlines()
                self.assertEqual(sorted(int(line.split("\t")[0]) for line in lines[1:]), list(range(1, JOBS + 1)))
                (self.disk / "log").unlink()
                journal.path.unlink()

    def test_the_input_of_a_run_fills_the_disk(self):
        journal, run = self.journal(), self.disk / "r"
        self.leave(1_000_000)
        records = [f"{n} {20_000 * 'x'}" for n in range(JOBS)]
        program = self.start("pushmill", "run", "-j2", "--run-dir", run, journal.job(": {}"), stdin=records)
        program.wait_for("jobs.db: database or disk is full; " + ROOM)
        accepted = {job for (job,) in query(run, "SELECT job FROM jobs", file="jobs.db")}
        self.assertLess(len(accepted), JOBS)
        self.assertLessEqual(journal.starts().keys(), accepted)
        self.make_room()
        program.wait(0)
        self.assert_each_began_once(run, journal)

    def test_what_jobs_of_a_stream_read_fills_the_disk(self):
        given, run = b"".join(b"%099d\n" % n for n in range(100_000)), self.disk / "r"
        wait, go = self.gate()  # who reads early makes room
        for words in ["--round-robin", "--block", "10k", f"{wait}; cksum"], ["--tee", f"{wait}; cksum", ":::", "a", "b"], ["--block", "9M", f"{wait}; cksum"], ["--block", "2M", f"{wait}; cksum"]:
            with self.subTest(words):
                (self.path / "gate").unlink(missing_ok=True)
                self.leave(5_500_000)
                program = self.start("pushmill", "run", "-k", "-j2", "--run-dir", run, "--pipe", *words, stdin=given)
                program.wait_for(ROOM)
                self.assertIn("r/inputs/", program.err)
                self.make_room()
                go()
                program.wait(0)
                shutil.rmtree(run)
                self.assertEqual(program.out, self.run_to_end("run", "-k", "-j2", "--pipe", *words, stdin=given).out)

    def start_ring(self, journal, body, **more):
        ring = Ring(self, name="disk/r")
        ring.endpoint = f"ipc://{self.path}/ring.sock"
        self.leave(1_000_000)
        return ring.start(journal.job(body), records=range(JOBS), **more)

    def test_the_three_programs_wait_for_room_and_go_on(self):
        for body in ("head -c 30000 /dev/zero", "head -c 200000 /dev/zero"):
            with self.subTest(body):
                journal = self.journal()
                ring = self.start_ring(journal, body)
                self.wait_until_all_wait(ring.sink, journal, ring.run)
                self.make_room()
                ring.wait()
                self.assert_each_began_once(ring.run, journal)
                shutil.rmtree(ring.run)
                journal.path.unlink()

    def test_a_sink_that_dies_on_a_full_disk_has_confirmed_only_what_it_has_committed(self):
        journal = self.journal()
        ring = self.start_ring(journal, "head -c 30000 /dev/zero")
        committed = self.wait_until_all_wait(ring.sink, journal, ring.run)
        ended = set(journal.attempts("end"))
        self.assertGreater(len(ended - committed), 0)
        ring.sink.kill()
        self.assertEqual(finished(ring.run), committed)
        self.make_room()
        ring.start_sink()
        ring.wait()
        self.assert_each_began_once(ring.run, journal)  # the workers had kept the results of the others

    def test_what_is_started_on_a_full_disk_says_so_and_can_be_started_again(self):
        run, sink = self.disk / "r", ["--listen", f"ipc://{self.path}/sink.sock", "--run-dir", self.disk / "s"]
        self.leave(0)
        for program in (self.start("pushmill", "run", "--run-dir", run, "echo", ":::", "a"), self.start("sink", *sink)):
            program.wait(STORAGE)
            self.assertRegex(program.err, "No space left on device|disk is full")
            self.assertEqual(program.err.count("\n"), 1)
        self.make_room()
        self.run_to_end("run", "--run-dir", run, "echo", ":::", "a")
        self.assert_all_ok(run, 1)
        self.start("sink", *sink).wait_for("listening on")
        self.programs[-1].stop()

    def test_the_spool_of_a_ventilator_fills_the_disk_while_jobs_run(self):
        journal = self.journal()
        ring = Ring(self, name="disk/r")
        ring.endpoint = f"ipc://{self.path}/ring.sock"
        self.leave(2_000_000)
        ring.start(journal.job(": {}"), records=[f"{n} {20_000 * 'x'}" for n in range(JOBS)])
        ring.ventilator.wait_for("jobs.db: database or disk is full; " + ROOM)
        self.assertTrue(ring.ventilator.is_running())
        self.make_room()
        ring.wait()
        self.assert_each_began_once(ring.run, journal)

    def test_standard_output_on_a_full_disk_ends_the_run_and_loses_nothing(self):
        self.leave(100_000)
        words = ["run", "-k", "-j2", "--run-dir", self.path / "r", "--keep-output", "all", "head -c 30000 /dev/zero; echo {}"]
        with open(self.disk / "out", "wb") as out:
            program = self.run_to_end(*words, stdin=range(20), stdout=out, status=STORAGE)
        self.assertIn("cannot write to standard output: No space left on device", program.err)
        self.make_room()
        with open(self.disk / "more", "wb") as out:
            self.run_to_end(*words, stdin=range(20), stdout=out)
        self.assert_all_ok(self.path / "r", 20)
        # What was not written whole is written again, whole.
        whole = [bytes(30000) + b"%d\n" % n for n in range(20)]
        more = (self.disk / "more").read_bytes()
        written = (self.disk / "out").read_bytes()
        self.assertIn(more, [b"".join(whole[n:]) for n in range(20)])
        self.assertTrue(b"".join(whole).startswith(written))
        self.assertGreaterEqual(len(written) + len(more), len(b"".join(whole)))

    def test_a_worker_of_a_run_waits_for_room_longer_than_for_a_head(self):
        journal, run = self.journal(), self.disk / "r"
        self.leave(180_000)
        records = [f"{n} {100_000 * 'x'}" for n in range(JOBS)]  # the first alone finds no room
        program = self.start("pushmill", "run", "-j2", "--run-dir", run, journal.job(": {}"), stdin=records)
        program.wait_for(ROOM)
        self.assertEqual(query(run, "SELECT job FROM jobs", file="jobs.db"), [])
        time.sleep(64)  # a worker that finds no head leaves after 60 s
        self.assertTrue(program.is_running(), program.err)
        self.make_room()
        program.wait(0)
        self.assert_each_began_once(run, journal)


def enter_namespace():
    for options in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        if subprocess.run(["unshare", *options, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], stderr=subprocess.DEVNULL).returncode == 0:
            os.environ[IN_NAMESPACE] = "1"
            os.execvp("unshare", ["unshare", *options, sys.executable, "-B", *sys.argv])
    print("skipped: not allowed to mount a small file system here", file=sys.stderr)
    sys.exit(SKIPPED)


if __name__ == "__main__":
    if IN_NAMESPACE not in os.environ:
        enter_namespace()
    unittest.main()
