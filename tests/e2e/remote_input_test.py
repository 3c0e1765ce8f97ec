"""--pipe in three programs over TCP: the blocks reach workers that do not see the run directory, whoever is killed meanwhile."""
import contextlib
import os
import random
import signal
import unittest

from support import USAGE, EndToEnd, Ring, SLOWNESS, finished, is_finished, peak_megabytes, query, wait_until

MEGABYTE = 1 << 20


def lines_of(megabytes, seed):
    """Lines of any lengths, no two blocks of which are the same."""
    choose, lines, size = random.Random(seed), [], 0
    while size < megabytes * MEGABYTE:
        lines.append(choose.randbytes(choose.randrange(1, 20_000)).replace(b"\n", b"x") + b"\n")
        size += len(lines[-1])
    return b"".join(lines)


def kept_inputs(pid):
    """Bytes of each input that a worker keeps in a file."""
    sizes = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                path = f"/proc/{pid}/fd/{entry}"
                if "/pushmill-" in os.readlink(path) and os.readlink(path).endswith(" (deleted)"):
                    sizes.append(os.stat(path).st_size)
    return sizes


class RemoteInput(EndToEnd):
    def ring(self, *words, given, transport="tcp"):
        ring = Ring(self, transport)
        ring.start_sink("-k", "--durability", "process")
        ring.start_ventilator(*ring.QUICK, "--durability", "process", *words, records=given)
        return ring

    def assert_all_came_out(self, ring, given):
        self.assertEqual(len(ring.sink.out), len(given))
        self.assertTrue(ring.sink.out == given, "another byte")
        self.assert_all_ok(ring.run, len(finished(ring.run)))
        self.assertEqual(list((ring.run / "inputs").iterdir()), [])

    def test_everything_comes_out_byte_for_byte_through_kills_of_worker_and_ventilator(self):
        given = lines_of(50, self.seed)
        ring = self.ring("--pipe", "--block", "10M", "cat", given=given)
        worker = ring.start_worker("-j2")
        wait_until(lambda: kept_inputs(worker.pid), "part of an input")
        ring.kill_worker()
        ring.start_worker("-j2")
        wait_until(is_finished(ring.run, 1), "a result")
        ring.ventilator.kill()
        ring.start_ventilator()
        ring.start_worker("-j2")
        ring.wait()
        self.assert_all_came_out(ring, given)

    def test_a_sink_that_is_killed_in_the_middle_of_inputs_loses_none(self):
        given = lines_of(20, self.seed)
        ring = self.ring("--pipe", "--block", "4M", "cat >$PUSHMILL_JOB.block", given=given)
        worker = ring.start_worker("-j2")
        for _ in range(2):
            wait_until(lambda: kept_inputs(worker.pid) or len(finished(ring.run)) > 3, "part of an input")
            ring.sink.kill()
            ring.start_sink()
        ring.wait()
        jobs = sorted(finished(ring.run))
        self.assert_all_ok(ring.run, len(jobs))
        self.assertTrue(b"".join((self.path / f"{job}.block").read_bytes() for job in jobs) == given, "another byte")

    def test_small_blocks_come_out_too_and_leave_no_files(self):
        given = lines_of(8, self.seed)
        ring = self.ring("--pipe", "--block", "40k", "cat", given=given)
        worker = ring.start_worker("-j3")
        wait_until(is_finished(ring.run, 20), "some results")
        self.assertEqual(kept_inputs(worker.pid), [])
        ring.wait()
        self.assert_all_came_out(ring, given)

    def test_each_job_of_tee_gets_the_whole_input(self):
        given = lines_of(3, self.seed)
        ring = self.ring("--pipe", "--tee", "cat; :", ":::", "a", "b", given=given)
        ring.start_worker("-j2")
        ring.wait()
        self.assertTrue(ring.sink.out == given + given, "another byte")

    def test_a_worker_on_this_host_reads_the_files_itself(self):
        given = lines_of(4, self.seed)
        ring = self.ring("--pipe", "--block", "1M", "readlink /proc/self/fd/0 >&2; cat", given=given, transport="ipc")
        ring.start_worker("-j2")
        ring.wait()
        self.assert_all_came_out(ring, given)
        self.assertIn(str(ring.run / "inputs" / "1"), ring.sink.err)

    def test_a_worker_that_is_stopped_in_the_middle_of_an_input_does_not_hold_it_up(self):
        given = lines_of(20, self.seed)
        ring = self.ring("--pipe", "--block", "5M", "cat", given=given)
        worker = ring.start_worker("-j1")
        wait_until(lambda: kept_inputs(worker.pid), "part of an input")
        worker.pause()
        ring.start_worker("-j2")
        wait_until(lambda: ring.sink.out == given, "all the output")
        worker.send(signal.SIGCONT)
        ring.wait()
        self.assert_all_came_out(ring, given)

    def test_memory_stays_bounded_whatever_the_size_of_an_input(self):
        with open(self.path / "given", "wb") as file:
            part = random.Random(self.seed).randbytes(MEGABYTE - 1).replace(b"\n", b"x") + b"\n"
            for _ in range(128):
                file.write(part)
        wait, go = self.gate()
        ring = self.ring("--pipe-part", "-a", "given", "--block", "64M", f"wc -c; {wait}", given=b"")
        worker = ring.start_worker("-j2")
        wait_until(lambda: sum(kept_inputs(worker.pid)) == 128 * MEGABYTE, "both inputs")
        for program in (ring.sink, ring.ventilator, worker) if SLOWNESS == 1 else ():  # sanitizers keep freed memory on purpose
            self.assertLess(peak_megabytes(program.pid), 50, program.name)
        go()
        ring.wait()
        self.assertEqual(sum(map(int, ring.sink.out.split())), 128 * MEGABYTE)

    def reason_of(self, ring, job):
        (outcome, code, reason), = query(ring.run, f"SELECT outcome, exit_code, reason FROM results WHERE job = {job}")
        self.assertEqual((outcome, code), ("failed", 126))
        return reason

    def test_an_input_that_is_gone_fails_its_job_and_no_other(self):
        given = lines_of(4, self.seed)
        ring = self.ring("--pipe", "--block", "1M", "cat", given=given)
        wait_until(lambda: (ring.run / "inputs" / "3").exists(), "the blocks")
        (ring.run / "inputs" / "2").unlink()
        ring.start_worker("-j2")
        ring.wait(status=1)
        self.assertIn(f"its input {ring.run}/inputs/2 cannot be read", self.reason_of(ring, 2))

    def start_worker_without_room(self, ring, *options):
        usual = self.env
        self.env = usual | {"TMPDIR": str(self.path / "none")}
        worker = ring.start_worker(*options)
        self.env = usual
        return worker

    def test_where_there_is_no_room_for_inputs_jobs_go_back_and_others_run_them(self):
        given = lines_of(20, self.seed)
        ring = self.ring("--pipe", "--block", "1M", "cat", given=given)
        full = self.start_worker_without_room(ring, "-j4")
        full.wait_for(f"worker: inputs cannot be kept in {self.path}/none: No such file or directory; TMPDIR names another place; jobs go back until there is room\n")
        ring.start_worker("-j2")
        ring.wait()
        self.assert_all_came_out(ring, given)
        self.assertEqual(full.err.count("cannot be kept"), 1, full.err)

    def test_a_worker_goes_on_when_there_is_room_again(self):
        given = lines_of(5, self.seed)
        ring = self.ring("--pipe", "--block", "1M", "cat", given=given)
        full = self.start_worker_without_room(ring, "-j2")
        full.wait_for("jobs go back until there is room")
        self.assertEqual(finished(ring.run), set())
        (self.path / "none").mkdir()
        ring.wait()
        self.assert_all_came_out(ring, given)
        self.assertIn("worker: there is room for inputs again\n", full.err)

    def test_what_workers_elsewhere_cannot_have_is_refused(self):
        for words, text in [
            (["--pipe", "--cat", "wc {}"], "--cat and --fifo are for pushmill run"),
            (["--pipe-part", "-a", "x", "cat"], "--pipe-part needs --block SIZE"),
            (["--pipe", "--round-robin", "cat"], "--round-robin is for pushmill run"),
            (["--pipe"], "--pipe needs a command"),
        ]:
            program = self.start("ventilator", "--sink", f"ipc://{self.path}/s", "--run-dir", self.path / "r", *words)
            program.wait(USAGE)
            self.assertIn(text, program.err)


if __name__ == "__main__":
    unittest.main()
