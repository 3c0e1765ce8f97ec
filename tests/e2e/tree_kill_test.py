"""Whatever ends a job ends its whole tree: children in sessions of their own and orphans too. What a job leaves behind on purpose lives on."""
import os
import signal
import unittest

from support import EndToEnd, Ring, children, processes_with, query, wait_until

# A child, one in a session of its own, and one whose parent has gone at once; each says its process id.
TREE = ("sleep 1000 & echo $! >>pids; setsid sh -c 'echo $$ >>pids; exec sleep 1000' & "
        "sh -c '(setsid sh -c \"echo \\$\\$ >>pids; trap : TERM; while :; do sleep 0.1; done\" &)'; wait")


class TreeKill(EndToEnd):
    def pids(self):
        path = self.path / "pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def begin_tree(self):
        pids = wait_until(lambda: self.pids() if len(self.pids()) == 3 else None, "the three processes of the job")
        for pid in pids:
            os.kill(pid, 0)
        return pids

    def assert_gone(self, pids):
        def living():
            return [pid for pid in pids if pid in processes_with(self.mark)]
        wait_until(lambda: not living(), lambda: f"the end of {living()}", 20)

    def test_a_timeout_ends_it_before_the_job_is_reported(self):
        self.run_to_end("run", "--timeout", "1s", TREE + " #", ":::", "x", status=1)
        self.assertEqual(len(self.pids()), 3)
        self.assertEqual([pid for pid in self.pids() if pid in processes_with(self.mark)], [])

    def test_sigterm_ends_it(self):
        program = self.start("pushmill", "run", TREE + " #", ":::", "x")
        pids = self.begin_tree()
        program.stop()
        self.assertEqual([pid for pid in pids if pid in processes_with(self.mark)], [])

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
        wait_until(lambda: len(self.pids()) == 6, "another attempt")
        program.stop()

    def test_the_death_of_the_run_ends_it(self):
        program = self.start("pushmill", "run", TREE + " #", ":::", "x")
        pids = self.begin_tree()
        program.kill()
        self.assert_gone(pids)

    def test_what_a_job_leaves_on_purpose_lives_on(self):
        self.run_to_end("run", "setsid sh -c 'echo $$ >>pids; while [ ! -e go ]; do sleep 0.02; done; touch done' >/dev/null 2>&1 & while [ ! -e pids ]; do sleep 0.02; done #",
                        ":::", "x")
        os.kill(self.pids()[0], 0)
        (self.path / "go").touch()
        wait_until((self.path / "done").exists, "the survivor's work")


if __name__ == "__main__":
    unittest.main()
