"""Whatever ends a job ends its whole tree: children in sessions of their own and orphans too. What a job leaves behind on purpose lives on."""
import contextlib
import os
import shutil
import signal
import unittest

from support import EndToEnd, INTERRUPTED, Ring, children, wait_until

# A child, one in a session of its own, one whose parent has gone at once, and a daemon as they are in books: that and a session of its own, no environment and
# nothing open. Each says its process id.
DAEMON = "(setsid env -i sh -c 'echo $$ >>pids; exec sleep 1000' >/dev/null 2>&1 </dev/null &)"
TREE = ("sleep 1000 & echo $! >>pids; setsid sh -c 'echo $$ >>pids; exec sleep 1000' & "
        "sh -c '(setsid sh -c \"echo \\$\\$ >>pids; trap : TERM; while :; do sleep 0.1; done\" &)'; " + DAEMON + "; wait; sleep 1000")


class TreeKill(EndToEnd):
    def tearDown(self):
        self.end_what_is_left()
        super().tearDown()

    def end_what_is_left(self):
        for pid in self.living():
            os.kill(pid, signal.SIGKILL)

    def pids(self):
        path = self.path / "pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def living(self, pids=None):
        """Those that are there and no zombies: a daemon does not carry the mark of the test."""
        found = []
        for pid in self.pids() if pids is None else pids:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as words:
                if words.read().startswith((b"sleep", b"sh")):
                    found.append(pid)
        return found

    def begin_tree(self):
        pids = wait_until(lambda: self.pids() if len(self.pids()) == 4 else None, "the four processes of the job")
        wait_until(lambda: len(self.living(pids)) == 4, "all of them")  # not at once: in the middle of an exec there are no words
        return pids

    def assert_gone(self, pids):
        wait_until(lambda: not self.living(pids), lambda: f"the end of {self.living(pids)}", 20)

    def test_a_timeout_ends_it_before_the_job_is_reported(self):
        self.run_to_end("run", "--timeout", "2s", TREE + " #", ":::", "x", status=1)
        self.assertEqual(len(self.pids()), 4)
        self.assertEqual(self.living(), [])

    def test_sigterm_ends_it(self):
        program = self.start("pushmill", "run", TREE + " #", ":::", "x")
        pids = self.begin_tree()
        program.stop()
        self.assertEqual(self.living(pids), [])

    def test_control_c_ends_it(self):
        program = self.start("pushmill", "run", TREE + " #", ":::", "x", preexec=os.setsid)
        pids = self.begin_tree()
        os.killpg(program.pid, signal.SIGINT)
        program.wait(INTERRUPTED)
        self.assertEqual(self.living(pids), [])

    def test_the_death_of_the_worker_ends_it(self):
        ring = Ring(self)
        ring.start(TREE + " #", records=["x"], workers=1)
        pids = self.begin_tree()
        ring.kill_worker()
        self.assert_gone(pids)
        ring.stop()

    def test_the_death_of_the_keeper_ends_it(self):
        program = self.start("pushmill", "run", TREE + " #", ":::", "x")
        pids = self.begin_tree()
        os.kill(children(program.pid, "keeper")[0], signal.SIGKILL)
        self.assert_gone(pids)
        wait_until(lambda: len(self.pids()) == 8, "another attempt")
        program.stop()

    def test_the_death_of_the_run_ends_it(self):
        program = self.start("pushmill", "run", TREE + " #", ":::", "x")
        pids = self.begin_tree()
        program.kill()
        self.assert_gone(pids)

    def kill_run_and_keepers(self, *options, env=None):
        """A run in the directory `r` that leaves a daemon; its second attempt says which processes of the first it finds. Those of the first."""
        check = "for pid in $(cat pids 2>/dev/null); do grep -q . /proc/$pid/cmdline && echo $pid still runs; done 2>/dev/null"
        program = self.start("pushmill", "run", "--run-dir", "r", *options, f"[ -e again ] && {{ {check}; exit 0; }}; {TREE} #", ":::", "x", env=env)
        pids = self.begin_tree()
        keepers = children(program.pid, "keeper")
        program.pause()  # nobody acts while they die
        for pid in (*keepers, program.pid):
            os.kill(pid, signal.SIGKILL)
        program.process.wait()
        (self.path / "again").touch()
        return pids

    def test_what_the_death_of_run_and_keepers_leaves_is_ended_before_the_job_runs_again(self):
        pids = self.kill_run_and_keepers()
        self.assertIn(pids[3], self.living(pids), "nobody was left to end it")
        resumed = self.run_to_end("resume", "r")
        self.assertEqual(resumed.out, b"")
        self.assertEqual(self.living(pids), [])
        self.assertIn("whose worker and keeper had been killed", resumed.err)

    def test_it_is_so_too_where_the_next_one_has_another_environment(self):
        # A session, and then cron once the session's directories have gone. Without what keeps tests apart, so any worker of this user may end it, not just ours.
        own = {key: value for key, value in self.env.items() if key != "PUSHMILL_HOST_DIRECTORY"}
        session = self.path / "session"
        session.mkdir()
        pids = self.kill_run_and_keepers("--no-overlap", env=own | {"XDG_RUNTIME_DIR": str(session), "TMPDIR": str(session)})
        shutil.rmtree(session)
        del own["XDG_RUNTIME_DIR"]
        self.assertEqual(self.run_to_end("resume", "r", env=own | {"HOME": "/", "PUSHMILL_STATE": str(self.path / "elsewhere")}).out, b"")
        self.assertEqual(self.living(pids), [])

    def test_what_the_death_of_a_worker_and_its_keepers_leaves_is_ended_by_the_next_worker(self):
        ring = Ring(self)
        ring.start(TREE + " #", records=["x"], workers=1)
        pids = self.begin_tree()
        keepers = children(ring.workers[0].pid, "keeper")
        ring.workers[0].pause()
        for keeper in keepers:
            os.kill(keeper, signal.SIGKILL)
        ring.kill_worker()
        worker = ring.start_worker()
        worker.wait_for("whose worker and keeper had been killed")
        self.assertEqual(self.living(pids), [])
        ring.stop()

    def test_with_kill_leftovers_nothing_lives_on(self):
        command = DAEMON + "; setsid sh -c 'echo $$ >>pids; exec sleep 1000' & while [ $(wc -l <pids) -lt 2 ]; do sleep 0.02; done; echo done #"
        (self.path / "pids").touch()
        self.assertEqual(self.run_to_end("run", "--kill-leftovers", command, ":::", "x").out, b"done\n")
        self.assertEqual((len(self.pids()), self.living()), (2, []))
        (self.path / "pids").write_text("")
        ring = Ring(self)
        ring.start("--kill-leftovers", command, records=["x"], workers=1)
        ring.wait()
        self.assertEqual((len(self.pids()), self.living()), (2, []))

    def test_a_daemon_that_keeps_the_outputs_open_does_not_hold_up_its_job(self):
        self.assertEqual(self.run_to_end("run", "setsid sh -c 'echo $$ >>pids; exec sleep 1000' & while [ ! -s pids ]; do sleep 0.02; done; echo done #", ":::", "x").out, b"done\n")
        self.assertEqual(len(self.living()), 1)
        self.end_what_is_left()

    def test_the_user_says_by_which_signals_a_job_is_ended(self):
        job = "trap 'echo int >>said' INT; trap 'echo usr1 >>said; exit 1' USR1; while :; do sleep 0.02; done #"
        self.run_to_end("run", "--timeout", "1s", "--term-seq", "INT,300,SIGUSR1,20000", job, ":::", "x", status=1)
        self.assertEqual((self.path / "said").read_text(), "int\nusr1\n")
        (self.path / "said").unlink()
        ring = Ring(self)
        ring.start("--timeout", "1s", "--term-seq", "2,300,10,20000", job, records=["x"], workers=1)
        ring.wait(1)
        self.assertEqual((self.path / "said").read_text(), "int\nusr1\n")

    def test_what_a_job_leaves_on_purpose_lives_on(self):
        self.run_to_end("run", "setsid sh -c 'echo $$ >>pids; while [ ! -e go ]; do sleep 0.02; done; touch done' >/dev/null 2>&1 & while [ ! -e pids ]; do sleep 0.02; done #",
                        ":::", "x")
        os.kill(self.pids()[0], 0)
        (self.path / "go").touch()
        wait_until((self.path / "done").exists, "the survivor's work")


if __name__ == "__main__":
    unittest.main()
