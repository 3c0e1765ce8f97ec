"""kill -9 at each named point of shared/base/kill_point.h, then the same command line again: first what was true at that moment, then that it is made good."""
import pathlib
import signal
import sys
import unittest

from support import FAULTY_DISK, KILL_POINTS, STORAGE, EndToEnd, Ring, finished, has_kill_points, query, wait_until

SKIPPED = 77
JOBS = 6
LARGE = 200_000


def mark(run, key, file="results.db"):
    found = query(run, "SELECT value FROM meta WHERE key = ?", key, file=file)
    return found[0][0] if found else None


def spooled(run):
    return query(run, "SELECT count(*) FROM jobs", file="jobs.db")[0][0]


class KillPoint(EndToEnd):
    def kill_three_at(self, point, body="echo {}", options=()):
        """A ring of which the role with this point has died at its first pass of it."""
        self.log, ring, role = self.journal(), Ring(self), point.partition(".")[0]
        for name in ("sink", "ventilator", "worker"):
            starts = {"sink": lambda: ring.start_sink("--durability", "process", *options),
                      "ventilator": lambda: ring.start_ventilator(*Ring.QUICK, "--durability", "process", self.log.job(body), records=range(1, JOBS + 1)),
                      "worker": ring.start_worker}
            if name != role:
                starts[name]()
                continue
            with self.dying_at(f"{point}:1"):
                starts[name]()
        getattr(ring, role).wait(-9)
        return ring, role

    def finish_three(self, ring, role, status=0):
        """Nothing is missing, and since the worker lived nothing ran twice."""
        getattr(ring, f"start_{role}")()
        ring.wait(status)
        self.assert_all_ok(ring.run, JOBS, self.log)
        self.assertEqual(self.log.starts(), {job: 1 for job in range(1, JOBS + 1)})
        return b"".join(program.out for program in self.programs if program.name == "sink")

    def kill_run_at(self, point, body="echo {}", options=()):
        """(its directory, the program, how often the jobs with a committed result had been started)"""
        self.log = self.journal()
        with self.dying_at(f"{point}:1"):
            program = self.start("pushmill", "run", "-j2", "--run-dir", "r", "--keep-output", "all", *options, self.log.job(body), ":::", *map(str, range(1, JOBS + 1)))
        program.wait(-9)
        done = finished(self.path / "r")
        starts = self.log.starts()
        return self.path / "r", program, {job: starts[job] for job in done}

    def finish_run(self, run, first, done):
        """Nothing is missing, and what was committed did not run again."""
        second = self.run_to_end("resume", run)
        self.assert_all_ok(run, JOBS, self.log)
        starts = self.log.starts()
        self.assertEqual({job: starts[job] for job in done}, done)
        return first.out + second.out

    def assert_written(self, out):
        self.assertEqual({int(n) for n in out.split()}, set(range(1, JOBS + 1)))

    # ---- job spooled, not dispatched: ventilator.spooled

    def test_spooled_not_dispatched(self):
        ring, role = self.kill_three_at("ventilator.spooled")
        self.assertEqual((spooled(ring.run), mark(ring.run, "horizon", "jobs.db") or 0, self.log.starts()), (JOBS, 0, {}))
        self.assert_written(self.finish_three(ring, role))

    def test_spooled_not_dispatched_in_a_run(self):
        run, program, done = self.kill_run_at("ventilator.spooled")
        self.assertEqual((spooled(run), self.log.starts()), (JOBS, {}))
        self.assert_written(self.finish_run(run, program, done))

    # ---- ASSIGN sent, JOB not: ventilator.assigned

    def test_assign_sent_job_not(self):
        ring, role = self.kill_three_at("ventilator.assigned")
        self.assertEqual(self.log.starts(), {})
        self.assertGreater(mark(ring.run, "horizon", "jobs.db"), 0)
        self.assert_written(self.finish_three(ring, role))

    def test_assign_sent_job_not_and_the_worker_dies_too(self):
        """The sink counts the loss: that is what ASSIGN comes first for."""
        log, ring = self.journal(), Ring(self)
        ring.start_sink("--durability", "process")
        ring.start_worker()
        with self.dying_at("ventilator.assigned:1:hold"):
            ring.start_ventilator(*Ring.QUICK, "--durability", "process", log.job(), records=range(1, JOBS + 1))
        ring.ventilator.wait_for("held at ventilator.assigned")
        ring.kill_worker()
        wait_until(lambda: query(ring.run, "SELECT 1 FROM attempts WHERE outcome = 'lost'"), "the sink to count the loss")
        ring.ventilator.kill()
        ring.start_ventilator()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, JOBS, log)
        self.assertEqual(log.starts(), {job: 1 for job in range(1, JOBS + 1)})

    def test_assign_sent_job_not_in_a_run(self):
        run, program, done = self.kill_run_at("ventilator.assigned")
        self.assertEqual(self.log.starts(), {})
        self.assert_written(self.finish_run(run, program, done))

    # ---- result received, not committed: sink.received

    def test_received_not_committed(self):
        ring, role = self.kill_three_at("sink.received")
        self.assertEqual(finished(ring.run), set())
        self.assertNotEqual(self.log.attempts("end"), {})
        self.assert_written(self.finish_three(ring, role))

    def test_received_not_committed_in_a_run(self):
        run, program, done = self.kill_run_at("sink.received")
        self.assertEqual(done, {})
        self.assertNotEqual(self.log.attempts("end"), {})
        self.assert_written(self.finish_run(run, program, done))

    # ---- lines in the joblog, the mark that covers them not committed: sink.joblog_written

    JOBLOG_BEFORE = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n99\t:\tof another run\n"

    def joblog(self, prefix):
        (self.path / "log").write_text(self.JOBLOG_BEFORE)
        return ["--joblog", f"{prefix}{self.path}/log"]

    def lines_of_joblog(self):
        lines = (self.path / "log").read_text().splitlines()[1:]
        return [int(line.split("\t")[0]) for line in lines if not line.startswith("99\t")]

    def assert_lines_there(self, done, prefix):
        """One that others write to is never cut: it follows the log."""
        self.assertEqual(bool(done), prefix == "+")
        self.assertGreater(len(self.lines_of_joblog()), 0)

    def assert_each_has_one_line(self, prefix):
        self.assertEqual(sorted(self.lines_of_joblog()), list(range(1, JOBS + 1)))
        if prefix:
            self.assertTrue((self.path / "log").read_text().startswith(self.JOBLOG_BEFORE))

    def joblog_of_three(self, prefix):
        ring, role = self.kill_three_at("sink.joblog_written", options=self.joblog(prefix))
        self.assert_lines_there(finished(ring.run), prefix)
        self.assert_written(self.finish_three(ring, role))
        self.assert_each_has_one_line(prefix)

    def joblog_of_a_run(self, prefix):
        run, program, done = self.kill_run_at("sink.joblog_written", options=self.joblog(prefix))
        self.assert_lines_there(done, prefix)
        self.assert_written(self.finish_run(run, program, done))
        self.assert_each_has_one_line(prefix)

    def test_joblog_written_not_committed(self):
        self.joblog_of_three("")

    def test_joblog_written_not_committed_in_a_run(self):
        self.joblog_of_a_run("")

    def test_joblog_appended_to_mark_not_committed(self):
        self.joblog_of_three("+")

    def test_joblog_appended_to_mark_not_committed_in_a_run(self):
        self.joblog_of_a_run("+")

    # ---- committed, not confirmed: sink.committed

    def test_committed_not_confirmed(self):
        ring, role = self.kill_three_at("sink.committed")
        self.assertNotEqual(finished(ring.run), set())
        self.assertEqual(ring.sink.out, b"")
        self.assert_written(self.finish_three(ring, role))

    def test_committed_not_confirmed_in_a_run(self):
        run, program, done = self.kill_run_at("sink.committed")
        self.assertNotEqual(done, {})
        self.assert_written(self.finish_run(run, program, done))

    # ---- confirmed, not told to the worker: ventilator.confirmed

    def test_confirmed_not_told_to_the_worker(self):
        ring, role = self.kill_three_at("ventilator.confirmed", "sleep 0.1; echo {}")
        self.assertNotEqual(finished(ring.run), set())
        self.assert_written(self.finish_three(ring, role))
        self.assertEqual(query(ring.run, "SELECT DISTINCT outcome FROM attempts WHERE outcome NOT IN ('superseded', 'returned')"), [])

    def test_confirmed_not_told_to_the_worker_in_a_run(self):
        run, program, done = self.kill_run_at("ventilator.confirmed", "sleep 0.1; echo {}")
        self.assertNotEqual(done, {})
        self.assert_written(self.finish_run(run, program, done))

    # ---- output chunk written, row not: sink.output_written

    def large(self):
        return f"yes {{}} | head -c {LARGE}"

    def assert_large(self, run):
        for job, file, length in query(run, "SELECT job, stdout_file, stdout_bytes FROM results"):
            self.assertEqual((run / file).read_bytes(), (b"%d\n" % job * LARGE)[:LARGE])
            self.assertEqual(length, LARGE)
        self.assertEqual(len(list((run / "outputs").iterdir())), JOBS)  # what the killed one left is gone

    def assert_part_is_there(self, run):
        self.assertEqual(finished(run), set())
        self.assertNotEqual([file for file in (run / "outputs").iterdir() if file.stat().st_size > 0], [])

    def test_output_written_row_not(self):
        ring, role = self.kill_three_at("sink.output_written", self.large())
        self.assert_part_is_there(ring.run)
        self.finish_three(ring, role)
        self.assert_large(ring.run)

    @unittest.skipUnless(FAULTY_DISK.exists(), "these programs come without libfaulty_disk.so")
    def test_output_written_row_not_and_lost_by_the_disk(self):
        """Where power is promised what a killed sink wrote counts as stored only once it is synced: till then its worker has it."""
        ring, role = self.kill_three_at("sink.output_written", self.large())
        worker = ring.workers[0]
        worker.send(signal.SIGSTOP)  # so that nothing is written now
        (self.path / "faulty").touch()
        with self.faulty_disk("sync .out 5"):
            ring.start_sink("--durability", "power")
        ring.sink.wait(STORAGE)
        worker.send(signal.SIGCONT)
        self.assertRegex(ring.sink.err, "cannot sync .*/outputs/.*: Input/output error")
        (self.path / "faulty").unlink()
        self.finish_three(ring, role)
        self.assert_large(ring.run)

    def test_output_written_row_not_in_a_run(self):
        run, program, done = self.kill_run_at("sink.output_written", self.large())
        self.assert_part_is_there(run)
        self.finish_run(run, program, done)
        self.assert_large(run)

    # ---- emitted, not marked: sink.emitted

    def test_emitted_not_marked(self):
        ring, role = self.kill_three_at("sink.emitted")
        self.assertNotEqual(ring.sink.out, b"")
        self.assertFalse(mark(ring.run, "emitted"))
        written = ring.sink.out
        self.assert_written(self.finish_three(ring, role))
        self.assertEqual(ring.sink.out[:len(written)], written)  # the same again, in the same order

    def test_emitted_not_marked_in_a_run(self):
        run, program, done = self.kill_run_at("sink.emitted")
        self.assertNotEqual(program.out, b"")
        self.assertFalse(mark(run, "emitted"))
        self.assert_written(self.finish_run(run, program, done))

    # ---- last job done, end not announced: sink.last_job_done, sink.end_committed, ventilator.end_committed

    def assert_end(self, run, sink, ventilator):
        self.assertEqual(finished(run), set(range(1, JOBS + 1)))
        self.assertEqual((mark(run, "ended_status"), mark(run, "ended", "jobs.db")), (sink, ventilator))

    def test_last_job_done_end_not_committed(self):
        ring, role = self.kill_three_at("sink.last_job_done")
        self.assert_end(ring.run, None, None)
        self.assert_written(self.finish_three(ring, role))

    def test_last_job_done_end_not_committed_in_a_run(self):
        run, program, done = self.kill_run_at("sink.last_job_done")
        self.assert_end(run, None, None)
        self.assert_written(self.finish_run(run, program, done))

    def test_last_job_done_end_not_announced(self):
        ring, role = self.kill_three_at("sink.end_committed")
        self.assert_end(ring.run, 0, None)
        self.assert_written(self.finish_three(ring, role))

    def test_last_job_done_end_not_announced_in_a_run(self):
        run, program, done = self.kill_run_at("sink.end_committed")
        self.assert_end(run, 0, None)
        self.assert_written(self.finish_run(run, program, done))

    def test_end_known_to_both_not_told_to_the_worker(self):
        ring, role = self.kill_three_at("ventilator.end_committed")
        self.assert_end(ring.run, 0, 0)
        self.assert_written(self.finish_three(ring, role))

    def test_end_known_to_both_not_told_to_the_worker_in_a_run(self):
        run, program, done = self.kill_run_at("ventilator.end_committed")
        self.assert_end(run, 0, 0)
        self.assert_written(self.finish_run(run, program, done))

    def test_no_point_of_the_list_is_left_out(self):
        text = pathlib.Path(__file__).read_text()
        self.assertEqual(len(KILL_POINTS), 11)
        self.assertEqual([name for name in KILL_POINTS if text.count(f'_at("{name}"') < 2], [])


if __name__ == "__main__":
    if not has_kill_points():
        print("skipped: these programs are built without kill points; those of preset dev have them")
        sys.exit(SKIPPED)
    unittest.main()
