"""--tee and --round-robin, whose jobs begin when standard input has ended, and blocks that are too large for the memory: what they read, and what a kill leaves."""
import os
import shutil
import subprocess
import unittest

from support import INPUT_CUT, SLOWNESS, USAGE, EndToEnd, is_finished, peak_megabytes, processes_with, query, wait_until


def lines(first, last):
    return "".join(f"{n}\n" for n in range(first, last + 1)).encode()


# What is read, and a command line behind --pipe that both programs are to answer with the same bytes.
CASES = [
    (lines(1, 5), ["--tee", "paste -sd, ; echo {}", ":::", "a", "b"]),
    (lines(1, 5), ["--tee", "head -n 2", ":::", "a", "b"]),
    (lines(1, 50000), ["--tee", "cksum; echo {1} {2}", ":::", "a", "b", ":::", "c", "d"]),
    (lines(1, 5), ["--tee", "--link", "cat; echo {1} {2}", ":::", "a", "b", ":::", "c", "d"]),
    (lines(1, 5), ["--tee", "-N2", "cat; echo {2} {1}", ":::", "a", "b", "c", "d"]),
    (lines(1, 5), ["--tee", "--header", ":", "cat; echo {}", ":::", "a", "b"]),
    (lines(1, 5), ["--tee", "--block", "2", "cat; echo {}", ":::", "a", "b"]),
    (lines(1, 5), ["--tee", "--tag", "cat", ":::", "a", "b"]),
    (lines(1, 5), ["--tee", "--cat", "cat", ":::", "a", "b"]),
    (lines(1, 5), ["--tee", "-d,", "cat; echo {}", ":::", "a,b", "c"]),
    (lines(1, 5), ["--tee", "cat; false", ":::", "a", "b"]),
    (b"", ["--tee", "cat; echo {}", ":::", "a", "b"]),
    (b"no newline", ["--tee", "cat; echo {}", ":::", "a", "b"]),
    (lines(1, 10), ["--round-robin", "-N1", "echo {#}; paste -sd,"]),
    (lines(1, 10), ["--round-robin", "-N3", "echo {#}; paste -sd,"]),
    (lines(1, 2), ["--round-robin", "-N1", "echo {#}; paste -sd,"]),
    (lines(1, 10), ["--round-robin", "-N1", "--header", ":", "paste -sd,"]),
    (lines(1, 10), ["--round-robin", "-N1", "--rrs", "cat; echo"]),
    (lines(1, 10), ["--round-robin", "-N1", "--cat", "paste -sd, {}"]),
    (lines(1, 10), ["--round-robin", "-N1", "echo {}; paste -sd,", ":::", "a", "b"]),
    (b"x\n>a\n1\n2\n>b\n3\n>c\n4\n", ["--round-robin", "--recstart", ">", "-N1", "paste -sd,"]),
    (lines(1, 10), ["--round-robin", "-N1", "cat; exit 3"]),
    (b"", ["--round-robin", "echo x; cat"]),
    (lines(1, 3), ["-N1", "cat; echo {}", ":::", "a", "b"]),
    (lines(1, 3), ["-N1", "cat; echo {1} {2}", ":::", "a", "b", ":::", "c", "d"]),
    (lines(1, 3), ["-N1", "cat; echo {} {2}", ":::", "a b"]),
    (lines(1, 3), ["-N1", "--tag", "cat", ":::", "a", "b", "c", "d"]),
    (lines(1, 3), ["-N1", "-C,", "cat; echo {2} {1}", ":::", "a,b", "c,d"]),
]


