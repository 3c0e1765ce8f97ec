"""--pipe and --pipe-part: blocks of whole records, what a kill leaves of them, and bounds on what lies ahead."""
import os
import random
import subprocess
import unittest

from support import SLOWNESS, EndToEnd, is_finished, peak_megabytes, processes_with, query, wait_until


def lines(first, last):
    return "".join(f"{n}\n" for n in range(first, last + 1)).encode()


# What is read, and a command line that both programs are to answer with the same bytes.
CASES = [
    (lines(1, 30), ["--block", "10", "paste -sd,"]),
    (lines(1, 2000), ["--block", "1000", "wc -c"]),
    (lines(1, 2000), ["--block", "0.5k", "wc -c"]),
    (b"", ["echo x; cat"]),
    (b"a\nb\nc", ["--block", "2", "cat; echo ="]),
    (b"a\nb\nc", ["--block", "5", "cat; echo ="]),
    (b"a\nb\nc", ["cat; echo ="]),
    (b"0" * 70 + b"\n" + lines(100, 200), ["--block", "10", "wc -c"]),
    (lines(1, 7), ["-N2", "paste -sd,"]),
    (lines(1, 7), ["-n3", "paste -sd,"]),
    (lines(1, 13), ["-L2", "-N3", "paste -sd,"]),
    (lines(1, 7), ["-L3", "--block", "8", "paste -sd,"]),
    (lines(1, 7), ["-N3", "--block", "4", "paste -sd,"]),
    (b"x\n>a\n1\n2\n>b\n3\n>c\n4\n", ["--recstart", ">", "-N1", "paste -sd,"]),
    (b"x\n>a\n1\n2\n>b\n3\n>c\n4\n>dddddddd\n5\n>e\n", ["--recstart", ">", "--block", "10", "paste -sd,"]),
    (b"x\n>a\n1\n2\n>b\n3\n>c\n4\n>dddddddd\n5\n>e\n", ["--recend", "\\n", "--recstart", ">", "--block", "10", "paste -sd,"]),
    (b">a\n1\n2\n>b\n3\n", ["--recstart", ">", "--rrs", "-N1", "paste -sd,"]),
    (b">a>b>c", ["--recstart", ">", "--block", "6", "cat; echo ="]),
    (b"a;b;c;d", ["--recend", ";", "-N2", "cat; echo"]),
    (b"a;b;c;d", ["--recend", ";", "-N2", "--rrs", "cat; echo"]),
    (b"aXbXXcX", ["--recend", "X", "--rrs", "--block", "10", "cat; echo"]),
    (b"a\n>1\n2\n>3\nb\n", ["--recend", "\\n", "--recstart", ">", "-N1", "cat; echo ="]),
    (b"a\n>1\n2\n>3\nb\n", ["--recend", "\\n", "--recstart", ">", "-N1", "--rrs", "cat; echo ="]),
    (b"abcdef", ["--recend", "", "--block", "2", "cat; echo"]),
    (b"aXXXbXXc", ["--recend", "XX", "-N1", "cat; echo ="]),
    (b"a\tb\tc", ["--recend", "\\t", "-N1", "cat; echo"]),
    (b"a\0b\0c\0", ["--recend", "\\0", "-N1", "tr '\\0' x; echo"]),
    (b"a1b22c333d", ["--regexp", "--recend", "[0-9]+", "-N1", "cat; echo ="]),
    (b"a1b22c333d", ["--regexp", "--recend", "[0-9]+", "--block", "4", "cat; echo ="]),
    (b"a1b22c333d", ["--regexp", "--recend", "[0-9]+", "--rrs", "-N1", "cat; echo ="]),
    (b"aXXXbXXcXXXXXXd", ["--regexp", "--recend", "X+", "--block", "3", "cat; echo ="]),
    (b"A1\nb\nC3\nd\n", ["--regexp", "--recstart", "[A-Z][0-9]", "-N1", "cat; echo ="]),
    (b"a\n\nb\nc\n\nd\n", ["--regexp", "--recend", "\\n\\n", "-N1", "cat; echo ="]),
    (b"h1\n1\n2\n3\n", ["--header", ":", "-N1", "paste -sd,"]),
    (b"h1\n1\n2\n3\n", ["--header", ":", "--block", "3", "paste -sd,"]),
    (b"h1\n", ["--header", ":", "paste -sd,; echo x"]),
    (b"h1\nh2\n1\n2\n", ["--header", "2", "-N1", "paste -sd,"]),
    (b"%a\n%b\n1\n2\n3\n", ["--header", "(%.*\\n)*", "-N2", "paste -sd,"]),
    (lines(1, 5), ["--cat", "-N2", "wc -l < {}"]),
    (lines(1, 5), ["--fifo", "-N2", "wc -l < {}"]),
    (lines(1, 3), ["echo \"[{}]\" {#}; cat"]),
    (lines(1, 4), ["-N2", "cat >/dev/null; echo", "a", "{}", "b", "{#}"]),
    (lines(1, 4), ["-N2", "echo $PARALLEL_SEQ; cat"]),
    (lines(1, 5), ["-N1", "cat; false"]),
]

