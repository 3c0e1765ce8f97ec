"""Workers of clients/python in a ring with the real ventilator and sink."""
import os
import pathlib
import signal
import sys
import unittest

from heads import KillHead
from support import HEAD_NOT_FOUND, INTERRUPTED, Program, Ring, TERMINATED, USAGE, children, finished, is_finished, processes_with, query, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT = ROOT / "clients/python"

# Handlers that write the test's journal. What a line asks for is its first word.
HANDLERS = """
import os, pathlib, sys, time
from pushmill import worker

def say(word, job, attempt):
    with open("journal", "a") as journal:
        journal.write(f"{word} {job} {attempt}\\n")

@worker.handler("work")
def work(line):
    job, attempt = line.split()[0], f"{os.getpid()}.{time.monotonic_ns()}"
    say("start", job, attempt)
    if "sleep" in line:
        time.sleep(0.01)
    while "wait" in line and not os.path.exists("gate"):
        time.sleep(0.02)
    say("end", job, attempt)
    return job

@worker.handler("echo")
def echo(line):
    time.sleep(0.02)
    return line

@worker.handler("large")
def large(line):
    if "wait" in line:
        say("start", 0, 0)
    while "wait" in line and not os.path.exists("gate"):
        time.sleep(0.02)
    size = int(line.split()[0])
    data = b"".join(b"%07d\\n" % n for n in range(size // 8 + 1))[:size]
    if "fail" in line:
        raise ValueError(data.decode())
    return data

@worker.handler("square", version=1)
def square(line):
    return int(line) ** 2

@worker.handler("evaluate")
def evaluate(line):
    return eval(line)

@worker.handler("new", version=2)
@worker.handler("new", version=3)
def new(line):
    return line

if __name__ == "__main__":
    worker.main()
"""


class PythonRing(Ring):
    """A ring with workers of Python; jobs are numbered as their lines are."""

    def start_worker(self, *options):
        script = self.test.path / "handlers.py"
        script.write_text(HANDLERS)
        worker = self.test.start_python(script, "--sink", self.endpoint, *self.insecure, *(options or ("-j2",)))
        self.workers.append(worker)
        return worker


class PythonTest(KillHead):
    def setUp(self):
        super().setUp()
        self.env["PYTHONPATH"] = str(CLIENT)
        self.env["PYTHONDONTWRITEBYTECODE"] = "1"

    def start_python(self, script, *words):
        program = Program(self, [sys.executable, script, *words])
        program.name = pathlib.Path(script).name
        return program

    def ring(self, handler, records, workers=1, slots=2, transport="ipc", options=()):
        ring = PythonRing(self, transport)
        return ring.start("--call", handler, records=records, workers=workers, slots=slots, options=options)

    def rows(self, ring, columns="outcome, reason"):
        return query(ring.run, f"SELECT {columns} FROM results ORDER BY job")