class Spooled(EndToEnd):
    def setUp(self):
        super().setUp()
        self.run_dir = self.path / "r"

    def inputs(self):
        folder = self.run_dir / "inputs"
        return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.exists() else {}

    def offer(self, given, *words, status=0):
        return self.run_to_end("run", "-k", "--run-dir", self.run_dir, "--pipe", *words, stdin=given, status=status)

    def begin(self, *words):
        """A run whose input stays open: (the program, the descriptor to write to)."""
        reading, writing = os.pipe()
        program = self.start("pushmill", "run", "-k", "--run-dir", self.run_dir, "--pipe", *words, stdin=reading)
        os.close(reading)
        return program, writing

    def test_each_job_reads_all_of_the_input(self):
        given = lines(1, 300_000)
        self.assertEqual(self.offer(given, "--tee", "cat", ":::", "a", "b", "c").out, 3 * given)
        self.assertEqual(self.inputs(), {})

    def test_more_jobs_than_slots_read_it(self):
        # GNU parallel wants a slot for each.
        self.assertEqual(self.offer(lines(1, 5), "-j2", "--tee", "wc -l; : {}", ":::", *map(str, range(20))).out, 20 * b"5\n")

    def test_blocks_are_dealt_in_turn_and_none_is_lost(self):
        given = lines(1, 300_000)
        words = ["-j3", "--round-robin", "--block", "10k", "cat"]
        first = self.offer(given, *words)
        self.assertEqual(sorted(first.out.split()), sorted(given.split()))
        self.assertEqual(self.inputs(), {})
        program, writing = self.begin("--run-dir", self.path / "again", *words)  # and they do not depend on how it comes
        for at in range(0, len(given), 54_321):
            os.write(writing, given[at:at + 54_321])
        os.close(writing)
        program.wait(0)
        self.assertEqual(program.out, first.out)

    def test_a_job_that_has_failed_reads_the_same_again(self):
        for words in ["--tee", "[ {} = a ] || [ -e mended ] && wc -l", ":::", "a", "b"], ["-j2", "--round-robin", "-N1", "[ {#} = 1 ] || [ -e mended ] && wc -l"]:
            with self.subTest(words):
                self.assertEqual(self.offer(lines(1, 6), *words, status=1).out.count(b"\n"), 1)
                self.assertEqual(len(self.inputs()), 1)
                (self.path / "mended").touch()
                self.assertIn(self.run_to_end("retry", self.run_dir).out, (b"6\n", b"3\n"))
                self.assertEqual(self.inputs(), {})
                (self.path / "mended").unlink()
                shutil.rmtree(self.run_dir)

    def test_a_run_that_dies_while_it_reads_has_no_job_and_begins_anew(self):
        given = lines(1, 1_400_000)
        for words in ["--tee", "cksum", ":::", "a", "b"], ["-j2", "--round-robin", "--block", "1k", "cksum"], ["--block", "9M", "cksum"]:
            for resumes in False, True:
                with self.subTest(words=words, resumes=resumes):
                    program, writing = self.begin(*words)
                    os.write(writing, given[:len(given) // 2])
                    wait_until(lambda: sum(self.inputs().values()) > 1 << 20, "a part of the input")
                    program.kill()
                    os.close(writing)
                    if resumes:
                        cut = self.run_to_end("resume", self.run_dir, status=INPUT_CUT)
                        self.assertIn("input cut at record 1: ", cut.err)
                        self.assertEqual((cut.out, self.inputs()), (b"", {}))
                    again = self.offer(given, *words)
                    shutil.rmtree(self.run_dir)
                    self.assertEqual(again.out, self.offer(given, *words).out)
                    self.assertEqual(self.inputs(), {})
                    shutil.rmtree(self.run_dir)

    def test_a_run_that_dies_while_jobs_run_goes_on(self):
        given = lines(1, 50_000)
        wait, open_gate = self.gate()
        for words in ["--tee", f"[ {{#}} = 1 ] || {{ {wait}; }}; cat", ":::", "a", "b", "c"], ["--round-robin", "--block", "1k", f"[ {{#}} = 1 ] || {{ {wait}; }}; cat"]:
            for again in ["resume", self.run_dir], ["run", "-k", "-j3", "--run-dir", self.run_dir, "--pipe", *words]:
                with self.subTest(words=words, again=again[0]):
                    program = self.start("pushmill", "run", "-k", "-j3", "--run-dir", self.run_dir, "--pipe", *words, stdin=given)
                    wait_until(is_finished(self.run_dir, 1), "the first job")
                    program.kill()
                    wait_until(lambda: not processes_with(f"PARALLEL_PID={program.pid}\0"), "the end of its jobs")
                    open_gate()
                    second = self.run_to_end(*again, stdin=given)
                    self.assert_all_ok(self.run_dir, 3)
                    whole = self.run_to_end("run", "-k", "-j3", "--pipe", *words, stdin=given).out
                    self.assertTrue(whole.startswith(program.out))
                    self.assertTrue(whole.endswith(second.out))
                    self.assertGreaterEqual(len(program.out) + len(second.out), len(whole))
                    self.assertEqual(self.inputs(), {})
                    shutil.rmtree(self.run_dir)
                    (self.path / "gate").unlink()

    def test_an_input_that_breaks_off_leaves_no_job_and_no_file(self):
        """A read error in the midst of it: the other end of a terminal has gone."""
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        words = ["-j2", "--round-robin", "-N1", "paste -sd,"]
        program = self.start("pushmill", "run", "-k", "--run-dir", self.run_dir, "--pipe", *words, stdin=master)
        os.write(slave, lines(1, 4))
        wait_until(lambda: len(self.inputs()) == 2, "blocks for two jobs")
        os.close(slave)
        program.wait(INPUT_CUT)
        self.assertIn("input cut at record 1: ", program.err)
        self.assertEqual(self.inputs(), {})
        self.assertEqual(self.offer(lines(1, 4), *words).out, b"1,3\n2,4\n")

    def test_another_input_is_refused_and_spoils_nothing(self):
        given = lines(1, 5_000)
        changed = given[:-5] + b"5001\n"
        for words in ["--tee", "[ -e mended ] && cksum", ":::", "a", "b"], ["-j2", "--round-robin", "--block", "1k", "[ -e mended ] && cksum"], ["--block", "20k", "[ -e mended ] && cksum"]:
            with self.subTest(words):
                self.offer(given, *words, status=2)
                self.assertIn("reads now another block of the input on stdin", self.offer(changed, *words, status=USAGE).err)
                (self.path / "mended").touch()
                out = self.run_to_end("retry", self.run_dir).out
                shutil.rmtree(self.run_dir)
                self.assertEqual(out, self.offer(given, *words).out)
                (self.path / "mended").unlink()
                shutil.rmtree(self.run_dir)

    def test_a_block_of_any_size_needs_little_memory(self):
        line = b"x" * 99 + b"\n"
        wait, open_gate = self.gate()
        for words in ["--block", "90M", "wc -c"], ["-N", "900000", "wc -c"], ["--round-robin", "-j2", "--block", "70M", "wc -c"], ["--tee", "wc -c", ":::", "a"]:
            with self.subTest(words):
                words[words.index("wc -c")] += f"; {wait}"
                program, writing = self.begin(*words)
                with os.fdopen(writing, "wb") as file:
                    for _ in range(100):
                        file.write(line * 10_000)
                wait_until(lambda: query(self.run_dir, "SELECT count(*) FROM jobs", file="jobs.db")[0][0] >= (1 if "--tee" in words else 2), "the jobs")
                if SLOWNESS == 1:  # sanitizers keep freed memory on purpose
                    self.assertLess(peak_megabytes(program.pid), 60)
                open_gate()
                program.wait(0)
                self.assertEqual(sum(map(int, program.out.split())), 100_000_000)
                (self.path / "gate").unlink()
                shutil.rmtree(self.run_dir)

    def test_dry_runs_show_the_jobs_and_keep_nothing(self):
        shown = self.run_to_end("run", "--pipe", "--tee", "--dry-run", "wc {}", ":::", "a", "b", stdin=b"1\n2\n").out
        self.assertEqual(shown, b"wc a\nwc b\n")
        shown = self.run_to_end("run", "--pipe", "--round-robin", "-j2", "-N1", "--dry-run", "wc; : {#}", stdin=lines(1, 9)).out
        self.assertEqual(shown, b"wc; : 1\nwc; : 2\n")
        self.assertEqual(self.runs(), [])


class AgainstParallel(EndToEnd):
    def test_jobs_read_what_those_of_parallel_read(self):
        for given, words in CASES:
            with self.subTest(words=words, given=given[:60]):
                done = subprocess.run(["parallel", "--will-cite", "-k", "-j4", "--pipe", *words], input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      env=self.env, cwd=self.path, check=False)
                ours = self.run_to_end("run", "-k", "-j4", "--pipe", *words, stdin=given, status=done.returncode)
                self.assertEqual(ours.out, done.stdout)


if __name__ == "__main__":
    unittest.main()
