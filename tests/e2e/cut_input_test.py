"""An input that was cut: what came before it is finished, and when it is offered again the run goes on behind that, also if it had ended."""
import contextlib
import os
import sqlite3
import unittest

from support import EndToEnd, INPUT_CUT, Journal, KILL_POINTS, Ring, USAGE, has_kill_points, is_finished, query, wait_until

REFUSED = b"th\0ree"
CUT = [b"1", b"2", REFUSED, b"4"]  # at record 3
MENDED = [1, 2, 3, 4]


class Cut(EndToEnd):
    def setUp(self):
        super().setUp()
        self.log = self.journal()
        self.run_dir = self.path / "r"

    def offer(self, records=None, status=0, body=":", **more):
        return self.run_to_end("run", "--run-dir", self.run_dir, self.log.job(body), status=status, stdin=records, **more)

    def assert_cut(self, program, record):
        self.assertIn(f"input cut at record {record}: ", program.err)

    def assert_once(self, jobs):
        self.assert_each_once(self.run_dir, jobs, self.log)
        self.assertEqual(self.log.starts(), {job: 1 for job in range(1, jobs + 1)})


class OfferedAgain(Cut):
    def test_a_mended_input_goes_on_where_it_was_refused(self):
        self.assert_cut(self.offer(CUT, INPUT_CUT), 3)
        self.assert_once(2)
        self.assertNotIn("cut", self.offer(MENDED).err)
        self.assert_once(4)
        self.offer(MENDED)
        self.run_to_end("resume", self.run_dir)
        self.assert_once(4)

    def test_an_input_that_broke_off_goes_on(self):
        """A read error in the midst of it: the other end of a terminal has gone."""
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        program = self.start("pushmill", "run", "--run-dir", self.run_dir, self.log.job(), stdin=master)
        os.write(slave, b"1\n2\n3\n")
        wait_until(is_finished(self.run_dir, 3), "three jobs")
        os.close(slave)
        program.wait(INPUT_CUT)
        self.assert_cut(program, 4)
        self.assertIn("Input/output error", program.err)
        self.offer(b"1\r\n2\r\n3\r\n4")  # as the terminal wrote them
        self.assert_once(4)

    def test_an_input_that_ends_where_it_was_cut_is_whole(self):
        self.offer(CUT, INPUT_CUT)
        self.offer([1, 2])
        self.run_to_end("resume", self.run_dir)
        self.offer(MENDED, USAGE)
        self.assert_once(2)

    def test_it_may_be_cut_again_further_on(self):
        self.offer(CUT, INPUT_CUT)
        self.assert_cut(self.offer([1, 2, 3, 4, REFUSED, 6], INPUT_CUT), 5)
        self.assert_once(4)
        self.assert_cut(self.run_to_end("resume", self.run_dir, status=INPUT_CUT), 5)
        self.offer(range(1, 7))
        self.assert_once(6)

    def test_nothing_new_gives_the_status_again_and_runs_nothing(self):
        self.offer(CUT, INPUT_CUT)
        self.assert_cut(self.offer(CUT, INPUT_CUT), 3)  # still refused
        self.assert_cut(self.offer(None, INPUT_CUT), 3)  # nothing
        self.assert_cut(self.offer(None, INPUT_CUT, preexec=lambda: os.close(0)), 3)
        self.assert_cut(self.run_to_end("resume", self.run_dir, status=INPUT_CUT), 3)
        self.assert_once(2)
        self.offer(MENDED)
        self.assert_once(4)

    def test_cut_at_its_first_record(self):
        self.assert_cut(self.offer([REFUSED], INPUT_CUT), 1)
        self.assert_cut(self.offer(None, INPUT_CUT), 1)
        self.assert_cut(self.offer([REFUSED, 2], INPUT_CUT), 1)
        self.offer(MENDED)
        self.assert_once(4)

    def test_another_input_is_refused_and_changes_nothing(self):
        self.offer(CUT, INPUT_CUT)
        self.assertIn("record 2 is now", self.offer([1, "two", 3, 4], USAGE).err)
        self.assertIn("ends now behind record 1", self.offer([1], USAGE).err)
        self.assert_cut(self.run_to_end("resume", self.run_dir, status=INPUT_CUT), 3)
        self.offer(MENDED)
        self.assert_once(4)

    def test_a_file_is_read_again_by_resume(self):
        records = self.path / "records"
        records.write_bytes(b"1\n2\n" + REFUSED + b"\n4\n")
        self.run_to_end("run", "--run-dir", self.run_dir, "-a", records, self.log.job(), status=INPUT_CUT)
        self.assert_cut(self.run_to_end("resume", self.run_dir, status=INPUT_CUT), 3)
        records.write_bytes(b"1\n2\n3\n4\n")
        self.run_to_end("resume", self.run_dir)
        self.assert_once(4)

    def test_jobs_that_had_failed_stay_so_until_they_are_retried(self):
        fails_at_2 = "[ {} != 2 ] || [ -e fine ]"
        self.offer(CUT, INPUT_CUT, body=fails_at_2)
        (self.path / "fine").touch()
        self.offer(MENDED, 1, body=fails_at_2)
        self.assert_once(4)
        self.run_to_end("retry", self.run_dir)
        self.assertEqual(self.log.starts(), {1: 1, 2: 2, 3: 1, 4: 1})

    def test_a_retry_before_it_is_offered_again(self):
        fails_at_2 = "[ {} != 2 ] || [ -e fine ]"
        self.offer(CUT, INPUT_CUT, body=fails_at_2)
        (self.path / "fine").touch()
        self.assert_cut(self.run_to_end("retry", self.run_dir, status=INPUT_CUT), 3)
        self.offer(MENDED, body=fails_at_2)
        self.assertEqual(self.log.starts(), {1: 1, 2: 2, 3: 1, 4: 1})
        self.assert_all_ok(self.run_dir, 4)

    def test_a_stop_while_it_waits_for_what_follows(self):
        self.offer(CUT, INPUT_CUT)
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        program = self.start("pushmill", "run", "--run-dir", self.run_dir, self.log.job(), stdin=reader)
        os.close(reader)
        os.write(writer, b"1\n2\n")
        wait_until(lambda: query(self.run_dir, "SELECT 1 FROM meta WHERE key = 'epoch' AND value = 2", file="jobs.db"), "it to look at the run")
        program.stop()
        self.assert_cut(self.run_to_end("resume", self.run_dir, status=INPUT_CUT), 3)
        self.offer(MENDED)
        self.assert_once(4)

    def test_outputs_and_joblog_go_on(self):
        words = ["run", "-k", "--run-dir", self.run_dir, "--joblog", "log", "echo"]
        first = self.run_to_end(*words, stdin=CUT, status=INPUT_CUT)
        second = self.run_to_end(*words, stdin=MENDED)
        self.assertEqual((first.out, second.out), (b"1\n2\n", b"3\n4\n"))
        self.assertEqual(len((self.path / "log").read_text().splitlines()), 5)


