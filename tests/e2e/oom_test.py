"""A job that the kernel ends because memory is short has an outcome of its own. Needs the right to make a memory cgroup."""
import contextlib
import os
import pathlib
import unittest

from support import SLOWNESS, EndToEnd, query

LIMIT = (64 if SLOWNESS == 1 else 256) << 20  # programs with a sanitizer need more of it
HUNGRY = "python3 -c 'x = bytearray(1 << 29); print(len(x))'"


def make_group():
    """A new memory cgroup below our own, of version 1 or 2, with a limit that a hungry job cannot keep."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, limit, swap = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes") if controllers else ("/sys/fs/cgroup", "memory.max", "memory.swap.max")
        for parent in (pathlib.Path(root + path), pathlib.Path(root)):
            group = parent / f"pushmill-test-{os.getpid()}"
            with contextlib.suppress(OSError):
                group.mkdir()
                try:
                    (group / limit).write_text(str(LIMIT))
                    with contextlib.suppress(OSError):
                        (group / swap).write_text(str(LIMIT) if controllers else "0")
                    return group
                except OSError:
                    group.rmdir()
    return None


class OutOfMemory(EndToEnd):
    def test_it_is_told_from_a_kill(self):
        group = make_group()
        if group is None:
            self.skipTest("no memory cgroup can be made here: tests/worker/oom_counter_test.cc and keeper_orphans_test.cc have files in its place")
        self.addCleanup(group.rmdir)
        enter = lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
        program = self.run_to_end("run", "-j1", "--joblog", "log", "--run-dir", "r", preexec=enter, stdin=["kill -9 $$", "exec " + HUNGRY, HUNGRY + "; exit $?", "kill -9 $$"], status=4)
        self.assertEqual(query(self.path / "r", "SELECT outcome, exit_code, signal FROM results ORDER BY job"),
                         [("failed", 0, 9), ("oom", 0, 9), ("oom", 137, 0), ("failed", 0, 9)], program.err)
        self.assertEqual(query(self.path / "r", "SELECT reason FROM results WHERE job = 2"), [("out of memory: the kernel ended it, or a process of it",)])
        self.assertEqual([line.split("\t")[6:8] for line in (self.path / "log").read_text().splitlines()[1:]], [["0", "9"], ["0", "9"], ["137", "0"], ["0", "9"]])


if __name__ == "__main__":
    unittest.main()
