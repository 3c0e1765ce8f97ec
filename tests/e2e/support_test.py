"""What support.py promises of itself: a report of a sanitizer fails the test in which it was made, whatever became of the program."""
import unittest

from support import EndToEnd, Program

REPORTS = ("==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010", "==7==ERROR: LeakSanitizer: detected memory leaks",
           "WARNING: ThreadSanitizer: data race (pid=7)", "shared/wire/reader.cc:15:3: runtime error: signed integer overflow")


def outcome(said, kill):
    """Of a test whose only program says `said` and ends well, or is killed by the test."""
    class Case(EndToEnd):
        def test(self):
            program = Program(self, ["/bin/sh", "-c", f"echo '{said}' >&2; " + ("exec sleep 100" if kill else "exit 0")])
            program.wait_for(said)
            if kill:
                program.kill()
            program.wait()

    result = unittest.TestResult()
    Case("test").run(result)
    return result


class Reports(unittest.TestCase):
    def test_fail_their_test(self):
        for said in REPORTS:
            for kill in (False, True):
                with self.subTest(said=said, kill=kill):
                    result = outcome(said, kill)
                    self.assertEqual((len(result.failures), result.errors), (1, []))
                    self.assertIn(said, result.failures[0][1])

    def test_other_words_do_not(self):
        result = outcome("sink: waiting for the sanitizer: runtime errors are no error", False)
        self.assertTrue(result.wasSuccessful(), result.failures + result.errors)


if __name__ == "__main__":
    unittest.main()