class Killed(Cut):
    """kill -9 while the run goes on behind the cut; whatever was reached by then, the same command line makes it good."""

    def kill_at(self, point, records=MENDED):
        self.offer(CUT, INPUT_CUT)
        with self.dying_at(f"{point}:1"):
            self.offer(records, -9)

    def test_at_any_point_then_offered_again(self):
        if not has_kill_points():
            self.skipTest("built without kill points")
        for point in set(KILL_POINTS) - {"sink.output_written", "sink.joblog_written", "ventilator.confirmed"}:  # no output is so long, there is no joblog, and the end may come before the confirms
            with self.subTest(point=point):
                self.log, self.run_dir = Journal(self.path / f"{point}.log"), self.path / point
                self.kill_at(point)
                self.offer(MENDED)
                self.assert_all_ok(self.run_dir, 4, self.log)
                self.assertEqual([self.log.starts()[job] for job in (1, 2)], [1, 1])

    def test_when_the_ventilator_goes_on_and_the_sink_has_not_heard_of_it(self):
        """jobs.db has new records then, and results.db the end of those before: it is one no more, for whoever looks."""
        if not has_kill_points():
            self.skipTest("built without kill points")
        self.kill_at("ventilator.spooled", [1, 2, 3, REFUSED])
        self.assertEqual(query(self.run_dir, "SELECT value FROM meta WHERE key = 'ended_total'"), [(2,)])
        self.assertIn("interrupted", self.run_to_end("status", self.run_dir).out.decode())
        program = self.run_to_end("resume", self.run_dir, status=INPUT_CUT)
        self.assert_cut(program, 4)
        self.assert_once(3)
        self.offer(MENDED)
        self.assert_once(4)

    def test_when_nothing_followed_the_cut(self):
        if not has_kill_points():
            self.skipTest("built without kill points")
        for point in "sink.last_job_done", "sink.end_committed", "ventilator.end_committed":
            with self.subTest(point=point):
                self.log, self.run_dir = Journal(self.path / f"{point}.log"), self.path / point
                self.kill_at(point, [1, 2])
                self.run_to_end("resume", self.run_dir)
                self.assert_once(2)


