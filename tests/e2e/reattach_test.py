"""While ventilator, sink or both are dead for longer than a lease, what runs runs on: what ends meanwhile is delivered after the restart, what still runs is
known again, and nothing of it is run again. For commands, the records of coprocesses and calls."""
import time
import unittest

from support import SLOWNESS, EndToEnd, Ring, finished, query, wait_until

LEASE = 2.5 * SLOWNESS  # what runs has one, once the head is back, to be heard of again; a link that was refused may wait 2 s before it tries anew
JOBS = 8


class Reattach(EndToEnd):
    def begin(self, *words, transport="ipc", records=range(1, JOBS + 1), workers=("-j2", "-j2")):
        ring = Ring(self, transport)
        ring.start_sink("--durability", "process")
        ring.start_ventilator("--durability", "process", "--heartbeat", f"{LEASE / 5}s", "--lease", f"{LEASE}s", *words, records=records)
        for slots in workers:
            ring.start_worker(slots)
        return ring

    def leave(self, ring, victims, meanwhile):
        for name in victims:
            getattr(ring, name).kill()
        meanwhile()
        time.sleep(1.5 * LEASE)  # what is tested is that this time goes by
        for name in victims:
            getattr(ring, f"start_{name}")()

    def assert_nothing_ran_again(self, ring):
        self.assert_all_ok(ring.run, JOBS)
        self.assertEqual(query(ring.run, "SELECT job, outcome FROM attempts WHERE outcome <> 'returned'"), [])

    def commands(self, victims, transport):
        """Of four running jobs two end while the head is away, and two run on until it has seen the rest done."""
        log = self.journal()
        first, let_first_go = self.gate("first")
        second, let_second_go = self.gate("second")
        ring = self.begin(log.job(f"if [ {{}} -le 2 ]; then {first}; elif [ {{}} -le 4 ]; then {second}; fi; echo {{}}"), transport=transport)
        wait_until(lambda: log.running() == {1, 2, 3, 4}, "four jobs that wait")

        def meanwhile():
            let_first_go()
            wait_until(lambda: set(log.attempts("end")) == {1, 2}, "the end of two jobs")
            if "sink" in victims:
                self.assertEqual(finished(ring.run), set())

        self.leave(ring, victims, meanwhile)
        wait_until(lambda: len(finished(ring.run)) == JOBS - 2, "all but those that run on")
        self.assertEqual(log.running(), {3, 4})
        let_second_go()
        ring.wait()
        self.assert_nothing_ran_again(ring)
        self.assertEqual(log.starts(), {job: 1 for job in range(1, JOBS + 1)})
        outputs = b"".join(program.out for program in self.programs if program.name == "sink")
        self.assertEqual(sorted(map(int, outputs.split())), list(range(1, JOBS + 1)))

    def test_without_the_ventilator(self):
        self.commands(["ventilator"], "ipc")

    def test_without_the_sink(self):
        self.commands(["sink"], "ipc")

    def test_without_both(self):
        self.commands(["ventilator", "sink"], "ipc")

    def test_without_both_over_tcp(self):
        self.commands(["sink", "ventilator"], "tcp")

    def test_records_of_a_coprocess(self):
        given = self.path / "given"
        wait, go = self.gate()
        ring = self.begin("--coprocess", f"while read n; do echo $n $$ >>{given}; [ $n -gt 4 ] || {{ {wait}; }}; echo $n; done")
        lines = lambda: [line.split() for line in given.read_text().splitlines()] if given.exists() else []
        wait_until(lambda: {n for n, _ in lines()} == {"1", "2", "3", "4"}, "a record in each of four children")
        children = {child for _, child in lines()}
        self.leave(ring, ["ventilator", "sink"], go)
        ring.wait()
        self.assert_nothing_ran_again(ring)
        self.assertEqual(sorted(int(n) for n, _ in lines()), list(range(1, JOBS + 1)))
        self.assertEqual({child for _, child in lines()}, children)

    def test_calls(self):
        longer = 3 * LEASE  # than the head is away
        ring = self.begin("--call", "sleep", records=[longer, longer, 0, LEASE, 0, 0, 0, 0], workers=["-j3"])
        wait_until(lambda: 3 in finished(ring.run), "the third call, before which the first two have begun")
        self.leave(ring, ["ventilator", "sink"], lambda: None)
        ring.wait()
        self.assert_nothing_ran_again(ring)
        self.assertEqual(query(ring.run, "SELECT DISTINCT epoch FROM results WHERE job IN (1, 2)"), [(1,)])
        self.assertEqual(query(ring.run, "SELECT count(*) FROM results WHERE job IN (1, 2) AND runtime_us >= ?", int(longer * 1e6)), [(2,)])


if __name__ == "__main__":
    unittest.main()