# Of a file with these bytes.
PART_CASES = [
    (lines(1, 20), ["--block", "10", "wc -c"]),
    (lines(1, 20), ["--block", "-1", "paste -sd,"]),
    (lines(1, 20), ["--block", "-2", "paste -sd,"]),
    (lines(1, 20), ["--block", "-10", "paste -sd,"]),
    (lines(1, 20), ["paste -sd,"]),
    (lines(1, 20), ["--cat", "--block", "20", "paste -sd, {}"]),
    (lines(1, 20), ["--header", ":", "--block", "20", "paste -sd,"]),
    (b"".join(b">s%d\nx\n" % n for n in range(1, 7)), ["--recstart", ">", "--block", "10", "paste -sd,"]),
    (lines(1, 20000), ["--block", "10k", "cksum"]),
    (b"", ["cat; echo x"]),
]


class Filter(EndToEnd):
    def filtered(self, given, *words, status=0):
        """What `run --pipe -k` makes of it."""
        return self.run_to_end("run", "--pipe", "-k", "-j2", *words, stdin=given, status=status).out


class Pipe(Filter):
    def test_everything_comes_out_byte_for_byte(self):
        given = b"".join(b"%d %s\n" % (n, b"x" * (n * 7919 % 300)) for n in range(40_000))
        for block in "10k", "100k", "1M", "20M":
            self.assertEqual(self.filtered(given, "--block", block, "cat"), given)
        self.assertEqual(self.filtered(given, "-N", "1000", "cat"), given)

    def test_blocks_are_gone_when_their_jobs_have_succeeded(self):
        self.run_to_end("run", "--pipe", "--block", "8k", "--run-dir", "r", "grep -q -v 9999", stdin=lines(1, 20_000))
        self.assertEqual(list((self.path / "r" / "inputs").iterdir()), [])

    def test_the_block_of_a_failed_job_is_there_when_it_is_run_again(self):
        self.run_to_end("run", "--pipe", "-k", "--block", "50k", "--run-dir", "r", "[ {#} != 2 ] || [ -e mended ] && wc -c", stdin=lines(1, 20_000), status=1)
        self.assertEqual([path.name for path in (self.path / "r" / "inputs").iterdir()], ["2"])
        debugged = self.run_to_end("debug", "r", "2", status=1)
        self.assertEqual(debugged.out, b"")
        (self.path / "mended").touch()
        self.run_to_end("retry", "r")
        self.assertEqual([path.name for path in (self.path / "r" / "inputs").iterdir()], [])
        self.assertEqual(sum(length for length, in query(self.path / "r", "SELECT CAST(stdout AS INTEGER) FROM results WHERE job = 2")) // 1000, 49)

    def test_a_retried_job_reads_the_same_block(self):
        self.filtered(lines(1, 20_000), "--block", "50k", "--retries", "3", "cksum >>sums-{#}; [ -e {#} ] || { touch {#}; false; }")
        for job in 1, 2, 3:
            first, second = (self.path / f"sums-{job}").read_text().splitlines()
            self.assertEqual(first, second)

    def test_an_endless_input_ends_with_its_reader(self):
        numbers = subprocess.Popen(["seq", "1", "1000000000000"], stdout=subprocess.PIPE)
        try:
            head = subprocess.Popen(["head", "-n", "5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            program = self.start("pushmill", "run", "--pipe", "-k", "--spool", "4M", "wc -c", stdin=numbers.stdout, stdout=head.stdin)
            head.stdin.close()
            numbers.stdout.close()
            self.assertEqual(len(head.stdout.read().split()), 5)
            head.stdout.close()
            head.wait()
            program.wait(status=141)
            self.assertEqual(program.err, "")
        finally:
            numbers.kill()
            numbers.wait()

    def test_what_lies_ahead_of_the_jobs_and_of_the_reader_is_bounded(self):
        # Nobody reads the outputs: input is taken until they fill what is allowed, and no more.
        numbers = subprocess.Popen(["seq", "1", "1000000000000"], stdout=subprocess.PIPE)
        reading, writing = os.pipe()
        try:
            program = self.start("pushmill", "run", "--pipe", "-k", "-j2", "--spool", "8M", "--run-dir", "r", "cat", stdin=numbers.stdout, stdout=writing)
            os.close(writing)
            numbers.stdout.close()
            where = self.path / "r"
            wait_until(lambda: where.is_dir() and self.size_of(where) > 8 << 20, "the outputs of eight blocks")
            for _ in range(20):
                self.assertLess(self.size_of(where), 24 << 20)
            taken = 0
            while taken < 64 << 20:  # and all goes on when they are read
                taken += len(os.read(reading, 1 << 20))
            self.assertLess(self.size_of(where), 24 << 20)
            if SLOWNESS == 1:  # sanitizers keep freed memory on purpose
                self.assertLess(peak_megabytes(program.pid), 100)
        finally:
            os.close(reading)
            numbers.kill()
            numbers.wait()
        program.wait(status=141)

    def size_of(self, folder):
        total = 0
        for where, _, names in os.walk(folder):
            for name in names:
                try:
                    total += os.stat(os.path.join(where, name)).st_size
                except FileNotFoundError:
                    pass
        return total

    def kill_in_the_middle(self, given, words):
        program = self.start("pushmill", "run", *words, stdin=given)
        wait_until(is_finished(self.path / "r", self.random.randrange(3, 60)), "some results")
        program.kill()
        wait_until(lambda: not processes_with(f"PARALLEL_PID={program.pid}\0"), "the end of its jobs")
        return program

    def test_a_killed_run_goes_on_when_the_input_is_offered_again(self):
        given = lines(1, 100_000)
        words = ["--pipe", "-k", "-j2", "--block", "8k", "--spool", "100k", "--run-dir", "r", "cat; sleep 0.01"]
        first = self.kill_in_the_middle(given, words).out
        second = self.run_to_end("run", *words, stdin=given).out
        # Whole blocks at least once: what was written behind the last mark is written again.
        self.assertTrue(given.startswith(first))
        self.assertTrue(given.endswith(second))
        self.assertGreaterEqual(len(first) + len(second), len(given))
        jobs = query(self.path / "r", "SELECT count(*), max(job) FROM results WHERE outcome = 'ok'")[0]
        self.assertEqual(jobs[0], jobs[1])
        self.assertEqual(list((self.path / "r" / "inputs").iterdir()), [])

    def test_a_resumed_run_finishes_what_it_had_read(self):
        words = ["--pipe", "-k", "-j2", "--block", "8k", "--spool", "100k", "--run-dir", "r", "cat; sleep 0.01"]
        self.kill_in_the_middle(lines(1, 100_000), words)
        program = self.run_to_end("resume", "r", status=104)
        self.assertIn("input cut", program.err)
        self.assertEqual(list((self.path / "r" / "inputs").iterdir()), [])

    def test_another_input_is_refused(self):
        words = ["--pipe", "--block", "8k", "--run-dir", "r", "true"]
        self.run_to_end("run", *words, stdin=lines(1, 20_000))
        changed = bytearray(lines(1, 20_000))
        changed[30_000:30_001] = b"x"
        program = self.run_to_end("run", *words, stdin=changed, status=102)
        self.assertIn("reads now another block of the input on stdin", program.err)

    def test_parts_of_a_file_are_read_where_they_are(self):
        (self.path / "given").write_bytes(lines(1, 200_000))
        program = self.run_to_end("run", "--pipe-part", "-k", "-a", "given", "--run-dir", "r", "--block", "100k", "cat")
        self.assertEqual(program.out, lines(1, 200_000))
        self.assertFalse((self.path / "r" / "inputs").exists())

    def test_mistakes_are_one_line(self):
        for words, text in [
            (["--pipe"], "--pipe needs a command"),
            (["--block", "1M", "cat"], "need --pipe or --pipe-part"),
            (["--pipe", "--block", "-1", "cat"], "--block -N is for --pipe-part"),
            (["--pipe", "-a", "-", "cat"], "- cannot name it as a source of arguments too"),
            (["--pipe", "--resume", "--joblog", "l", "cat"], "a joblog does not have the input"),
            (["--pipe-part", "cat"], "--pipe-part needs files"),
            (["--pipe-part", "-a", "x", "-N2", "cat"], "--pipe-part does not count records"),
            (["--pipe", "--regexp", "--recend", "(", "cat"], "regular expression"),
            (["--round-robin", "cat"], "need --pipe or --pipe-part"),
            (["--pipe-part", "-a", "x", "--round-robin", "cat"], "--round-robin needs --pipe"),
            (["--pipe", "--tee", "cat"], "--tee needs arguments"),
            (["--pipe-part", "-a", "x", "--tee", "cat"], "--tee needs --pipe"),
            (["--pipe", "--tee", "--round-robin", "cat", ":::", "x"], "exclude each other"),
            (["--pipe", "--call", "echo"], "--pipe"),
        ]:
            program = self.run_to_end("run", *words, status=102)
            self.assertIn(text, program.err)
            self.assertEqual(program.err.count("\n"), 1, program.err)


class AgainstParallel(Filter):
    def parallel(self, words, given, status=None):
        done = subprocess.run(["parallel", "--will-cite", "-k", "-j2", *words], input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.env,
                              cwd=self.path, check=False)
        return done.stdout, done.returncode

    def test_blocks_are_those_of_parallel(self):
        for given, words in CASES:
            with self.subTest(words=words, given=given[:60]):
                out, status = self.parallel(["--pipe", *words], given)
                self.assertEqual(self.filtered(given, *words, status=status), out)

    def test_parts_are_those_of_parallel(self):
        for given, words in PART_CASES:
            with self.subTest(words=words, given=given[:60]):
                (self.path / "given").write_bytes(given)
                out, status = self.parallel(["--pipe-part", "-a", "given", *words], b"")
                self.assertEqual(self.run_to_end("run", "-k", "-j2", "--pipe-part", "-a", "given", *words, status=status).out, out)

    def test_random_blocks_are_those_of_parallel(self):
        choose = random.Random(self.seed)
        for _ in range(12):
            given = "".join(choose.choice("ab>;\n") for _ in range(choose.randrange(400))).encode()
            words = ["--block", str(choose.randrange(1, 60))]  # with -N an empty record is none to parallel
            words += choose.choice([[], ["--recend", ";"], ["--recstart", ">"], ["--recend", "\\n", "--recstart", ">"], ["--recend", "ab"]])
            with self.subTest(words=words, given=given):
                self.assertEqual(self.filtered(given, *words, "cat; echo ="), self.parallel(["--pipe", *words, "cat; echo ="], given)[0])


if __name__ == "__main__":
    unittest.main()
