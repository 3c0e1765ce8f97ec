"""--joblog is GNU parallel's, byte for byte but for times."""
import re
import subprocess
import unittest

from support import EndToEnd, Ring

HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"
LINE = re.compile(r"\d+\t:\t[ 0-9]*\d\.\d{3}\t[ 0-9]*\d\.\d{3}\t\d+\t\d+\t-?\d+\t\d+\t.*")


def without_times(path):
    rows = [line.split("\t") for line in path.read_text(errors="surrogateescape").split("\n")]
    return [[*row[:2], *(re.sub(r"\d", "9", re.sub(r"\d+\.", "9.", field).strip()) for field in row[2:4]), *row[4:]] for row in rows]


class Joblog(EndToEnd):
    def test_format(self):
        self.run_to_end("run", "-j1", "--joblog", "log", "printf %s {}; exit {}", ":::", "0", "12", status=1)
        lines = (self.path / "log").read_text().split("\n")
        self.assertEqual(lines[0], HEADER)
        self.assertEqual(lines[-1], "")
        for line in lines[1:-1]:
            self.assertRegex(line, LINE)
        self.assertEqual([line.split("\t")[4:] for line in lines[1:3]], [["0", "1", "0", "0", "printf %s 0; exit 0"], ["0", "2", "12", "0", "printf %s 12; exit 12"]])

    def test_as_gnu_parallel_writes_it(self):
        records = ["0", "1", "7", "a b", "x'y", "ü", "\t"]
        command = "echo {#} {} {}; [ {} = 0 ] || false"
        for words in (["-j1", command], ["-j1", "kill -9 $$; echo"], ["-j1", "kill -TERM $$; echo"], ["-j1", "no-such-command-here"], ["-j1", "--timeout", "1", "exec sleep 5;"]):
            inputs = records if words[-1] == command else records[:2]
            with self.subTest(words[-1]):
                self.start("pushmill", "run", "--joblog", "ours", *words, ":::", *inputs).wait()
                subprocess.run(["parallel", "--will-cite", "--joblog", "theirs", *words, ":::", *inputs], cwd=self.path, env=self.env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
                self.assertEqual(without_times(self.path / "ours"), without_times(self.path / "theirs"))

    def test_order_of_completion(self):
        self.run_to_end("run", "-j3", "-k", "--joblog", "log", "while [ {} != 3 ] && [ ! -e e$(({}+1)) ]; do sleep 0.01; done; [ {} = 3 ] || sleep 0.2; touch e{}",
                        ":::", "1", "2", "3")
        self.assertEqual([line.split("\t")[0] for line in (self.path / "log").read_text().splitlines()[1:]], ["3", "2", "1"])

    def test_one_line_a_job_whatever_the_attempts(self):
        self.run_to_end("run", "--joblog", "log", "--retries", "3", "exit", ":::", "0", "5", status=1)
        rows = [line.split("\t") for line in (self.path / "log").read_text().splitlines()[1:]]
        self.assertEqual(sorted((row[0], row[6]) for row in rows), [("1", "0"), ("2", "5")])

    def test_of_the_sink_and_a_worker_on_this_host(self):
        ring = Ring(self)
        ring.start_sink("--joblog", self.path / "log")
        ring.start_ventilator(*Ring.QUICK, "echo", records=range(10))
        ring.start_worker()
        ring.wait()
        lines = (self.path / "log").read_text().splitlines()
        self.assertEqual(lines[0], HEADER)
        self.assertEqual(sorted(int(line.split("\t")[0]) for line in lines[1:]), list(range(1, 11)))
        for line in lines[1:]:
            self.assertRegex(line, LINE)

    def test_one_that_cannot_be_written(self):
        program = self.start("pushmill", "run", "--joblog", "/proc/no/log", "echo", ":::", "a")
        self.assertIn(program.wait(), (102, 103))
        self.assertIn("/proc/no/log", program.err)
        self.assertEqual(program.out, b"")


if __name__ == "__main__":
    unittest.main()
