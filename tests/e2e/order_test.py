"""--keep-order, and the order of completion without it."""
import subprocess
import unittest

from support import EndToEnd, Ring

# Job N ends after job N+1: the reverse of the input.
LAST = 6
REVERSED = f"while [ {{}} != {LAST} ] && [ ! -e ended-$(({{}}+1)) ]; do sleep 0.01; done; echo {{}}; touch ended-{{}}"
NUMBERS = [str(n) for n in range(1, LAST + 1)]


class Order(EndToEnd):
    def test_keep_order_when_jobs_end_in_reverse(self):
        program = self.run_to_end("run", "-k", f"-j{LAST}", REVERSED, ":::", *NUMBERS)
        self.assertEqual(program.out.decode().split(), NUMBERS)

    def test_without_it_outputs_come_in_the_order_of_completion(self):
        # The touch comes before the job's end, so neighbours may end together: the first is last all the same.
        wait = f"if [ {{}} = 1 ]; then while [ $(cat ended | wc -l) -lt {LAST - 1} ]; do sleep 0.01; done; sleep 0.3; fi; echo {{}}; echo {{}} >>ended"
        (self.path / "ended").touch()
        program = self.run_to_end("run", f"-j{LAST}", wait, ":::", *NUMBERS)
        self.assertEqual(program.out.decode().split()[-1], "1")
        self.assertEqual(sorted(program.out.decode().split()), NUMBERS)

    def test_keep_order_of_failed_jobs_and_stderr(self):
        program = self.run_to_end("run", "-k", "-j4", "sleep 0.$((4-{})); echo {} >&2; exit {}", ":::", "0", "1", "2", "3", status=3)
        self.assertEqual(program.err.splitlines()[:4], ["0", "1", "2", "3"])

    def test_keep_order_of_the_sink(self):
        ring = Ring(self)
        ring.start_sink("--keep-order")
        ring.start_ventilator(*Ring.QUICK, REVERSED, records=NUMBERS)
        for _ in range(2):
            ring.start_worker("-j3")
        ring.wait()
        self.assertEqual(ring.sink.out.decode().split(), NUMBERS)
        self.assert_all_ok(ring.run, LAST)

    def test_the_sink_is_a_stage_of_a_pipeline(self):
        ring = Ring(self)
        sort = subprocess.Popen(["sort", "-n"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env)
        ring.sink = self.start("sink", "--listen", ring.endpoint, "--run-dir", ring.run, stdout=sort.stdin)
        sort.stdin.close()
        ring.start_ventilator(*Ring.QUICK, "echo", records=range(40, 0, -1))
        ring.start_worker()
        self.assertEqual([int(n) for n in sort.stdout.read().split()], list(range(1, 41)))
        sort.stdout.close()
        sort.wait()
        ring.wait()


if __name__ == "__main__":
    unittest.main()