class Calls(PythonTest):
    def test_results_are_printed(self):
        ring = PythonRing(self)
        ring.start_sink("-k")
        ring.start_ventilator(*Ring.QUICK, "--call", "square", records=range(300))
        ring.start_worker()
        ring.start_worker("-j1")
        ring.wait(all_told=True)
        self.assertEqual(ring.sink.out.decode().split(), [str(n * n) for n in range(300)])
        self.assert_all_ok(ring.run, 300)
        (command, slots, least, most) = query(ring.run, "SELECT min(command), max(slot), min(runtime_us), max(runtime_us) FROM results")[0]
        self.assertEqual((command, slots), ("square 0", 2))
        self.assertTrue(0 < least <= most < 10**7)

    def test_the_example_over_tcp(self):
        ring = Ring(self, "tcp")
        ring.start("--call", "square", records=range(40), workers=0)
        worker = self.start_python(ROOT / "examples/square_worker.py", "--sink", ring.endpoint, "--insecure")
        ring.workers.append(worker)
        ring.wait(all_told=True)
        self.assertEqual(sorted(map(int, ring.sink.out.split())), [n * n for n in range(40)])

    def test_a_halt_of_the_run_ends_what_runs(self):
        ring = self.ring("evaluate", ["__import__('time').sleep(1000)", "1/0", *["2"] * 50], options=("--halt", "now,fail=1"))
        ring.wait(1)
        self.assertNotIn(1, finished(ring.run))
        self.assertLess(len(finished(ring.run)), 52)

    def test_values_as_our_own_worker_prints_them(self):
        lines = ["None", "[1, -2, 2.5, 1e300, 'a\\n', b'\\xff', True]", "{'k': {'deep': ()}, 3: 'v'}", "'text'", "b'by\\x00tes'", "float('nan')", "100000.0"]
        ring = PythonRing(self)
        ring.start_sink("-k")
        ring.start_ventilator(*Ring.QUICK, "--call", "evaluate", records=lines)
        ring.start_worker()
        ring.wait()
        self.assertEqual(ring.sink.out, b'null\n[1,-2,2.5,1e+300,"a\\n","\\u00ff",true]\n{"k":{"deep":[]},"3":"v"}\ntext\nby\x00tesNaN\n1e+05\n')

    def test_errors_fail_their_jobs_and_nothing_else(self):
        lines = ["1/0", "undefined_name", "object()", "sys.exit(3)", "os._exit(4)", "os.kill(os.getpid(), 11)", "int('a\\nb')", "'fine'"]
        ring = self.ring("evaluate", lines, slots=1)
        ring.wait(len(lines) - 1)
        self.assert_each_once(ring.run, len(lines))
        self.assertEqual(self.rows(ring, "exit_code, signal, reason"), [
            (1, 0, "ZeroDivisionError: division by zero"),
            (1, 0, "NameError: name 'undefined_name' is not defined"),
            (1, 0, "the result cannot be told: can not serialize 'object' object"),
            (1, 0, "SystemExit: 3"),
            (4, 0, "the process of the call left with status 4"),
            (0, 11, "the process of the call was ended by signal 11"),
            (1, 0, "ValueError: invalid literal for int() with base 10: 'a\\nb'"),
            (0, 0, None)])
        errors = [stderr for (stderr,) in self.rows(ring, "stderr")]
        self.assertTrue(errors[0].startswith(b"Traceback") and errors[0].endswith(b"ZeroDivisionError: division by zero\n"), errors[0])
        self.assertNotIn(b"slots.py", errors[0])
        self.assertEqual(errors[-1], b"")

    def test_an_unknown_handler_or_version_names_both_sides(self):
        ring = self.ring("nope", ["a"])
        ring.wait(1)
        self.assertEqual(self.rows(ring), [("failed", "the job calls handler 'nope', this worker has only: echo, evaluate, large, new, square, work")])
        ring = PythonRing(self, name="second").start("--call", "new", records=["a"], workers=1)
        ring.wait(1)
        self.assertEqual(self.rows(ring), [("failed", "the job calls version 1 of handler 'new', this worker has version 2, 3")])

    def test_a_command_is_a_failed_job(self):
        ring = PythonRing(self).start("echo {}", records=["a b"], workers=1)
        ring.wait(1)
        self.assertEqual(self.rows(ring, "outcome, exit_code, slot, command, reason"),
                         [("failed", 126, 0, "echo 'a b'", "this worker runs calls of Python handlers only: a command needs pushmill's own worker")])

    def test_both_kinds_of_workers_in_one_run(self):
        ring = self.ring("echo", range(400), slots=1)
        wait_until(is_finished(ring.run, 3), "some results")
        ring.workers.append(self.start("worker", "--sink", ring.endpoint))
        ring.wait(all_told=True)
        self.assertEqual(query(ring.run, "SELECT count(DISTINCT worker) FROM results"), [(2,)])
        self.assertEqual(sorted(map(int, ring.sink.out.split())), list(range(400)))