class ByPrograms(Cut):
    """The same with ventilator and sink, whichever is started first."""

    def cut_ring(self):
        ring = Ring(self)
        ring.start(self.log.job(), records=CUT, workers=1)
        ring.wait(INPUT_CUT)
        ring.workers.clear()
        self.run_dir = ring.run
        self.assert_once(2)
        return ring

    def finish(self, ring, jobs=4):
        ring.start_worker()
        ring.wait()
        self.assert_once(jobs)

    def test_the_sink_is_started_first(self):
        ring = self.cut_ring()
        ring.start_sink()
        ring.sink.wait_for("listening")
        ring.start_ventilator(records=MENDED)
        self.finish(ring)

    def test_the_ventilator_is_started_first(self):
        ring = self.cut_ring()
        ring.start_ventilator(records=MENDED)
        wait_until(lambda: query(ring.run, "SELECT 1 FROM jobs WHERE job = 4", file="jobs.db"), "the rest of the input")
        ring.start_sink()
        self.finish(ring)

    def test_nothing_new_is_offered(self):
        ring = self.cut_ring()
        for records in CUT, []:
            ring.start_sink()
            ring.sink.wait_for("listening")
            ring.start_ventilator(records=records).wait(INPUT_CUT)
            self.assert_cut(ring.ventilator, 3)
            ring.sink.wait(INPUT_CUT)
        self.assert_once(2)

    def test_a_sink_alone_leaves(self):
        ring = self.cut_ring()
        ring.start_sink().wait(INPUT_CUT)

    def test_a_sink_waits_while_the_ventilator_reads_what_it_knows(self):
        ring = self.cut_ring()
        reader, writer = os.pipe()
        os.write(writer, b"1\n2\n")
        ventilator = self.start("ventilator", "--sink", ring.endpoint, "--run-dir", ring.run, *ring.ventilator_options, stdin=reader)
        os.close(reader)
        wait_until(lambda: query(ring.run, "SELECT 1 FROM meta WHERE key = 'epoch' AND value = 2", file="jobs.db"), "the ventilator to be there")
        ring.start_sink()
        ring.sink.wait_for("waiting for the ventilator")  # it says so later than it would have left
        os.write(writer, b"3\n4\n")
        os.close(writer)
        ring.ventilator = ventilator
        self.finish(ring)

    def test_a_sink_that_has_just_ended_goes_on(self):
        """The ventilator died when both had committed the end, and comes back with more."""
        if not has_kill_points():
            self.skipTest("built without kill points")
        ring = Ring(self)
        self.run_dir = ring.run
        ring.start_sink("--durability", "process")
        with self.dying_at("ventilator.end_committed:1"):
            ring.start_ventilator(*Ring.QUICK, "--durability", "process", self.log.job(), records=CUT)
        ring.start_worker()
        ring.ventilator.wait(-9)
        self.assertEqual(query(ring.run, "SELECT value FROM meta WHERE key = 'ended_total'"), [(2,)])
        ring.start_ventilator(records=MENDED)
        ring.wait()
        self.assert_once(4)

    def test_the_mark_of_a_sink_is_taken_over_before_the_input_is_judged(self):
        """As when the ventilator had died before it heard of the end."""
        ring = self.cut_ring()
        with contextlib.closing(sqlite3.connect(ring.run / "jobs.db")) as database, database:
            database.execute("DELETE FROM meta WHERE key = 'ended'")
        ring.start_ventilator(records=CUT).wait(INPUT_CUT)
        self.assertEqual(query(ring.run, "SELECT value FROM meta WHERE key = 'ended'", file="jobs.db"), [(INPUT_CUT,)])
        with contextlib.closing(sqlite3.connect(ring.run / "jobs.db")) as database, database:
            database.execute("DELETE FROM meta WHERE key = 'ended'")
        ring.start_ventilator(records=MENDED)
        ring.start_sink()
        self.finish(ring)


if __name__ == "__main__":
    unittest.main()
