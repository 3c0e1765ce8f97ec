"""What happens when something cannot be written."""
import resource
import signal
import unittest

from support import EndToEnd, SLOWNESS, STORAGE, finished


class Storage(EndToEnd):
    def test_outputs_that_cannot_be_written_stop_the_run_and_are_written_when_it_is_resumed(self):
        journal = self.journal()
        words = ["run", "-k", "--run-dir", "r", journal.job("echo {}")]
        with open("/dev/full", "wb") as full:
            program = self.run_to_end(*words, stdin=range(20), stdout=full, status=STORAGE)
        self.assertIn("No space left", program.err)
        done = len(finished(self.path / "r"))
        self.assertLess(done, 20)
        program = self.run_to_end(*words, stdin=range(20))
        self.assertEqual(program.out, "".join(f"{n}\n" for n in range(20)).encode())
        self.assert_all_ok(self.path / "r", 20)

    def limited(self):
        """A file may not grow beyond this, as if the disk had an error there."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))

    def test_a_run_directory_that_cannot_be_written_ends_the_run_and_it_can_be_resumed(self):
        words = ["run", "-j2", "--run-dir", "r", "head -c 30000 /dev/zero #"]
        program = self.start("pushmill", *words, stdin=range(100), preexec=self.limited)
        program.wait(STORAGE, 8 * SLOWNESS)
        self.assertIn("results.db", program.err)
        done = len(finished(self.path / "r"))
        self.assertGreater(done, 3)
        self.assertLess(done, 100)
        self.run_to_end(*words, stdin=range(100))
        self.assert_all_ok(self.path / "r", 100)


if __name__ == "__main__":
    unittest.main()