class LargeOutputs(PythonTest):
    SIZES = [65_536, 65_537, 3_000_000]

    def large_ring(self, records, workers=1):
        ring = PythonRing(self)
        ring.start_sink("-k", "--keep-output", "all")
        ring.start_ventilator(*Ring.QUICK, "--call", "large", records=records)
        for _ in range(workers):
            ring.start_worker()
        return ring

    def names(self, ring):
        return sorted(file.name for file in ring.run.glob("outputs/*"))

    def check(self, ring):
        rows = self.rows(ring, "job, epoch, n, stdout_bytes, stdout, stdout_file")
        self.assertEqual([(row[0], row[3]) for row in rows], list(enumerate(self.SIZES, 1)))
        files = [f"{job}.{epoch}.{n}.out" for job, epoch, n, *_ in rows]
        self.assertTrue(rows[0][4] == content(self.SIZES[0]) and rows[0][5] is None)
        self.assertEqual((self.names(ring), [row[5] for row in rows[1:]]), (files[1:], [f"outputs/{name}" for name in files[1:]]))
        for size, name in zip(self.SIZES[1:], files[1:]):
            self.assertTrue((ring.run / "outputs" / name).read_bytes() == content(size), name)
        self.assertTrue(ring.sink.out.endswith(content(self.SIZES[2])))

    def test_rest_in_files(self):
        ring = self.large_ring(self.SIZES)
        ring.wait(all_told=True)
        self.check(ring)
        self.assertTrue(ring.sink.out == b"".join(map(content, self.SIZES)))

    def test_kill_of_the_sink_in_the_middle_of_one(self):
        """In the middle: without the ventilator the worker hears no FREE, and sends no more than the window."""
        ring = self.large_ring([*self.SIZES[:2], f"{self.SIZES[2]} wait"])
        wait_until(lambda: is_finished(ring.run, 2)() and (self.path / "journal").exists(), "the third, and the end of the others")
        ring.ventilator.pause()
        (self.path / "gate").touch()
        part = lambda: next((file for file in ring.run.glob("outputs/3.*.out") if file.stat().st_size == 1 << 20), None)  # noqa: E731
        wait_until(part, "a part of the third")
        ring.sink.kill()
        self.assertEqual((part().read_bytes() == content(self.SIZES[2])[:1 << 20], len(query(ring.run, "SELECT 1 FROM results"))), (True, 2))
        ring.start_sink()
        ring.ventilator.send(signal.SIGCONT)
        ring.wait()
        self.check(ring)
        self.assertEqual(query(ring.run, "SELECT * FROM attempts WHERE outcome <> 'returned'"), [])

    def test_kills_at_random(self):
        sizes = [self.random.randrange(60_000, 3_000_000) for _ in range(24)]
        ring = self.large_ring(sizes, workers=2)
        for role in ("sink", "ventilator", "sink"):
            wanted = min(len(sizes) - 1, len(self.rows(ring)) + 5)
            wait_until(is_finished(ring.run, wanted), "more results")
            getattr(ring, role).kill()
            getattr(ring, f"start_{role}")()
        ring.wait()
        self.assert_all_ok(ring.run, len(sizes))
        for size, (data, name) in zip(sizes, self.rows(ring, "stdout, stdout_file")):
            self.assertTrue(((ring.run / name).read_bytes() if name else data) == content(size), f"{size} bytes (PUSHMILL_E2E_SEED={self.seed})")

    def test_a_traceback_too(self):
        ring = self.large_ring(["300000 fail"])
        ring.wait(1)
        ((outcome, out, size, name),) = self.rows(ring, "outcome, stdout_bytes, stderr_bytes, stderr_file")
        self.assertEqual((outcome, out, self.names(ring)), ("failed", 0, [pathlib.Path(name).name]))
        error = (ring.run / name).read_bytes()
        self.assertTrue(len(error) == size and error.startswith(b"Traceback") and error.endswith(b"ValueError: " + content(300_000) + b"\n"), error[:300])


