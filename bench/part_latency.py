"""What one job takes when nothing else runs: a line goes in, its output comes back, then the next line goes in."""
import contextlib
import os
import select
import statistics
import subprocess
import time

from harness import add, compiled, environment, need, number, pushmill, quick, scratch
from ring import Ring

PATIENCE = 5  # seconds for one output; who needs longer waits for more input first


class Asker:
    """One line at a time through a running program. Times are in us."""

    def __init__(self, line_in, line_out):
        self.line_in, self.line_out = line_in, line_out
        self.times = []

    def ask(self, number):
        line = f"{number:015d}\n".encode()
        began = time.perf_counter()
        os.write(self.line_in, line)
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([self.line_out], [], [], PATIENCE)[0]:
                return False
            answer += os.read(self.line_out, 4096)
        self.times.append((time.perf_counter() - began) * 1e6)
        if answer != line:
            raise SystemExit(f"bench: {answer!r} came back for {line!r}")
        return True


@contextlib.contextmanager
def piped(command):
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
                          env=environment, cwd=scratch) as process:
        try:
            yield Asker(process.stdin.fileno(), process.stdout.fileno())
        finally:
            process.stdin.close()
            process.kill()


@contextlib.contextmanager
def ring(*work):
    with Ring(work, [["-j", "1"]], subprocess.PIPE, subprocess.PIPE) as programs:
        yield Asker(programs.ventilator.stdin.fileno(), programs.sink.stdout.fileno())


def ask_in_turns(tools, jobs, turns):
    """All run at the same time and are asked in turns of jobs / turns, so that a slow spell hits all; the first jobs of each are not counted. None: no answer."""
    with contextlib.ExitStack() as stack:
        askers = {name: stack.enter_context(make()) for name, make in tools.items()}
        for turn in range(turns + 1):
            for name, asker in askers.items():
                if asker and not all(asker.ask(turn * jobs + i) for i in range(jobs // turns if turn else 20)):
                    askers[name] = None
            if turn == 0:
                for asker in filter(None, askers.values()):
                    asker.times.clear()
        return {name: asker.times if asker else None for name, asker in askers.items()}


def part_latency():
    jobs, turns = (200, 2) if quick else (1000, 10)
    run = [pushmill, "run", "-j1"]
    child = compiled("line_child")
    calls = {"call": lambda: piped([*run, "--call", "echo"]), "tcp": lambda: ring("--call", "echo"), "coprocess": lambda: piped([*run, "--coprocess", child]),
             "child": lambda: piped([child])}
    commands = {"command": lambda: piped([*run, "/bin/echo", "{}"]), "sh": lambda: piped(["sh", "-c", 'while read -r line; do /bin/echo "$line"; done'])}
    if need("parallel"):
        commands["parallel"] = lambda: piped(["parallel", "--will-cite", "-j1", "-u", "/bin/echo", "{}"])
    times = ask_in_turns(calls, jobs, turns) | ask_in_turns(commands, jobs, turns)

    def text(name):
        return ", ".join(f"{number(value)} us" for value in (statistics.median(times[name]), sorted(times[name])[len(times[name]) * 99 // 100]))

    def row(what, ours, name, against, target=""):
        if times[name] is None:
            return add(what, text(ours), against, f"no output within {PATIENCE} s: it reads on before it writes", "cannot be compared")
        add(what, text(ours), against, text(name), f"{statistics.median(times[ours]) / statistics.median(times[name]):.2f} x", target)

    what = f"from a line in to its output, {jobs:,} one at a time, p50 and p99:"
    row(f"{what} echo call", "call", "child", "a child that writes back, no runner")
    row("the same, three processes over TCP", "tcp", "call", "one process")
    row("the same, a coprocess", "coprocess", "child", "that child, no runner")
    row("the same, `/bin/echo {}`", "command", "sh", "`while read` loop in sh")
    if "parallel" in times:
        row("the same, `/bin/echo {}`", "command", "parallel", "parallel -j1 -u")
