"""--call: each input a call of a handler in the worker."""
import unittest

from support import EndToEnd, Ring, USAGE, query


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

    def test_many_calls_through_the_ring(self):
        ring = Ring(self)
        ring.start("--call", "echo", records=range(5000))
        ring.wait()
        self.assertTrue(sorted(map(int, ring.sink.out.split())) == list(range(5000)))
        self.assert_all_ok(ring.run, 5000)

    def test_another_handler_is_another_run(self):
        self.run_to_end("run", "--run-dir", "r", "--call", "echo", ":::", "a")
        program = self.run_to_end("run", "--run-dir", "r", "echo", ":::", "a", status=USAGE)
        self.assertIn("--call echo", program.err)


if __name__ == "__main__":
    unittest.main()