def content(size):
    """What `large` gives: it says where it stands."""
    return b"".join(b"%07d\n" % n for n in range(size // 8 + 1))[:size]


class Kills(PythonTest):
    def kill_at_random(self, victims, transport="ipc", jobs=200):
        """As the same test of our own workers: what is committed and what runs in living workers does not run again."""
        journal = self.journal()
        ring = self.ring("work", [f"{n} sleep" for n in range(1, jobs + 1)], workers=2, transport=transport)
        self.kill_and_go_on(ring, journal, victims, jobs)
        self.assert_all_ok(ring.run, jobs)

    def test_of_the_ventilator(self):
        self.kill_at_random(["ventilator"])

    def test_of_the_sink(self):
        self.kill_at_random(["sink"], "tcp")

    def test_of_both(self):
        self.kill_at_random(["ventilator", "sink"])

    def test_running_jobs_live_through_the_end_of_ventilator_and_sink(self):
        journal = self.journal()
        _, go = self.gate()
        ring = self.ring("work", [f"{n} wait" if n < 3 else str(n) for n in range(1, 13)])
        wait_until(lambda: journal.running() == {1, 2}, "two jobs that wait")
        self.restart(ring, ["ventilator", "sink"])
        ring.start_worker()
        wait_until(is_finished(ring.run, 10), "the other jobs")
        self.assertEqual(journal.running(), {1, 2})
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 12)
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 13)})

    def test_results_of_their_absence_are_kept(self):
        journal = self.journal()
        _, go = self.gate()
        ring = self.ring("work", [f"{n} wait" for n in range(1, 5)], workers=2)
        wait_until(lambda: len(journal.running()) == 4, "four jobs")
        ring.ventilator.kill()
        ring.sink.kill()
        go()
        wait_until(lambda: not journal.running(), "the end of the jobs")
        ring.start_sink()
        ring.start_ventilator()
        ring.wait()
        self.assert_all_ok(ring.run, 4)
        self.assertEqual(journal.starts(), {1: 1, 2: 1, 3: 1, 4: 1})

    def test_of_one_of_two_workers(self):
        journal = self.journal()
        ring = self.ring("work", [f"{n} sleep" for n in range(1, 151)], workers=2)
        wait_until(is_finished(ring.run, self.random.randrange(10, 100)), "some results")
        committed, starts = query(ring.run, "SELECT job FROM results"), journal.starts()
        ring.kill_worker()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 150)
        self.assertEqual([(job, journal.starts()[job]) for job, in committed], [(job, starts[job]) for job, in committed])
        again = {job for job, count in journal.starts().items() if count > 1}
        self.assertTrue(again <= {job for (job,) in query(ring.run, "SELECT job FROM attempts WHERE outcome = 'lost'")}, again)

    def test_of_a_worker_leaves_no_process_of_it(self):
        journal = self.journal()
        ring = self.ring("work", ["1 wait", "2 wait"])
        wait_until(lambda: journal.running() == {1, 2}, "two jobs")
        ring.kill_worker()
        ring.ventilator.kill()
        ring.sink.kill()
        wait_until(lambda: not processes_with(self.mark), "the end of the processes of its slots")


class Leaving(PythonTest):
    def leave(self, number, status):
        journal = self.journal()
        _, go = self.gate()
        ring = self.ring("work", [f"{n} wait" for n in range(1, 7)], options=("--retries", "1"))
        wait_until(lambda: len(journal.running()) == 2, "two jobs")
        ring.workers.pop().stop(number, status)
        self.assertEqual(query(ring.run, "SELECT job, outcome, counted, signal FROM attempts WHERE outcome <> 'returned' ORDER BY job"),
                         [(1, "cancelled", 0, 9), (2, "cancelled", 0, 9)])
        go()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 6)
        self.assertEqual(journal.starts(), {job: 2 if job < 3 else 1 for job in range(1, 7)})

    def test_sigterm_hands_the_jobs_back(self):
        self.leave(signal.SIGTERM, TERMINATED)

    def test_sigint_too(self):
        self.leave(signal.SIGINT, INTERRUPTED)

    def test_a_signal_for_the_whole_group_fails_no_job(self):
        journal = self.journal()
        ring = self.ring("work", ["1 wait", "2 wait"])
        wait_until(lambda: journal.running() == {1, 2}, "two jobs")
        worker = ring.workers.pop()
        slots = children(worker.pid, "python3")
        self.assertEqual(len(slots), 2)
        for pid in (*slots, worker.pid):
            os.kill(pid, signal.SIGTERM)
        worker.wait(TERMINATED)
        self.assertEqual(query(ring.run, "SELECT DISTINCT outcome FROM attempts"), [("cancelled",)])
        ring.stop()

    def test_a_call_that_ended_just_before_the_signal_has_ended(self):
        journal = self.journal()
        _, go = self.gate()
        ring = self.ring("work", ["1 wait"])
        wait_until(lambda: journal.running() == {1}, "the job")
        worker = ring.workers.pop()
        worker.pause()
        go()
        wait_until(lambda: not journal.running(), "the end of the job")
        worker.send(signal.SIGTERM)
        worker.send(signal.SIGCONT)  # it finds both at once
        self.assertIn(worker.wait(), (0, TERMINATED))  # 0: that was all of the run
        if not is_finished(ring.run, 1)():  # it had told its journal, and not yet the worker
            ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 1)
        self.assertEqual(worker.err.count("Traceback"), 0)

    def test_without_a_head_in_time(self):
        worker = PythonRing(self).start_worker("--head-timeout", "1500ms")
        worker.wait(HEAD_NOT_FOUND)
        self.assertRegex(worker.err, "waiting for the sink at ipc:.*\n.*nothing was heard of the sink at ipc:.*\n$")

    def test_sigterm_while_nothing_is_there(self):
        worker = PythonRing(self).start_worker()
        worker.wait_for("waiting for the sink")
        worker.stop()

    def test_one_that_was_stopped_for_long_goes_on(self):
        journal = self.journal()
        ring = self.ring("work", [f"{n} sleep" for n in range(1, 81)], workers=2)
        wait_until(is_finished(ring.run, 10), "some results")
        ring.workers[0].pause()
        wait_until(lambda: query(ring.run, "SELECT 1 FROM attempts WHERE outcome = 'lost'") or not ring.sink.is_running(), "its jobs to be lost")
        ring.workers[0].send(signal.SIGCONT)
        ring.wait()
        self.assert_all_ok(ring.run, 80)


