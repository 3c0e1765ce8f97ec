"""Coprocesses: a child for each slot, one record in, one answer out; what kills a child, and what is killed around it."""
import collections
import json
import os
import signal
import unittest

from support import EndToEnd, Ring, USAGE, children, finished, is_finished, processes_with, query, wait_until


class Coprocess(EndToEnd):
    def script(self, name, body):
        path = self.path / name
        path.write_text(f"#!/bin/sh\n{body}")
        path.chmod(0o755)
        return f"./{name}"

    def teller(self, body='echo "$line"'):
        """A coprocess that notes its pid in `pids`, each record it takes in `taken`, and does `body` with it."""
        return self.script("teller", f'cd {self.path}; echo $$ >> pids\nwhile read -r line; do echo "$line" >> taken; {body}; done\n')

    def noted(self, name):
        path = self.path / name
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def pids(self):
        return [int(pid) for pid in self.noted("pids")]

    def rows(self, *columns, run="r"):
        return query(self.path / run, f"SELECT {', '.join(columns)} FROM results ORDER BY job")

    # ---- the plain way

    def test_records_come_from_everywhere_and_answers_in_order(self):
        program = self.teller('case $line in *3) sleep 0.02;; esac; echo "<$line>"')
        expected = "".join(f"<{n}>\n" for n in range(300)).encode()
        self.assertEqual(self.run_to_end("run", "-k", "-j3", "--coprocess", program, stdin=range(300)).out, expected)
        (self.path / "list").write_text("".join(f"{n}\n" for n in range(300)))
        self.assertEqual(self.run_to_end("run", "-k", "-j3", "--coprocess", program, "-a", "list").out, expected)
        self.assertEqual(self.run_to_end("run", "-k", "-j3", "--coprocess", program, ":::", *map(str, range(300))).out, expected)
        self.assertLessEqual(len(self.pids()), 9, "no child but one for each slot")

    def test_a_row_tells_program_and_record(self):
        self.run_to_end("run", "--run-dir", "r", "--coprocess", "cat", ":::", "a b")
        self.assertEqual(self.rows("outcome", "command", "exit_code", "slot"), [("ok", "cat <<< a b", 0, 1)])

    def test_json_and_lengths(self):
        odd = 'ü "\\ \t'
        program = self.run_to_end("run", "--framing", "json", "--coprocess", "cat", ":::", odd + "\n")
        self.assertEqual(json.loads(program.out), {"job": 1, "input": odd + "\n"})
        self.assertEqual(self.run_to_end("run", "--framing", "length", "--coprocess", "cat", ":::", "a\nb").out, b"a\nb")

    def test_through_the_ring(self):
        ring = Ring(self)
        ring.start("--coprocess", "cat", "--framing", "json", records=range(2000))
        ring.wait()
        answers = [json.loads(line) for line in ring.sink.out.splitlines()]
        self.assertEqual(sorted((a["job"], a["input"]) for a in answers), [(n + 1, str(n)) for n in range(2000)])
        self.assert_all_ok(ring.run, 2000)

    def test_a_child_may_say_goodbye(self):
        self.run_to_end("run", "-j1", "--coprocess", "cat; echo done > goodbye", ":::", "a")
        self.assertEqual((self.path / "goodbye").read_text(), "done\n")

    # ---- wrong use

    def test_wrong_use_is_one_line_with_the_usage_status(self):
        for words, text in ((("--coprocess", "cat", "--call", "echo", ":::", "a"), "--coprocess and --call exclude each other"),
                            (("--coprocess", "cat", "echo", ":::", "a"), "--coprocess and a command exclude each other"),
                            (("--coprocess", "cat", "--framing", "xml", ":::", "a"), "--framing: 'xml' is not line, length or json"),
                            (("--framing", "json", "cat", ":::", "a"), "--framing belongs to --coprocess"),
                            (("--coprocess", " ", ":::", "a"), "--coprocess needs a command")):
            for program in (self.start("pushmill", "run", *words), self.start("ventilator", "--sink", "ipc://s", "--run-dir", "r", *words[:-2])):
                program.wait(USAGE)
                self.assertIn(text, program.err)
                self.assertEqual(program.err.count("\n"), 1, program.err)

    def test_another_coprocess_or_framing_is_another_run(self):
        self.run_to_end("run", "--run-dir", "r", "--coprocess", "cat", ":::", "a")
        for words in ("--coprocess", "tac"), ("--coprocess", "cat", "--framing", "json"), ("cat",):
            program = self.run_to_end("run", "--run-dir", "r", *words, ":::", "a", status=USAGE)
            self.assertIn("--coprocess --framing line", program.err)
            self.assertEqual(program.err.count("\n"), 1, program.err)
        self.run_to_end("run", "--run-dir", "r", "--coprocess", "cat", ":::", "a")

    # ---- children that fail

    def test_each_failure_is_its_own_jobs_and_says_what_happened(self):
        body = """case $line in
            die) echo "about to die" >&2; exit 3;;
            kill) kill -9 $$;;
            leave) exit 0;;
            blank) echo;;
            twice) printf 'one\\ntwo\\n';;
            large) head -c 9000000 /dev/zero | tr '\\0' x; echo;;
            *) echo "$line";; esac"""
        bad = {"die": ("failed", 3, 0, "the coprocess ended with status 3 before it answered"),
               "kill": ("failed", 0, 9, "the coprocess was ended by signal 9 before it answered"),
               "leave": ("failed", 1, 0, "the coprocess ended with status 0 before it answered"),
               "blank": ("failed", 1, 0, "the coprocess gave a blank answer to job {job}"),
               "twice": ("failed", 1, 0, "the coprocess answered more than it was asked for: 4 bytes behind its answer"),
               "large": ("failed", 1, 0, "the coprocess's answer is over 8388608 bytes"),
               "new\nline": ("failed", 1, 0, "the record has a newline in it, which --framing line cannot carry: use length or json")}
        records = [word for name in bad for word in (name, f"good after {name}".replace("\n", " "))]
        program = self.run_to_end("run", "-k", "-j2", "--run-dir", "r", "--coprocess", self.teller(body), ":::", *records, status=len(bad))
        rows = self.rows("outcome", "exit_code", "signal", "reason")
        for job, (record, row) in enumerate(zip(records, rows), 1):
            expected = bad.get(record, ("ok", 0, 0, None))
            self.assertEqual(row, (*expected[:3], expected[3] and expected[3].format(job=job)), record)
        self.assertEqual(program.out.decode(), "".join(f"{record}\n" for record in records if record not in bad))
        self.assertIn("about to die\n", program.err)
        self.assert_each_once(self.path / "r", len(records))

    def test_a_reason_of_any_length_is_cut_to_a_line(self):
        (self.path / "error.py").write_text("""import json, sys
for line in sys.stdin: print(json.dumps({"error": "no\\n" * 2_000_000}), flush=True)""")
        self.run_to_end("run", "-j4", "--run-dir", "r", "--framing", "json", "--coprocess", "python3 error.py", ":::", *"abcdefgh", status=8)
        reasons = [reason for reason, in self.rows("reason")]
        self.assertEqual({len(reason) for reason in reasons}, {4096})
        self.assertFalse(any("\n" in reason for reason in reasons))

    def test_a_program_that_cannot_be_started_fails_the_jobs_as_a_command_would(self):
        self.run_to_end("run", "--run-dir", "r", "--coprocess", "no-such-program", ":::", "a", "b", status=2)
        self.assertEqual(self.rows("outcome", "exit_code"), [("failed", 127)] * 2)
        (self.path / "plain").write_text("")
        program = self.run_to_end("run", "--run-dir", "r2", "--coprocess", "./plain", ":::", "a", status=1)
        self.assertEqual(self.rows("outcome", "exit_code", run="r2"), [("failed", 126)])
        self.assertIn("ermission denied", program.err)

    def test_the_time_limit_ends_the_tree_and_the_next_job_has_a_new_child(self):
        program = self.teller('[ $line = fine ] || { setsid sleep 1000 & sleep 1000; }; echo "$line"')
        out = self.run_to_end("run", "-k", "-j1", "--run-dir", "r", "--timeout", "700ms", "--coprocess", program, ":::", "fine", "stuck", "fine", status=1).out
        self.assertEqual(out, b"fine\nfine\n")
        self.assertEqual(self.rows("outcome"), [("ok",), ("timeout",), ("ok",)])
        self.assertEqual(len(set(self.pids())), 2)

    def test_retries_go_to_a_new_child(self):
        program = self.teller('[ $line != once ] || [ -e tried ] || { touch tried; exit 1; }; echo "$line"')
        self.run_to_end("run", "-j1", "--retries", "2", "--run-dir", "r", "--coprocess", program, ":::", "a", "once", "b")
        self.assert_all_ok(self.path / "r", 3)
        self.assertEqual(query(self.path / "r", "SELECT job, outcome, reason FROM attempts"),
                         [(2, "failed", "failed: the coprocess ended with status 1 before it answered")])

    # ---- kill -9

    def test_a_child_is_killed(self):
        wait, go = self.gate()
        program = self.teller(f'[ $line -gt 2 ] || {{ {wait}; }}; echo "$line"')
        run = self.start("pushmill", "run", "-j2", "--run-dir", "r", "--coprocess", program, stdin=range(1, 101))
        wait_until(lambda: len(self.noted("taken")) == 2, "two records taken")
        os.kill(self.pids()[0], signal.SIGKILL)
        go()
        run.wait(1)
        self.assert_each_once(self.path / "r", 100)
        failed = query(self.path / "r", "SELECT job, signal, reason FROM results WHERE outcome <> 'ok'")
        self.assertEqual([row[1:] for row in failed], [(9, "the coprocess was ended by signal 9 before it answered")])
        self.assertEqual(collections.Counter(self.noted("taken")), collections.Counter(map(str, range(1, 101))), "each record is given once")

    def test_idle_children_are_killed(self):
        read, write = os.pipe()
        run = self.start("pushmill", "run", "-j2", "--run-dir", "r", "--coprocess", self.teller(), stdin=read)
        os.close(read)
        os.write(write, b"1\n2\n3\n4\n")
        wait_until(is_finished(self.path / "r", 4), "four results")
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        # One that is being killed can still take a byte of the next record, and then it is that job's.
        wait_until(lambda: not set(self.pids()) & set(processes_with(self.mark)), "the end of the children")
        os.write(write, b"5\n6\n7\n8\n")
        os.close(write)
        run.wait(0)
        self.assert_all_ok(self.path / "r", 8)

    def test_the_keeper_is_killed(self):
        program = self.teller('sleep 0.01; echo "$line"')
        run = self.start("pushmill", "run", "-j3", "--run-dir", "r", "--coprocess", program, stdin=range(150))
        for moment in sorted(self.random.sample(range(5, 120), 3)):
            wait_until(is_finished(self.path / "r", moment), f"{moment} results")
            for keeper in children(run.pid, "keeper"):
                os.kill(keeper, signal.SIGKILL)
        run.wait(0)
        self.assert_all_ok(self.path / "r", 150)
        lost = {job for (job,) in query(self.path / "r", "SELECT job FROM attempts WHERE outcome = 'lost'")}
        again = {int(n) + 1 for n, count in collections.Counter(self.noted("taken")).items() if count > 1}
        self.assertTrue(again <= lost, (again, lost))
        self.assertLessEqual(len(lost), 9, "only what was in a child is lost")

    def test_a_worker_is_killed(self):
        ring = Ring(self)
        ring.start("--coprocess", self.teller('sleep 0.01; echo "$line"'), records=range(150), workers=2)
        wait_until(is_finished(ring.run, self.random.randrange(10, 100)), "some results")
        ring.kill_worker()
        ring.start_worker()
        ring.wait()
        self.assert_all_ok(ring.run, 150)

    def test_the_run_is_killed_and_resumed(self):
        (self.path / "list").write_text("".join(f"{n}\n" for n in range(200)))
        run = self.start("pushmill", "run", "-j3", "--run-dir", "r", "-a", "list", "--coprocess", self.teller('sleep 0.01; echo "$line"'))
        for _ in range(3):
            seen = len(finished(self.path / "r"))
            wait_until(is_finished(self.path / "r", seen + self.random.randrange(1, 50)), "some results")
            run.kill()
            wait_until(lambda: not processes_with(f"PARALLEL_PID={run.pid}\0"), "the end of its children")
            done, before = finished(self.path / "r"), collections.Counter(self.noted("taken"))
            run = self.start("pushmill", "resume", "r")
        run.wait(0)
        self.assert_all_ok(self.path / "r", 200)
        taken = collections.Counter(self.noted("taken"))
        self.assertEqual({job: taken[str(job - 1)] for job in done}, {job: before[str(job - 1)] for job in done}, "committed jobs that were given again")
        outputs = b"".join(program.out for program in self.programs)
        self.assertEqual({int(n) for n in outputs.split()}, set(range(200)))

    def test_a_run_that_is_stopped_leaves_nothing_and_goes_on(self):
        wait, go = self.gate()
        (self.path / "list").write_text("".join(f"{n}\n" for n in range(20)))
        program = self.teller(f'[ $line -lt 5 ] || {{ {wait}; }}; echo "$line"')
        run = self.start("pushmill", "run", "-j2", "--run-dir", "r", "-a", "list", "--coprocess", program)
        wait_until(is_finished(self.path / "r", 5), "five results")
        run.stop()
        self.assertEqual(processes_with(f"PARALLEL_PID={run.pid}\0"), [])
        go()
        self.run_to_end("resume", "r")
        self.assert_all_ok(self.path / "r", 20)


if __name__ == "__main__":
    unittest.main()
