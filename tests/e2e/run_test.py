"""pushmill run: inputs, replacement strings, outputs, the surroundings of a job."""
import os
import time
import unittest

from support import EndToEnd, INPUT_CUT, READER_LEFT, Ring, SLOWNESS, USAGE, query


class Inputs(EndToEnd):
    def test_arguments_behind_three_colons(self):
        self.assertEqual(self.run_to_end("run", "-k", "echo", ":::", "a", "b c", "").out, b"a\nb c\n\n")

    def test_lines_of_a_file_and_of_stdin(self):
        (self.path / "list").write_text("one\ntwo\nthree")
        self.assertEqual(self.run_to_end("run", "-k", "-a", "list", "echo", "<{}>", status=3).out, b"")  # a redirection, as the shell has it
        self.assertEqual(self.run_to_end("run", "-k", "-a", "list", "echo x{}x").out, b"xonex\nxtwox\nxthreex\n")
        self.assertEqual(self.run_to_end("run", "-k", "echo", stdin=["four", "five"]).out, b"four\nfive\n")

    def test_without_a_template_each_line_is_a_command(self):
        self.assertEqual(self.run_to_end("run", "-k", stdin=["echo $((6*7))", "echo a | tr a b"]).out, b"42\nb\n")

    def test_no_jobs_is_a_success(self):
        self.assertEqual(self.run_to_end("run", "echo").out, b"")
        self.assertEqual(self.run_to_end("run", "echo", ":::").out, b"")
        self.assertEqual(self.runs(), [])

    def test_job_number(self):
        self.assertEqual(self.run_to_end("run", "-k", "echo {#}/{}", ":::", "a", "b").out, b"1/a\n2/b\n")

    def test_every_byte_reaches_the_command_as_it_is(self):
        record = bytes(b for b in range(1, 256) if b != 10)
        nasty = [record, b"", b"'", b"\\", b"$(touch oops)", b"`touch oops`", b"-n", b" a  b ", b"a\rb", b"*", b"~", b"!!", b"\xff\xfe"]
        program = self.run_to_end("run", "-k", "printf '[%s]\\n' {}", stdin=nasty)
        self.assertEqual(program.out, b"".join(b"[" + one + b"]\n" for one in nasty))
        self.assertFalse((self.path / "oops").exists())

    def test_an_argument_with_a_newline_stays_one(self):
        self.assertEqual(self.run_to_end("run", "printf '[%s]'", ":::", "a\nb").out, b"[a\nb]")

    def test_a_nul_byte_cuts_the_input_and_all_before_it_is_done(self):
        program = self.run_to_end("run", "-k", "--run-dir", "r", "echo", stdin=[b"one", b"two", b"th\0ree", b"four"], status=INPUT_CUT)
        self.assertEqual(program.out, b"one\ntwo\n")
        self.assertIn("record 3", program.err)
        self.assertIn("NUL", program.err)
        self.assert_all_ok(self.path / "r", 2)

    def test_a_line_that_linux_cannot_pass_cuts_the_input(self):
        fits, too_long = b"x" * (131_071 - len("true ")), b"x" * (131_072 - len("true "))
        self.run_to_end("run", "true", stdin=[fits])
        program = self.run_to_end("run", "--run-dir", "r", "true", stdin=[b"a", b"b", fits, too_long, b"c"], status=INPUT_CUT)
        self.assertIn("record 4", program.err)
        self.assert_all_ok(self.path / "r", 3)

    def test_missing_file_and_bad_options_are_usage_errors(self):
        for words in (["run", "-a", "nowhere", "echo"], ["run", "--no-such-option", "echo"], ["run", "-jx", "echo"], ["run", "--timeout", "soon", "echo"],
                      ["run", "--call", "echo", "echo", ":::", "a"], ["run", "-a", "x", "echo", ":::", "a"], ["nonsense"], [], ["resume"]):
            program = self.run_to_end(*words, status=USAGE)
            self.assertEqual(program.err.count("\n"), 1, program.err)
            self.assertEqual(self.runs(), [], words)