class Mistakes(PythonTest):
    def refuse(self, script, *words, said, status=USAGE):
        (self.path / "w.py").write_text("from pushmill import worker\n" + script + "\nif __name__ == '__main__': worker.main()\n")
        program = self.start_python(self.path / "w.py", *words)
        program.wait(status, 10)
        self.assertIn(said, program.err)
        self.assertRegex(program.err, r"^w\.py: .*\n$")

    HANDLER = "@worker.handler('a')\ndef a(x): return x"

    def test_of_the_command_line(self):
        for words, said in (([], "--sink is required"), (["--sink", "nonsense"], "bad endpoint 'nonsense'"),
                            (["--sink", "tcp://127.0.0.1:5000"], "refusing tcp://127.0.0.1:5000: "), (["--sink", "tcp://*:5000", "--insecure"], "not one to connect to"),
                            (["--sink", "tcp://h:99999", "--insecure"], "not a number"), (["--sink", "inproc://x"], "threads of one process"),
                            (["--sink", "ipc:///tmp/x", "--listen", "tcp://127.0.0.1:*"], "--insecure"), (["--sink", "ipc:///tmp/x", "-j", "0"], "from 1 to 4096"),
                            (["--sink", "ipc:///tmp/x", "word"], "word"), (["--sink", "ipc:///tmp/x", "--head-timeout", "abc"], "bad duration 'abc'"),
                            (["--sink", "ipc:///" + "x" * 120], "bytes long")):
            self.refuse(self.HANDLER, *words, said=said)

    def test_of_the_script(self):
        sink = "--sink", "ipc:///tmp/x"
        self.refuse(self.HANDLER + "\n@worker.handler('a')\ndef b(x): return x", *sink, said="version 1 of handler 'a' is registered twice: ")
        self.refuse("", *sink, said="no handler")
        self.refuse("worker.handler('a')(3)", *sink, said="cannot be called")
        self.refuse("@worker.handler('a', version='1')\ndef a(x): pass", *sink, said="a version is a whole number")
        self.refuse("@worker.handler\ndef a(x): pass", *sink, said="@worker.handler(NAME)")

    def test_a_place_where_it_cannot_listen(self):
        self.refuse(self.HANDLER, "--sink", "ipc:///tmp/x", "--listen", "ipc:///nowhere/x", said="cannot listen on ipc:///nowhere/x: No such file", status=255)

    def test_a_host_that_is_not_there(self):
        self.refuse(self.HANDLER, "--insecure", "--sink", "tcp://nowhere.invalid:5000", said="cannot find host 'nowhere.invalid'", status=255)


if __name__ == "__main__":
    unittest.main()
