"""Continuing: an interrupted run is finished, one that had ended gives its status at once and runs nothing."""
import os
import unittest

from support import EndToEnd, INPUT_CUT, Ring, USAGE, is_finished, query, wait_until


class Finished(EndToEnd):
    def test_a_finished_run_gives_its_status_and_runs_nothing(self):
        journal = self.journal()
        words = ["run", "--run-dir", "r", journal.job("exit {}"), ":::", "0", "3", "0", "4"]
        self.run_to_end(*words, status=2)
        before = journal.starts()
        for again in words, ["resume", "r"], words:
            program = self.run_to_end(*again, status=2)
            self.assertEqual(program.out, b"")
        self.assertEqual(journal.starts(), before)

    def test_so_do_the_role_programs(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("exit {}"), records=[0, 5, 6], workers=1)
        ring.wait(2)
        ring.start_sink().wait(2)
        ring.start_ventilator().wait(2)
        self.assertEqual(journal.starts(), {1: 1, 2: 1, 3: 1})

    def test_a_finished_run_without_its_stdin(self):
        self.run_to_end("run", "--run-dir", "r", "echo", stdin=["a", "b"])
        self.assertEqual(self.run_to_end("run", "--run-dir", "r", "echo").out, b"")
        self.assertEqual(self.run_to_end("resume", "r").out, b"")


class Interrupted(EndToEnd):
    def test_resume_from_another_directory_with_relative_names(self):
        wait, go = self.gate()
        (self.path / "list").write_text("1\n2\n3\n")
        program = self.start("pushmill", "run", "--run-dir", "r", "-a", "list", f"[ {{}} = 1 ] || {{ {wait}; }}; pwd >>where")
        wait_until(is_finished(self.path / "r", 1), "the first job")
        program.stop()
        go()
        (self.path / "elsewhere").mkdir()
        self.run_to_end("resume", self.path / "r", preexec=lambda: os.chdir(self.path / "elsewhere"))
        self.assert_all_ok(self.path / "r", 3)
        self.assertEqual((self.path / "where").read_text(), f"{self.path}\n" * 3)

    def test_resume_keeps_the_options(self):
        journal = self.journal()
        wait, go = self.gate()
        words = ["run", "-k", "-j2", "--run-dir", "r", "--retries", "2", "--joblog", "log", journal.job(f"{wait}; echo {{}}; exit {{}}"), ":::", "0", "1"]
        program = self.start("pushmill", *words)
        wait_until(lambda: len(journal.running()) == 2, "both jobs")
        program.stop()
        go()
        self.assertEqual(self.run_to_end("resume", "r", status=1).out, b"0\n1\n")
        self.assertEqual(journal.starts(), {1: 2, 2: 3})
        self.assertEqual(len((self.path / "log").read_text().splitlines()), 3)

    def read_some_and_die(self, journal):
        """A run that was killed when 5 records of its stdin were done, and its input had not ended."""
        reader, writer = os.pipe()
        program = self.start("pushmill", "run", "--run-dir", "r", journal.job(), stdin=reader)
        os.close(reader)
        os.write(writer, b"1\n2\n3\n4\n5\n")
        wait_until(is_finished(self.path / "r", 5), "five jobs")
        program.kill()
        os.close(writer)

    def test_resume_of_a_run_whose_stdin_is_gone_finishes_what_was_accepted(self):
        journal = self.journal()
        self.read_some_and_die(journal)
        program = self.run_to_end("resume", "r", status=INPUT_CUT)
        self.assertIn("input cut at record 6", program.err)
        self.assert_all_ok(self.path / "r", 5, journal)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 6)})
        self.run_to_end("resume", "r", status=INPUT_CUT)

    def test_the_same_stdin_again_goes_on_behind_what_was_accepted(self):
        journal = self.journal()
        self.read_some_and_die(journal)
        self.run_to_end("run", "--run-dir", "r", journal.job(), stdin=range(1, 9))
        self.assert_all_ok(self.path / "r", 8, journal)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 9)})

    def test_resume_of_a_run_whose_stdin_was_read_to_its_end(self):
        journal = self.journal()
        wait, go = self.gate()
        program = self.start("pushmill", "run", "-j2", "--run-dir", "r", journal.job(wait), stdin=range(10))
        wait_until(lambda: len(journal.running()) == 2, "two jobs")
        program.kill()
        go()
        self.run_to_end("resume", "r")
        self.assert_all_ok(self.path / "r", 10)

    def test_the_ring_goes_on_after_a_stop_of_all(self):
        journal, ring = self.journal(), Ring(self)
        ring.start(journal.job("sleep 0.01"), records=range(80))
        wait_until(is_finished(ring.run, self.random.randrange(1, 60)), "some results")
        ring.stop()
        ring.workers.clear()
        done = {job: journal.starts()[job] for (job,) in query(ring.run, "SELECT job FROM results")}
        ring.start_sink()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 80, journal)
        self.assertEqual({job: journal.starts()[job] for job in done}, done)
        self.assertEqual(query(ring.run, "SELECT * FROM attempts WHERE counted"), [])

    def test_what_cannot_be_resumed(self):
        (self.path / "empty").mkdir()
        for where in "nowhere", "empty":
            program = self.run_to_end("resume", where, status=USAGE)
            self.assertIn(where, program.err)
        ring = Ring(self)
        ring.start_sink()
        ring.start_ventilator("echo", records=["a"])
        wait_until(lambda: query(ring.run, "SELECT 1 FROM meta WHERE key = 'run'"), "the run to begin")
        ring.stop()
        for words in ["resume", ring.run], ["run", "--run-dir", ring.run, "echo", ":::", "a"]:
            program = self.run_to_end(*words, status=USAGE)
            self.assertIn("not begun by pushmill run: start its ventilator and sink again", program.err)


if __name__ == "__main__":
    unittest.main()
