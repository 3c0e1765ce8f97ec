"""What happens when something cannot be written."""
import resource
import shutil
import signal
import unittest

from support import EndToEnd, FAULTY_DISK, Ring, SLOWNESS, STORAGE, finished, is_finished, query, wait_until


class Storage(EndToEnd):
    def test_outputs_that_cannot_be_written_stop_the_run_and_are_written_when_it_is_resumed(self):
        journal = self.journal()
        words = ["run", "-k", "--run-dir", "r", journal.job("echo {}")]
        with open("/dev/full", "wb") as full:
            program = self.run_to_end(*words, stdin=range(20), stdout=full, status=STORAGE)
        self.assertIn("No space left", program.err)
        self.assertEqual(query(self.path / "r", "SELECT value FROM meta WHERE key = 'ended_status'"), [])
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

    def test_an_output_larger_than_a_file_may_be_is_no_success(self):
        words = ["run", "--run-dir", "r", "--keep-output", "all", "head -c {} /dev/zero"]
        program = self.start("pushmill", *words, stdin=[1_000, 900_000], preexec=self.limited)
        program.wait(STORAGE)
        self.assertRegex(program.err, "cannot write .*r/outputs/2.*: File too large")
        self.assertEqual(query(self.path / "r", "SELECT count(*) FROM results WHERE job = 2"), [(0,)])
        self.run_to_end(*words, stdin=[1_000, 900_000])
        self.assert_all_ok(self.path / "r", 2)
        (name,), = query(self.path / "r", "SELECT stdout_file FROM results WHERE job = 2")
        self.assertEqual((self.path / "r" / name).stat().st_size, 900_000)

    @unittest.skipUnless(FAULTY_DISK.exists(), "these programs come without libfaulty_disk.so")
    def test_room_that_is_missing_only_at_a_close_is_told(self):
        self.run_to_end("run", "--run-dir", "r", "echo", stdin=range(3))
        (self.path / "faulty").touch()
        for words in ["log", "r"], ["run", "echo", ":::", "a"]:
            with open(self.path / "named", "wb") as out, self.faulty_disk("close /named 122"):
                program = self.run_to_end(*words, stdout=out, status=STORAGE)
            self.assertRegex(program.err, "(?m)^pushmill( log)?: cannot write to standard output: Disk quota exceeded")

    UNSYNCED = "sync results.db-wal 5"

    def die_of(self, fault, said):
        """A sink that meets this fault of the disk, when it has run for a while, says so and ends; started again without it, it has lost and doubled nothing."""
        journal, ring = self.journal(), Ring(self)
        wait, go = self.gate()
        faulty = self.path / "faulty"
        with self.faulty_disk(fault):
            ring.start_sink("--durability", "power", "--keep-output", "all")
        ring.start_ventilator(*Ring.QUICK, journal.job(f"[ {{}} -lt 10 ] || {wait}; head -c 100000 /dev/zero"), records=range(20))
        ring.start_worker()
        wait_until(is_finished(ring.run, 10), "the first jobs")
        faulty.touch()
        go()
        ring.sink.wait(STORAGE)
        self.assertRegex(ring.sink.err, said)
        if fault != self.UNSYNCED:  # which may be there all the same
            self.assertEqual(finished(ring.run), set(range(1, 11)))
        faulty.unlink()
        ring.start_sink()
        ring.wait()
        self.assert_all_ok(ring.run, 20, journal)
        for name, in query(ring.run, "SELECT stdout_file FROM results"):
            self.assertEqual((ring.run / name).read_bytes(), bytes(100_000))
        return journal

    @unittest.skipUnless(FAULTY_DISK.exists(), "these programs come without libfaulty_disk.so")
    def test_an_output_that_meets_an_error_of_the_disk_is_no_success(self):
        self.die_of("write outputs/ 5", "cannot write .*/outputs/.*: Input/output error")

    @unittest.skipUnless(FAULTY_DISK.exists(), "these programs come without libfaulty_disk.so")
    def test_an_output_whose_sync_failed_is_made_anew(self):
        self.die_of("sync outputs/ 28", "cannot sync .*/outputs/.*: No space left on device")

    @unittest.skipUnless(FAULTY_DISK.exists(), "these programs come without libfaulty_disk.so")
    def test_a_result_that_meets_an_error_of_the_disk_is_not_confirmed(self):
        for fault in ("write results.db-wal 5", self.UNSYNCED):
            with self.subTest(fault):
                journal = self.die_of(fault, "results.db: disk I/O error: Input/output error")
                self.assertEqual(journal.starts(), {job: 1 for job in range(1, 21)})
                for path in (self.path / "ring", journal.path, self.path / "gate"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

if __name__ == "__main__":
    unittest.main()
