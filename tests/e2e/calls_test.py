"""--call: each input a call of a handler in the worker."""
import unittest

from support import EndToEnd, Ring, USAGE, finished, query, wait_until


class Calls(EndToEnd):
    def test_echo_gives_the_line_back(self):
        """Text as a line, bytes that are no text as they are."""
        program = self.run_to_end("run", "-k", "--call", "echo", stdin=["plain", "", "'$(x) ü"])
        self.assertEqual(program.out, "plain\n\n'$(x) ü\n".encode())
        binary = bytes(b for b in range(256) if b != 10)
        self.assertEqual(self.run_to_end("run", "--call", "echo", stdin=[binary]).out, binary)

    def test_a_handler_that_no_worker_has_is_a_failed_job_that_names_both(self):
        self.run_to_end("run", "--run-dir", "r", "--call", "nope", ":::", "a", "b", status=2)
        rows = query(self.path / "r", "SELECT outcome, reason, command FROM results")
        self.assertEqual(len(rows), 2)
        for outcome, reason, _ in rows:
            self.assertEqual(outcome, "failed")
            self.assertIn("'nope'", reason)
            self.assertIn("echo", reason)

    def test_json_lines_are_typed_arguments(self):
        lines = ['[1, -2.5, "a", null]', '"text"', '{"k": [true]}', "7"]
        self.assertEqual(self.run_to_end("run", "-k", "--call", "echo", "--framing", "json", stdin=lines).out, b'[1,-2.5,"a",null]\ntext\n{"k":[true]}\n7\n')
        program = self.run_to_end("run", "--call", "echo", "--framing", "json", stdin=["1", "{"], status=104)
        self.assertEqual(program.out, b"1\n")
        self.assertIn("record 2 is not JSON", program.err)
        self.assertIn("for --coprocess", self.run_to_end("run", "--call", "echo", "--framing", "length", ":::", "a", status=USAGE).err)

    def test_a_call_that_fails_says_why(self):
        program = self.run_to_end("run", "--call", "echo@9", ":::", "a", status=1)
        self.assertIn("pushmill: job 1: the job calls version 9 of handler 'echo', this worker has version 1\n", program.err)

    def test_many_calls_through_the_ring(self):
        ring = Ring(self)
        ring.start("--call", "echo", records=range(5000))
        ring.wait()
        self.assertTrue(sorted(map(int, ring.sink.out.split())) == list(range(5000)))
        self.assert_all_ok(ring.run, 5000)

    def test_sleep_and_its_time_limit(self):
        program = self.run_to_end("run", "--run-dir", "r", "-j3", "--timeout", "1s", "--call", "sleep", ":::", "0.01", "1000", "soon", status=2)
        self.assertEqual(program.out, b"null\n")
        rows = query(self.path / "r", "SELECT outcome, reason FROM results ORDER BY job")
        self.assertEqual([row[0] for row in rows], ["ok", "timeout", "failed"])
        self.assertIn("'soon' is not a number of seconds", rows[2][1])

    def test_a_call_is_cancelled_with_its_worker_and_runs_again(self):
        ring = Ring(self)
        ring.start("--call", "sleep", records=["0.01", "2"], workers=1)
        wait_until(lambda: finished(ring.run), "the short one")
        ring.workers[0].stop()
        ring.workers.clear()
        self.assertIn(("cancelled",), query(ring.run, "SELECT outcome FROM attempts WHERE job = 2"))
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 2)

    def test_a_large_result(self):
        line = b"x" * 3_000_000
        self.assertTrue(self.run_to_end("run", "--call", "echo", stdin=[line]).out == line + b"\n")

    def test_a_worker_program_of_its_own(self):
        ring = Ring(self)
        ring.start_sink()
        ring.start_ventilator(*Ring.QUICK, "--call", "longest", records=["a bb c", "", "three words here"])
        self.start("path_worker", "--sink", ring.endpoint)
        ring.sink.wait(1)
        ring.ventilator.wait(1)
        self.assertEqual(sorted(ring.sink.out.split()), [b"bb", b"three"])
        self.assertIn("an empty line has no words", query(ring.run, "SELECT reason FROM results WHERE job = 2")[0][0])

    def test_a_mismatch_of_types_names_both_sides(self):
        ring = Ring(self)
        ring.start_sink()
        ring.start_ventilator(*Ring.QUICK, "--call", "walk", records=["[1, 2]"])
        self.start("path_worker", "--sink", ring.endpoint)
        ring.sink.wait(1)
        ring.ventilator.wait(1)
        self.assertEqual(query(ring.run, "SELECT outcome, reason FROM results"),
                         [("failed", "handler 'walk' version 1 takes an array of (a struct), the job gives text")])

    def test_another_handler_is_another_run(self):
        self.run_to_end("run", "--run-dir", "r", "--call", "echo", ":::", "a")
        program = self.run_to_end("run", "--run-dir", "r", "echo", ":::", "a", status=USAGE)
        self.assertIn("--call echo", program.err)


if __name__ == "__main__":
    unittest.main()
