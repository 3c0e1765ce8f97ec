"""How outputs are shown: live ones, tables, files, the joblog; of one process and of remote workers."""
import json
import os
import subprocess
import unittest

from support import EndToEnd, READER_LEFT, STORAGE, Ring, wait_until

# Job a says its second line when the first line of job b is out: the test looks for that.
WAITS = "echo {}1; while [ ! -e go ]; do sleep 0.01; done; echo {}2"


class Output(EndToEnd):
    def wait_for_out(self, program, text):
        wait_until(lambda: program.out == text or len(program.out) >= len(text), lambda: f"{text!r}; there is {program.out!r}")
        self.assertEqual(program.out, text)

    def test_lines_come_while_their_jobs_run(self):
        for option in ("--line-buffer", "--ungroup"):
            with self.subTest(option):
                (self.path / "go").unlink(missing_ok=True)
                program = self.start("pushmill", "run", "-j2", option, WAITS, ":::", "a", "b")
                wait_until(lambda: sorted(program.out.split()) == [b"a1", b"b1"], lambda: f"the first lines; there is {program.out!r}")
                (self.path / "go").touch()
                program.wait()
                self.assertEqual(sorted(program.out.split()), [b"a1", b"a2", b"b1", b"b2"])

    def test_in_order_the_first_unfinished_job_is_live(self):
        program = self.start("pushmill", "run", "-k", "-j2", "--line-buffer", WAITS, ":::", "a", "b")
        self.wait_for_out(program, b"a1\n")
        (self.path / "go").touch()
        program.wait()
        self.assertEqual(program.out, b"a1\na2\nb1\nb2\n")

    def test_ungrouped_outputs_need_no_whole_line(self):
        program = self.start("pushmill", "run", "-j1", "-u", "printf half; while [ ! -e go ]; do sleep 0.01; done; echo", ":::", "a")
        self.wait_for_out(program, b"half")
        (self.path / "go").touch()
        program.wait()

    def test_lines_of_remote_workers_come_while_their_jobs_run_with_their_commands(self):
        ring = Ring(self)
        ring.start_sink("--line-buffer", "-v")
        ring.start_ventilator(*Ring.QUICK, "--live", WAITS, records=["a", "b"])
        for _ in range(2):
            ring.start_worker("-j1")
        wait_until(lambda: {b"a1", b"b1"} <= set(ring.sink.out.splitlines()), lambda: f"the first lines; there is {ring.sink.out!r}")
        self.assertIn(WAITS.replace("{}", "a").encode(), ring.sink.out.splitlines())
        (self.path / "go").touch()
        ring.wait()
        self.assertEqual(sorted(line for line in ring.sink.out.splitlines() if len(line) == 2), [b"a1", b"a2", b"b1", b"b2"])
        self.assert_all_ok(ring.run, 2)

    def test_a_sink_that_is_killed_shows_live_outputs_again_and_loses_none(self):
        ring = Ring(self)
        ring.start_sink("--line-buffer", "-v")
        ring.start_ventilator(*Ring.QUICK, "--live", WAITS, records=["a"])
        ring.start_worker("-j1")
        said = b"%s\na1\n" % WAITS.replace("{}", "a").encode()
        self.wait_for_out(ring.sink, said)
        ring.sink.kill()
        ring.start_sink()
        (self.path / "go").touch()
        ring.wait()
        self.assertEqual(ring.sink.out, said + b"a2\n")

    def test_an_attempt_that_is_run_again_is_shown_from_its_start(self):
        wait, go = self.gate()
        program = self.start("pushmill", "run", "--line-buffer", "--retries", "2", f"echo {{}}1; [ -e again ] || {{ touch again; {wait}; exit 1; }}; echo {{}}2", ":::", "a")
        wait_until(lambda: program.out == b"a1\n", "the output of the first attempt")
        go()
        program.wait(0)
        self.assertEqual(program.out, b"a1\na1\na2\n")

    def test_a_live_output_is_in_the_log_as_well(self):
        program = self.run_to_end("run", "--run-dir", "kept", "--keep-output", "all", "--line-buffer", "echo out; echo err >&2; : {}", ":::", "a")
        self.assertEqual((program.out, program.err), (b"out\n", "err\n"))
        self.assertEqual(self.run_to_end("output", "kept", "1").out, b"out\n")

    def test_a_large_live_output_comes_whole(self):
        program = self.run_to_end("run", "--line-buffer", "seq {}", ":::", "300000")
        self.assertEqual(program.out, b"".join(b"%d\n" % n for n in range(1, 300001)))

    def test_a_live_output_that_nobody_reads_any_more_ends_the_run_without_a_word(self):
        for option in ("--line-buffer", "--ungroup"):
            with self.subTest(option):
                head = subprocess.Popen(["head", "-n1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
                program = self.start("pushmill", "run", "-j2", option, "while :; do echo {}; sleep 0.05; done", ":::", "a", "b", stdout=head.stdin)
                head.stdin.close()
                head.wait()
                program.wait(READER_LEFT)
                self.assertEqual(program.err, "")

    def test_commands_are_printed_before_their_outputs(self):
        self.assertEqual(self.run_to_end("run", "-k", "-v", "echo {}", ":::", "a", "b c").out, b"echo a\na\necho 'b c'\nb c\n")
        program = self.run_to_end("run", "-k", "-t", "echo {}", ":::", "a")
        self.assertEqual((program.out, program.err), (b"a\n", "echo a\n"))

    def test_a_table_on_standard_output(self):
        program = self.run_to_end("run", "-k", "--json", "echo {}; echo e >&2; exit {}", ":::", "0", "3", status=1)
        rows = [json.loads(line) for line in program.out.splitlines()]
        self.assertEqual([(row["Seq"], row["Exitval"], row["Stdout"], row["Stderr"]) for row in rows], [(1, 0, "0\n", "e\n"), (2, 3, "3\n", "e\n")])

    def test_names_of_files(self):
        os.mkdir(self.path / "files")
        program = self.run_to_end("run", "-k", "--files", "--tmpdir", "files", "echo {}", ":::", "a", "b")
        self.assertEqual([(self.path / name).read_text() for name in program.out.decode().split()], ["a\n", "b\n"])

    def test_a_file_a_job_that_succeeds(self):
        program = self.run_to_end("run", "--run-dir", "kept", "--out", "{.}.aln", "echo {}; [ {} = a.txt ]", ":::", "a.txt", "b.txt", status=1)
        self.assertEqual(program.out, b"")
        self.assertEqual((self.path / "a.aln").read_text(), "a.txt\n")
        self.assertEqual(sorted(path.name for path in self.path.glob("*.aln*")), ["a.aln"])
        self.assertEqual(self.run_to_end("output", "kept", "2").out, b"b.txt\n")

    def test_a_missing_directory_stops_the_run_which_goes_on_when_it_is_there(self):
        program = self.run_to_end("run", "--run-dir", "kept", "--out", "none/{}", "echo {}", ":::", "a", status=STORAGE)
        self.assertIn("cannot write none/a: No such file or directory", program.err)
        os.mkdir(self.path / "none")
        self.run_to_end("resume", "kept")
        self.assertEqual((self.path / "none/a").read_text(), "a\n")

    def test_tags_of_three_programs(self):
        ring = Ring(self)
        ring.start_sink("--line-buffer", "--tag", "--keep-order")
        ring.start_ventilator(*Ring.QUICK, "--live", "--tag", "echo {}; echo e >&2", records=["a", "b"])
        ring.start_worker("-j1")
        ring.wait()
        self.assertEqual(ring.sink.out, b"a\ta\nb\tb\n")

    def test_a_file_that_only_one_of_ventilator_and_sink_knows_of(self):
        for number, (of_sink, of_ventilator, said) in enumerate(((["--out"], [], "named no file for"), ([], ["--out", "o{}"], "named a file for"), (["--results", "r"], [], "named no file for"))):
            with self.subTest(of_sink=of_sink):
                ring = Ring(self, name=f"ring{number}")
                ring.start_sink("-k", *of_sink)
                ring.start_ventilator(*Ring.QUICK, *of_ventilator, "echo {}; [ {} != 2 ]", records=[1, 2, 3])
                ring.start_worker()
                ring.wait(1)
                self.assertEqual(ring.sink.out, b"1\n2\n3\n")
                self.assertEqual([line for line in ring.sink.err.splitlines() if "standard output" in line], [f"pushmill: job 1: the ventilator has {said} its output, which goes to standard output: "
                                                                                                              "--out or --results is for ventilator and sink together"])
                self.assertFalse((self.path / "o1").exists())

    def test_what_is_written_to_a_closed_standard_output_is_an_error(self):
        program = self.start("pushmill", "run", "--run-dir", "r", "echo", ":::", "a", preexec=lambda: os.close(1))
        program.wait(STORAGE)
        self.assertIn("cannot write to standard output: Bad file descriptor", program.err)
        self.start("pushmill", "run", "true", ":::", "a", preexec=lambda: os.close(1)).wait(0)
        self.assertEqual(self.run_to_end("resume", "r").out, b"a\n")

    def test_a_help_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            for words in ["--help"], ["run", "--help"], ["--version"]:
                self.assertIn("cannot write to standard output: No space left", self.run_to_end(*words, status=STORAGE, stdout=full).err)

    def test_a_joblog_is_appended_to(self):
        for word in "ab":
            self.run_to_end("run", "--joblog", "+log", "echo {}", ":::", word)
        lines = (self.path / "log").read_text().splitlines()
        self.assertEqual([line.split("\t")[-1] for line in lines], ["Command", "echo a", "echo b"])

    def test_options_that_do_not_go_together_are_refused(self):
        program = self.run_to_end("run", "--ungroup", "--line-buffer", "echo", ":::", "a", status=102)
        self.assertEqual(program.err, "pushmill run: --group, --ungroup and --line-buffer exclude each other\n")


if __name__ == "__main__":
    unittest.main()
