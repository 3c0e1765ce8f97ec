"""Outputs of any size: whole, in bounded memory, in order, and across kills."""
import hashlib
import os
import signal
import subprocess
import unittest

from support import EndToEnd, Ring, SLOWNESS, children, finished, peak_megabytes, query, wait_until

# Some megabytes whose every line says where it stands.
LARGE = "seq {0} 700000"


def expected(first):
    return b"".join(b"%d\n" % n for n in range(first, 700001))


class Streaming(EndToEnd):
    def outputs(self, run):
        folder = run / "outputs"
        return sorted(os.listdir(folder)) if folder.exists() else []

    def test_large_outputs_of_several_jobs_come_whole_and_in_order(self):
        program = self.run_to_end("run", "-k", "-j4", "sleep 0.{}; seq {} 700000 #", ":::", "4", "3", "2", "1")
        self.assertEqual(hashlib.sha256(program.out).hexdigest(), hashlib.sha256(b"".join(map(expected, (4, 3, 2, 1)))).hexdigest())

    def test_both_streams_at_once_binary_and_without_a_newline(self):
        (self.path / "noise").write_bytes(self.random.randbytes(3_000_001))
        program = self.run_to_end("run", "--run-dir", "r", "--keep-output", "all", "cat noise & cat noise >&2; wait #", ":::", "x")
        noise = (self.path / "noise").read_bytes()
        self.assertTrue(program.out == noise, "stdout differs")
        self.assertTrue(program.err_file.read_bytes() == noise, "stderr differs")
        row = query(self.path / "r", "SELECT stdout, stdout_bytes, stdout_file, stderr_bytes, stderr_file FROM results")[0]
        self.assertEqual((row[1], row[3]), (3_000_001, 3_000_001))
        self.assertIn(row[0], (None, b""))
        for name in (row[2], row[4]):
            self.assertTrue((self.path / "r" / name).read_bytes() == noise)

    def test_one_byte_over_the_inline_limit(self):
        program = self.run_to_end("run", "-k", "--run-dir", "r", "head -c {} /dev/zero", ":::", "65536", "65537", "200000")
        self.assertEqual(len(program.out), 65536 + 65537 + 200000)
        self.assertEqual(query(self.path / "r", "SELECT stdout_bytes FROM results ORDER BY job"), [(65536,), (65537,), (200000,)])

    def test_what_is_kept(self):
        command = "head -c 100000 /dev/zero; [ {} = good ] #"
        for keep, files in (("all", 2), ("failed", 1), ("none", 0)):
            with self.subTest(keep):
                run = self.path / keep
                self.run_to_end("run", "--run-dir", run, "--keep-output", keep, command, ":::", "good", "bad", status=1)
                self.assertEqual(len(self.outputs(run)), files)
                self.assertEqual(len(query(run, "SELECT 1 FROM results WHERE stdout_file IS NOT NULL")), files)
                self.assertEqual(query(run, "SELECT stdout_bytes FROM results"), [(100000,), (100000,)])
        self.assertEqual(len(query(self.path / "failed", "SELECT 1 FROM results WHERE outcome <> 'ok' AND stdout_file IS NOT NULL")), 1)
        program = self.start("pushmill", "run", "--keep-output", "some", "true")
        program.wait(102)
        self.assertIn("--keep-output", program.err)

    def test_the_outputs_of_a_failed_attempt_go_with_it(self):
        self.run_to_end("run", "--run-dir", "r", "--keep-output", "all", "--retries", "3",
                        "head -c 100000 /dev/zero; echo >>tries; [ $(cat tries | wc -l) = 3 ] #", ":::", "x")
        self.assertEqual(self.outputs(self.path / "r"), ["1.1.3.out"])

    def test_memory_stays_flat_with_a_large_output_and_a_reader_that_waits(self):
        program = self.start("pushmill", "run", "--run-dir", "r", "head -c 400000000 /dev/zero; touch written-{} #", ":::", "1", "2",
                             stdout=subprocess.PIPE)
        wait_until(lambda: finished(self.path / "r") == [1, 2] or finished(self.path / "r") == [2, 1] or len(finished(self.path / "r")) == 2,
                   "both jobs, while nobody reads")
        peaks = [peak_megabytes(pid) for pid in (program.pid, *children(program.pid, "keeper"))]
        if SLOWNESS == 1:  # sanitizers keep freed memory on purpose
            self.assertLess(max(peaks), 100)
        total = 0
        while block := program.process.stdout.read(1 << 20):
            total += len(block)
        program.process.stdout.close()
        program.wait(0)
        self.assertEqual(total, 800_000_000)

    def test_a_time_limit_keeps_what_was_written(self):
        program = self.run_to_end("run", "--run-dir", "r", "--timeout", "1s", "yes #", ":::", "x", status=1)
        outcome, size = query(self.path / "r", "SELECT outcome, stdout_bytes FROM results")[0]
        self.assertEqual(outcome, "timeout")
        self.assertEqual(len(program.out), size)
        self.assertGreater(size, 65536)

    def test_no_output_is_lost_or_doubled_by_kills_of_the_head(self):
        journal = self.journal()
        ring = Ring(self)
        run = ring.run
        ring.start(journal.job("sleep 0.$(( $PUSHMILL_JOB % 3 )); seq {} 300000"), records=range(1, 13))
        for role in ("sink", "ventilator", "sink", "ventilator"):
            wanted = len(finished(run)) + 1
            wait_until(lambda: len(finished(run)) >= min(wanted, 12), "another job")
            getattr(ring, role).kill()
            ring.start_sink() if role == "sink" else ring.start_ventilator()
        ring.wait()
        self.assert_all_ok(run, 12, journal)
        for job, name, size in query(run, "SELECT job, stdout_file, stdout_bytes FROM results"):
            content = (run / name).read_bytes()
            self.assertEqual(len(content), size)
            self.assertTrue(content == b"".join(b"%d\n" % n for n in range(job, 300001)), f"output of job {job}")
        self.assertEqual(len(self.outputs(run)), 12)

    def test_a_worker_killed_while_it_streams(self):
        ring = Ring(self)
        go, open_gate = self.gate()
        ring.start(f"seq 1 100000; echo >>started; {go}; seq 100001 200000 #", records=range(4), workers=1)
        wait_until(lambda: (self.path / "started").exists() and self.outputs(ring.run), "part of an output")
        ring.kill_worker()
        open_gate()
        ring.start_worker("-j2")
        ring.wait()
        self.assert_all_ok(ring.run, 4)
        names = [name for name, in query(ring.run, "SELECT stdout_file FROM results")]
        self.assertEqual(sorted(f"outputs/{name}" for name in self.outputs(ring.run)), sorted(names))
        for name in names:
            self.assertTrue((ring.run / name).read_bytes() == b"".join(b"%d\n" % n for n in range(1, 200001)))

    def test_a_run_killed_while_it_streams_and_resumed(self):
        go, open_gate = self.gate()
        program = self.start("pushmill", "run", "-k", "--run-dir", "r", f"seq 1 100000; {go}; seq 100001 200000 #", ":::", "1", "2")
        wait_until(lambda: self.outputs(self.path / "r"), "part of an output")
        program.send(signal.SIGKILL)
        program.process.wait()
        open_gate()
        again = self.run_to_end("resume", "r")
        self.assertTrue(again.out == b"".join(b"%d\n" % n for n in range(1, 200001)) * 2)


if __name__ == "__main__":
    unittest.main()