class Outputs(EndToEnd):
    def test_output_is_grouped_by_job(self):
        # Each writes half, and the other half only when both have begun.
        both = "touch on-{}; while [ ! -e on-a ] || [ ! -e on-b ]; do sleep 0.01; done"
        program = self.run_to_end("run", "-j2", f"echo {{}}1; {both}; echo {{}}2", ":::", "a", "b")
        self.assertIn(program.out, (b"a1\na2\nb1\nb2\n", b"b1\nb2\na1\na2\n"))

    def test_stderr_goes_to_stderr(self):
        program = self.run_to_end("run", "-k", "echo out{}; echo err{} >&2", ":::", "1", "2")
        self.assertEqual(program.out, b"out1\nout2\n")
        self.assertEqual(program.err, "err1\nerr2\n")

    def test_binary_outputs(self):
        every = bytes(range(256)) * 16
        (self.path / "binary").write_bytes(every)
        program = self.run_to_end("run", "--run-dir", "r", "--keep-output", "all", "cat binary; cat binary >&2 #", ":::", "x")
        self.assertEqual(program.out, every)
        self.assertEqual(program.err_file.read_bytes(), every)
        self.assertEqual(query(self.path / "r", "SELECT stdout, stderr, stdout_bytes, stderr_bytes FROM results"), [(every, every, 4096, 4096)])

    def test_output_without_a_newline_at_its_end_stays_so(self):
        self.assertEqual(self.run_to_end("run", "-k", "printf %s", ":::", "a", "b").out, b"ab")

    def test_a_reader_that_leaves_ends_the_run_at_once_and_quietly(self):
        reader, writer = os.pipe()
        program = self.start("pushmill", "run", "-j3", "echo {}; [ {} -lt 50 ] || exec sleep 1000 #", stdin=range(60), stdout=writer)
        os.close(writer)
        os.read(reader, 2)
        os.close(reader)
        program.wait(READER_LEFT)
        self.assertEqual(program.err, "")
        self.assertEqual(self.runs(), [])

    def test_what_a_reader_left_can_be_continued_if_it_has_a_name(self):
        journal = self.journal()
        reader, writer = os.pipe()
        program = self.start("pushmill", "run", "-k", "--run-dir", "r", journal.job("echo {}; head -c 60000 /dev/zero"), stdin=range(200), stdout=writer)
        os.close(writer)
        os.read(reader, 10)
        os.close(reader)
        program.wait(READER_LEFT)
        again = self.run_to_end("resume", "r")
        self.assert_all_ok(self.path / "r", 200, journal)
        self.assertTrue(again.out.endswith(b"199\n" + bytes(60000)))

    def test_a_sink_whose_reader_leaves_goes_on(self):
        ring = Ring(self)
        reader, writer = os.pipe()
        ring.sink = self.start("sink", "--listen", ring.endpoint, "--run-dir", ring.run, stdout=writer)
        os.close(writer)
        os.close(reader)
        ring.start_ventilator(*Ring.QUICK, "head -c 60000 /dev/zero #", records=range(20))
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 20)
        self.assertIn("cannot write to standard output: Broken pipe; the run goes on", ring.sink.err)

    def test_environment_directory_umask_and_stdin(self):
        program = self.run_to_end("run", "-j1", "echo $FOO; pwd; umask; cat; echo $PUSHMILL_JOB $PARALLEL_SEQ $PUSHMILL_SLOT $PUSHMILL_ATTEMPT #", ":::", "x",
                                  env={**self.env, "FOO": "bar baz"}, stdin=["not for jobs"], preexec=lambda: os.umask(0o037))
        self.assertEqual(program.out, f"bar baz\n{self.path}\n0037\n1 1 1 1.1\n".encode())

    def test_limits_are_those_of_the_caller(self):
        import resource
        program = self.run_to_end("run", "ulimit -n #", ":::", "x", preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300)))
        self.assertEqual(program.out, b"200\n")

    def test_shell(self):
        show = "echo ${BASH_VERSION:+bash} #"
        self.assertEqual(self.run_to_end("run", show, ":::", "x", env={**self.env, "PARALLEL_SHELL": "/bin/bash"}).out, b"bash\n")
        self.assertEqual(self.run_to_end("run", show, ":::", "x", env={**self.env, "SHELL": "/bin/bash"}).out, b"bash\n")
        self.assertEqual(self.run_to_end("run", show, ":::", "x", env={**self.env, "SHELL": ""}).out, b"\n")

    def test_default_slots_are_the_cpus_that_may_be_used(self):
        one = min(os.sched_getaffinity(0))
        slot = ["run", "echo $PUSHMILL_SLOT #"]
        program = self.run_to_end(*slot, stdin=range(8), preexec=lambda: os.sched_setaffinity(0, {one}))
        self.assertEqual(set(program.out.split()), {b"1"})
        program = self.run_to_end(*slot, stdin=range(8), env={**self.env, "SLURM_CPUS_PER_TASK": "1"})
        self.assertEqual(set(program.out.split()), {b"1"})

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one CPU only")
    def test_jobs_run_at_the_same_time(self):
        # Each waits for the other.
        self.run_to_end("run", "touch on-{}; while [ ! -e on-1 ] || [ ! -e on-2 ]; do sleep 0.01; done", ":::", "1", "2")

    def test_two_runs_at_once(self):
        wait, go = self.gate()
        runs = [self.start("pushmill", "run", "--keep-run", f"{wait}; echo {name}{{}}", ":::", "1", "2", "3") for name in "ab"]
        go()
        for name, run in zip("ab", runs):
            run.wait(0)
            self.assertEqual(sorted(run.out.decode().split()), [f"{name}1", f"{name}2", f"{name}3"])
        self.assertEqual(len(self.runs()), 2)

    def test_a_short_run_waits_for_no_heartbeat(self):
        def seconds():
            begun = time.monotonic()
            self.run_to_end("run", "true", ":::", "x")
            return time.monotonic() - begun
        self.assertLess(min(seconds() for _ in range(5)), 0.8 * SLOWNESS)

    def test_no_progress_line_on_a_pipe(self):
        self.assertEqual(self.run_to_end("run", "sleep", ":::", "1.2").err, "")


if __name__ == "__main__":
    unittest.main()
